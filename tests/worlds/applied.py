"""Holdings with a candidate in them, row by row: what a full assessment is given to compare."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from engine.snapshot import CollateralSet, PositionSet
from engine.whatif import OUTSIDE, Candidate


def with_orders(
    positions: PositionSet, netting_set: str, candidate: Candidate, account: str
) -> PositionSet:
    """Return ``positions`` with the orders filled in ``account``, as every source reports it."""
    rows = positions.positions
    for order in candidate.orders:
        account = order.account_id or account
        is_mine = (rows["netting_set_id"] == netting_set) & (rows["account_id"] == account)
        is_mine &= rows["instrument_id"] == order.instrument_id
        if is_mine.any():
            rows = rows.assign(
                quantity=rows["quantity"].where(~is_mine, rows["quantity"] + order.change)
            )
            continue
        sources = sorted(rows["source"].unique())
        new = pd.DataFrame(
            {
                "source": sources,
                "account_id": account,
                "instrument_id": order.instrument_id,
                "client_id": f"client-{netting_set}",
                "netting_set_id": netting_set,
                "venue": order.instrument_id.split(":")[0],
                "quantity": order.change,
                "settled_price": 1.0,
                "observed_utc": rows["observed_utc"].iloc[0],
            }
        )
        rows = pd.concat([rows, new], ignore_index=True)
    return replace(positions, positions=rows)


def with_transfers(
    collateral: CollateralSet, netting_set: str, candidate: Candidate, location: str
) -> CollateralSet:
    """Return ``collateral`` with the transfers settled; an end without a name is ``location``."""
    rows = collateral.holdings
    for transfer in candidate.transfers:
        ends = ((transfer.source or location, -1.0), (transfer.destination or location, 1.0))
        for place, sign in ends:
            if place == OUTSIDE:
                continue
            is_held = (rows["netting_set_id"] == netting_set) & (rows["location"] == place)
            is_held &= (rows["asset"] == transfer.asset) & (rows["state"] == "settled")
            if is_held.any():
                moved = rows["quantity"] + sign * transfer.quantity
                rows = rows.assign(quantity=rows["quantity"].where(~is_held, moved))
                continue
            new = pd.DataFrame(
                {
                    "source": ["oms", "venue", "clearing"],
                    "netting_set_id": netting_set,
                    "location": place,
                    "asset": transfer.asset,
                    "state": "settled",
                    "client_id": f"client-{netting_set}",
                    "quantity": sign * transfer.quantity,
                }
            )
            rows = pd.concat([rows, new], ignore_index=True)
    return CollateralSet(rows)

"""Holdings as the frames that a full assessment takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D, ObjectArray1D
from engine.intraday.holdings import Holdings
from engine.reconciliation import SOURCES
from engine.snapshot import PositionSet

_ORDER_COLUMNS = (
    "netting_set_id", "account_id", "order_id", "client_id", "venue", "instrument_id", "side",
    "remaining_quantity", "limit_price",
)  # fmt: skip

NO_COLLATERAL: Final = pd.DataFrame(
    {
        **{
            name: pd.Series([], dtype="str")
            for name in ("source", "netting_set_id", "location", "asset", "state", "client_id")
        },
        "quantity": pd.Series([], dtype="float64"),
    }
)


def position_frame(holdings: Holdings, rows: Int64Array1D | None = None) -> pd.DataFrame:
    """Return contract ``positions``, sorted by netting set, account, instrument and source."""
    table = holdings.positions
    rows = np.arange(len(table)) if rows is None else rows
    order = np.lexsort(
        (
            table["source"][rows],
            holdings.instruments.ranks()[table["instrument"][rows]],
            holdings.accounts.ranks()[table["account"][rows]],
            table["owner"][rows],
        )
    )
    rows = rows[order]
    accounts = holdings.accounts.of(table["account"][rows])
    sets = holdings.netting_sets.of(table["owner"][rows])
    return pd.DataFrame(
        {
            "source": _sources(table["source"][rows]),
            "account_id": accounts,
            "instrument_id": holdings.instruments.of(table["instrument"][rows]),
            "client_id": [holdings.client_of.get(str(name), "") for name in sets],
            "netting_set_id": sets,
            "venue": [holdings.owner_of[str(name)].venue for name in accounts],
            "quantity": table["quantity"][rows],
            "settled_price": table["settled_price"][rows],
            "observed_utc": pd.to_datetime(table["observed_ns"][rows], utc=True),
        }
    ).astype(dict.fromkeys(_POSITION_TEXTS, "str"))


_POSITION_TEXTS = (
    "source", "account_id", "instrument_id", "client_id", "netting_set_id", "venue",
)  # fmt: skip


def order_frame(holdings: Holdings, netting_sets: Sequence[int] | None = None) -> pd.DataFrame:
    """Return contract ``open_orders``, sorted by netting set, account and order."""
    chosen = sorted(holdings.orders) if netting_sets is None else netting_sets
    records = [
        {
            "netting_set_id": holdings.netting_sets[netting_set],
            "account_id": order.account_id,
            "order_id": order.order_id,
            "client_id": holdings.owner_of[order.account_id].client_id,
            "venue": holdings.owner_of[order.account_id].venue,
            "instrument_id": order.instrument_id,
            "side": order.side,
            "remaining_quantity": order.remaining_quantity,
            "limit_price": order.limit_price,
        }
        for netting_set in chosen
        for order in holdings.orders_of(netting_set)
    ]
    frame = pd.DataFrame(records, columns=list(_ORDER_COLUMNS))
    numbers = ("remaining_quantity", "limit_price")
    return frame.astype({name: "float64" if name in numbers else "str" for name in _ORDER_COLUMNS})


def collateral_frame(
    holdings: Holdings, counted: Float64Array1D, rows: Int64Array1D | None = None
) -> pd.DataFrame:
    """Return contract ``collateral`` with the quantities that count, sorted by its key."""
    table = holdings.collateral
    rows = np.arange(len(table)) if rows is None else rows
    order = np.lexsort(
        (
            table["source"][rows],
            holdings.states.ranks()[table["state"][rows]],
            holdings.assets.ranks()[table["asset"][rows]],
            holdings.locations.ranks()[table["location"][rows]],
            table["owner"][rows],
        )
    )
    rows = rows[order]
    sets = holdings.netting_sets.of(table["owner"][rows])
    texts = {
        "source": _sources(table["source"][rows]),
        "netting_set_id": sets,
        "location": holdings.locations.of(table["location"][rows]),
        "asset": holdings.assets.of(table["asset"][rows]),
        "state": holdings.states.of(table["state"][rows]),
        "client_id": np.array(
            [holdings.client_of.get(str(name), "") for name in sets], dtype=object
        ),
    }
    frame = pd.DataFrame({**texts, "quantity": counted[rows]})
    return frame.astype(dict.fromkeys(texts, "str"))


def position_set(holdings: Holdings, base: PositionSet, venue_margin: pd.DataFrame) -> PositionSet:
    """Return everything held, with the accounts of ``base`` and what venues report now."""
    return PositionSet(position_frame(holdings), order_frame(holdings), base.accounts, venue_margin)


def _sources(places: Int64Array1D) -> ObjectArray1D:
    names: ObjectArray1D = np.array(SOURCES, dtype=object)
    return names[places]

"""One candidate at the venues in full: equity, ratio and liquidation prices, before and after.

What ``what_if`` says of many candidates is each side's demand. For one that somebody looks at, the
accounts it touches are taken through the whole of ``engine.venue_accounts`` again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from engine.reconciliation import SOURCES
from engine.settlement.variation import variation_margin
from engine.snapshot import CollateralSet, PositionSet
from engine.venue_accounts.assembly import VenueMargins, venue_margins
from engine.whatif.admission import Admitted, Fill, admitted
from engine.whatif.candidate import OUTSIDE, Candidate
from engine.whatif.held_book import PreparedBook
from engine.whatif.reported_equity import Flow, with_reported_equity

_ACCOUNT_FIGURES: Final = (
    "status", "reason", "initial_margin", "maintenance_margin", "equity", "margin_ratio",
)  # fmt: skip
ACCOUNT_DETAIL_COLUMNS: Final = (
    "account_id", "venue", "account_mode", "ratio_kind", "evidence",
    *(f"{name}_{when}" for name in _ACCOUNT_FIGURES for when in ("before", "after")),
)  # fmt: skip
POSITION_DETAIL_COLUMNS: Final = (
    "account_id", "instrument_id", "mark_price", "quantity_before", "quantity_after",
    "liquidation_price_before", "liquidation_price_after",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class VenueDetail:
    """The touched accounts before and after a candidate.

    Attributes
    ----------
    accounts : pandas.DataFrame
        Columns ``ACCOUNT_DETAIL_COLUMNS``; margins and equity in USD, the ratio in the venue's own
        definition, NaN where unknown.
    positions : pandas.DataFrame
        Columns ``POSITION_DETAIL_COLUMNS`` of every instrument that is traded. A liquidation price
        is the one at which the account is liquidated if nothing else moves; NaN where there is
        none, or the venue's grid gives none by position.
    """

    accounts: pd.DataFrame
    positions: pd.DataFrame


def venue_detail(book: PreparedBook, candidate: Candidate) -> VenueDetail | None:
    """Return the accounts that ``candidate`` touches, before and after it.

    None where no venue account is known, or the candidate cannot be answered. A fill moves equity
    by its cash alone: the profit against the mark of a future, the price of spot or an option.
    """
    found = admitted(book, candidate)
    if book.venue is None or not isinstance(found, Admitted):
        return None
    flows = _flows(book, found)
    positions = _with_fills(book, found.fills)
    reported = with_reported_equity(
        book.venue, positions.venue_margin, flows, book.rates, book.rules.venues
    )
    after = venue_margins(
        book.snapshot,
        replace(positions, venue_margin=reported),
        _with_cash(book, flows),
        book.rules,
    )
    before = book.venue.before
    touched = {fill.account_id for fill in found.fills}
    touched |= {place for move in found.moves for place in (move.source, move.destination)}
    return VenueDetail(
        accounts=_accounts(before, after, touched), positions=_positions(book, before, after, found)
    )


def _with_fills(book: PreparedBook, fills: tuple[Fill, ...]) -> PositionSet:
    rows = book.positions.positions
    sources = sorted(rows["source"].unique()) or [SOURCES[0]]
    for fill in fills:
        name = str(book.market.instrument_id[fill.row])
        is_held = (rows["account_id"] == fill.account_id) & (rows["instrument_id"] == name)
        if is_held.any():
            changed = rows["quantity"].where(~is_held, rows["quantity"] + fill.change)
            rows = rows.assign(quantity=changed)
            continue
        new = pd.DataFrame(
            {
                "source": sources,
                "account_id": fill.account_id,
                "instrument_id": name,
                "client_id": book.agreement.client_id,
                "netting_set_id": book.netting_set_id,
                "venue": book.instruments.venue[fill.row],
                "quantity": fill.change,
                "settled_price": _price(book, fill),
            }
        )
        rows = pd.concat([rows, new], ignore_index=True)
    return replace(book.positions, positions=rows)


def _price(book: PreparedBook, fill: Fill) -> float:
    if fill.price is not None:
        return fill.price
    return float(book.terms.price[book.terms_row[fill.row]])


def _flows(book: PreparedBook, found: Admitted) -> list[Flow]:
    """Return what each fill pays, and what each transfer moves, place by place."""
    flows = [Flow(fill.account_id, *_paid(book, fill)) for fill in found.fills]
    for move in found.moves:
        flows.append(Flow(move.source, move.asset, -move.quantity, is_transfer=True))
        flows.append(Flow(move.destination, move.asset, move.quantity, is_transfer=True))
    return [flow for flow in flows if flow.place != OUTSIDE and flow.amount]


def _with_cash(book: PreparedBook, flows: list[Flow]) -> CollateralSet:
    """Return settled collateral after all flows; a fill pays at accounts with collateral alone."""
    held = dict(book.holdings.collateral)
    funded = {place for place, _ in held} | {flow.place for flow in flows if flow.is_transfer}
    for flow in flows:
        if flow.place in funded:
            key = (flow.place, flow.asset)
            held[key] = held.get(key, 0.0) + flow.amount
    return CollateralSet(
        pd.DataFrame(
            {
                "source": SOURCES[0],
                "netting_set_id": book.netting_set_id,
                "location": pd.Series([place for place, _ in held], dtype="str"),
                "asset": pd.Series([asset for _, asset in held], dtype="str"),
                "state": "settled",
                "client_id": book.agreement.client_id,
                "quantity": np.array(list(held.values()), dtype=np.float64),
            }
        )
    )


def _paid(book: PreparedBook, fill: Fill) -> tuple[str, float]:
    """Return what a fill brings in or costs at once, and in which asset."""
    assert book.venue is not None
    held, at = book.venue.accounts.market.instruments, fill.row
    asset, price = str(held.settlement_asset[at]), _price(book, fill)
    multiplier = float(held.contract_multiplier[at])
    if held.is_option[at] or held.is_spot[at]:
        return asset, -fill.change * multiplier * price
    rows = book.positions.positions
    name = str(book.market.instrument_id[at])
    mine = rows[(rows["account_id"] == fill.account_id) & (rows["instrument_id"] == name)]
    if mine.empty:
        return asset, 0.0
    # The row keeps the price at which it was last settled, so the fill's own price is paid.
    settled = mine["settled_price"].to_numpy(dtype=np.float64)[:1]
    paid = variation_margin(
        np.array([fill.change]), np.array([multiplier]), np.array([price]), settled,
        np.asarray(held.is_inverse[at : at + 1]),
    )  # fmt: skip
    return asset, float(paid[0])


def _accounts(before: VenueMargins, after: VenueMargins, touched: set[str]) -> pd.DataFrame:
    sides = [
        each.margins.set_index("account_id")[[*_ACCOUNT_FIGURES]].add_suffix(f"_{when}")
        for each, when in ((before, "before"), (after, "after"))
    ]
    facts = after.margins.set_index("account_id")[
        ["venue", "account_mode", "ratio_kind", "evidence"]
    ]
    table = facts.join(sides[0]).join(sides[1]).reset_index()
    table = table[table["account_id"].isin(list(touched - {OUTSIDE}))]
    return table[list(ACCOUNT_DETAIL_COLUMNS)].reset_index(drop=True)


def _positions(
    book: PreparedBook, before: VenueMargins, after: VenueMargins, found: Admitted
) -> pd.DataFrame:
    keys = pd.MultiIndex.from_tuples(
        dict.fromkeys(
            (fill.account_id, str(book.market.instrument_id[fill.row])) for fill in found.fills
        ),
        names=["account_id", "instrument_id"],
    )
    prices = [
        each.positions.set_index(["account_id", "instrument_id"])[["liquidation_price"]]
        .reindex(keys)
        .add_suffix(f"_{when}")
        for each, when in ((before, "before"), (after, "after"))
    ]
    table = prices[0].join(prices[1]).reset_index()
    names = table["instrument_id"].astype(str).tolist()
    rows = [book.instruments.row_of[name] for name in names]
    accounts = table["account_id"].astype(str).tolist()
    traded = list(zip(accounts, names, rows, strict=True))
    held = book.holdings.by_instrument
    table["mark_price"] = book.terms.price[book.terms_row[rows]]
    table["quantity_before"] = [held.get(n, {}).get(account, 0.0) for account, n, _ in traded]
    table["quantity_after"] = [found.by_account[account][row] for account, _, row in traded]
    return table[list(POSITION_DETAIL_COLUMNS)]

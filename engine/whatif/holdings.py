"""What a netting set holds, account by account and location by location, and what moves in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from engine.books import AGREED, FILLED, filled_quantities, reporting_sources
from engine.portfolio import Portfolio
from engine.snapshot import PositionSet
from engine.whatif.candidate import OUTSIDE, Order, Transfer

# Of a netting set that has no account at a venue, or no collateral anywhere yet.
NEW_ACCOUNT = "new"


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Holdings of one netting set whose sources agree.

    Attributes
    ----------
    by_instrument : mapping of mapping
        Signed quantity by instrument and account, accounts in order. [contracts]
    accounts : mapping
        Accounts at each venue, in order.
    filled : mapping of mapping
        By book, what its filled open orders add to each instrument. [contracts]
    collateral : mapping
        Settled quantity by (location, asset), in order. [asset]
    """

    by_instrument: Mapping[str, Mapping[str, float]]
    accounts: Mapping[str, tuple[str, ...]]
    filled: Mapping[str, Mapping[str, float]]
    collateral: Mapping[tuple[str, str], float]


def holdings_of(book: Portfolio, positions: PositionSet, netting_set_id: str) -> Holdings:
    """Return what ``netting_set_id`` holds by the book that counts where sources agree."""
    rows = positions.positions
    # Where sources agree within tolerance, the first that reports is what is margined.
    source = reporting_sources(book.reconciliation)[0]
    mine = rows[(rows["netting_set_id"] == netting_set_id) & (rows["source"] == source)]
    mine = mine.sort_values(["instrument_id", "account_id"], kind="stable")
    by_instrument: dict[str, dict[str, float]] = {}
    for name, account, quantity in zip(
        mine["instrument_id"].astype(str),
        mine["account_id"].astype(str),
        mine["quantity"].astype(float),
        strict=True,
    ):
        by_instrument.setdefault(name, {})[account] = quantity
    orders = positions.open_orders
    settled = book.reconciliation.collateral
    settled = settled[
        (settled["netting_set_id"] == netting_set_id) & (settled["state"] == "settled")
    ].sort_values(["location", "asset"], kind="stable")
    return Holdings(
        by_instrument=by_instrument,
        accounts=_accounts(positions, netting_set_id),
        filled=_filled(orders[orders["netting_set_id"] == netting_set_id]),
        collateral={
            (location, asset): quantity
            for location, asset, quantity in zip(
                settled["location"].astype(str),
                settled["asset"].astype(str),
                settled["quantity"].astype(float),
                strict=True,
            )
        },
    )


def _accounts(positions: PositionSet, netting_set_id: str) -> dict[str, tuple[str, ...]]:
    """Return the accounts at each venue: those that hold or ask something, and those in force."""
    frames = (positions.positions, positions.open_orders, positions.accounts)
    pairs = {
        (str(venue), str(account))
        for frame in frames
        if "venue" in frame
        for venue, account in frame.loc[
            frame["netting_set_id"] == netting_set_id, ["venue", "account_id"]
        ]
        .drop_duplicates()
        .to_numpy(dtype=object)
    }
    by_venue: dict[str, list[str]] = {}
    for venue, account in sorted(pairs):
        by_venue.setdefault(venue, []).append(account)
    return {venue: tuple(accounts) for venue, accounts in by_venue.items()}


def _filled(orders: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {
        AGREED + FILLED[side]: dict(
            zip(added["instrument_id"].astype(str), added["quantity"].astype(float), strict=True)
        )
        for side, added in filled_quantities(orders)
        if len(added)
    }


@dataclass(frozen=True, slots=True)
class Moved:
    """A transfer with both of its ends found."""

    asset: str
    quantity: float
    source: str
    destination: str


def account_of(order: Order, venue: str, holdings: Holdings) -> str:
    """Return the account that trades: the named one, else one that holds the instrument, else the
    first at the venue, else a new one."""
    if order.account_id is not None:
        return order.account_id
    held = holdings.by_instrument.get(order.instrument_id)
    if held:
        return max(held, key=lambda account: abs(held[account]))
    at_venue = holdings.accounts.get(venue)
    return at_venue[0] if at_venue else f"{NEW_ACCOUNT}:{venue}"


def ends_of(transfer: Transfer, holdings: Holdings) -> Moved:
    """Return the transfer with the location that each of its ends means."""
    return Moved(
        transfer.asset,
        transfer.quantity,
        _location(transfer.source, transfer.asset, holdings),
        _location(transfer.destination, transfer.asset, holdings),
    )


def _location(named: str | None, asset: str, holdings: Holdings) -> str:
    if named is not None:
        return named
    held = {place: q for (place, name), q in holdings.collateral.items() if name == asset}
    if held:
        return max(held, key=lambda place: held[place])
    return next((place for place, _ in holdings.collateral), NEW_ACCOUNT)


def netted(quantities: Iterable[float]) -> float:
    """Return the sum as the grouped sums of pandas have it: compensated, in order.

    A candidate's quantity has to be the one that a full assessment finds, to the last bit.
    """
    total = compensation = 0.0
    for quantity in quantities:
        summand = quantity - compensation
        following = total + summand
        compensation = following - total - summand
        total = following
    return total


def with_order(by_account: Mapping[str, float], account: str, change: float) -> dict[str, float]:
    """Return quantities by account, in order, after one order."""
    changed = dict(by_account)
    changed[account] = changed.get(account, 0.0) + change
    return changed if account in by_account else dict(sorted(changed.items()))


def with_transfer(
    collateral: Mapping[tuple[str, str], float], moved: Moved
) -> dict[tuple[str, str], float]:
    """Return settled quantities by location and asset, in order, after one transfer."""
    changed = dict(collateral)
    for place, sign in ((moved.source, -1.0), (moved.destination, 1.0)):
        if place != OUTSIDE:
            key = (place, moved.asset)
            changed[key] = changed.get(key, 0.0) + sign * moved.quantity
    return dict(sorted(changed.items()))

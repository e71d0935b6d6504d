"""Which candidates can be answered, and what each of them would leave the netting set holding.

Everything here fails closed: what is unknown, stale, not finite or far too large is refused in its
row, with the value found, the limit, and what to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import MarginPlatformError, MissingDataError, ModelInputError, ParameterError
from engine.portfolio import why_unknown
from engine.whatif.candidate import OUTSIDE, Candidate, Order, Transfer
from engine.whatif.held_book import PreparedBook
from engine.whatif.holdings import (
    Moved,
    account_of,
    ends_of,
    netted,
    with_order,
    with_transfer,
)

PARTS_MAX: Final = 1_000
"""Most orders and transfers of one candidate."""
VOLUME_DAYS_MAX: Final = 10.0
"""Largest exposure of one order, in days of its underlying's average volume: more is a slip."""
TRANSFER_VALUE_MAX: Final = 1e12
"""Largest value of one transfer. [USD]"""
# Quantities are decimals in floats: a whole number of lots is met to this share of a lot.
LOT_NOISE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Fill:
    """One order of a candidate as it would be booked."""

    row: int
    """Row of the instrument in the market."""
    change: float
    """Signed contracts."""
    price: float | None
    account_id: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A candidate that can be answered, and what it would leave.

    Attributes
    ----------
    fills : tuple of Fill
    moves : tuple of Moved
    by_account : dict of dict
        By account that trades, the new quantity of each instrument row. [contracts]
    quantities : dict
        New quantity of each row of the market's matrices that is touched: instruments, and assets
        whose collateral falls in some scenario.
    collateral : dict or None
        Settled quantities by (location, asset) after the transfers; None where there are none.
    notes : tuple of str
        What was assumed.
    """

    fills: tuple[Fill, ...]
    moves: tuple[Moved, ...]
    by_account: dict[str, dict[int, float]]
    quantities: dict[int, float]
    collateral: dict[tuple[str, str], float] | None
    notes: tuple[str, ...]


def admitted(book: PreparedBook, candidate: Candidate) -> Admitted | MarginPlatformError:
    """Return the candidate resolved against the book, or the error that says why it is refused."""
    try:
        return _admitted(book, candidate)
    except MarginPlatformError as error:
        return error


def _admitted(book: PreparedBook, candidate: Candidate) -> Admitted:
    if candidate.fault:
        raise ModelInputError(candidate.fault)
    n_parts = len(candidate.orders) + len(candidate.transfers)
    if not 0 < n_parts <= PARTS_MAX:
        raise ModelInputError(
            f"the candidate has {n_parts} orders and transfers, limit 1 to {PARTS_MAX}",
            identifier=candidate.candidate_id,
            value=n_parts,
            limit=f"1 to {PARTS_MAX}",
        )
    notes: list[str] = []
    fills = tuple(_filled(book, order, notes) for order in candidate.orders)
    held = _held(book, fills)
    quantities = {row: netted(by_account.values()) for row, by_account in held.items()}
    accounts: dict[str, dict[int, float]] = {}
    for fill in fills:
        accounts.setdefault(fill.account_id, {})[fill.row] = held[fill.row][fill.account_id]
    if not candidate.transfers:
        return Admitted(fills, (), accounts, quantities, None, tuple(notes))
    collateral = dict(book.holdings.collateral)
    moves = []
    for transfer in candidate.transfers:
        moved = _moved(book, transfer, notes)
        collateral = _transferred(collateral, moved, transfer)
        moves.append(moved)
    for asset in {moved.asset: None for moved in moves}:
        row = book.collateral_row.get(asset)
        if row is not None:
            quantities[row] = netted(q for (_, name), q in collateral.items() if name == asset)
    return Admitted(fills, tuple(moves), accounts, quantities, collateral, tuple(notes))


def _filled(book: PreparedBook, order: Order, notes: list[str]) -> Fill:
    name = order.instrument_id
    if order.side not in ("buy", "sell"):
        raise ModelInputError(f"side of {name} is {order.side!r}, limit buy or sell")
    _require_positive(f"quantity of {name}", order.quantity, name)
    if order.price is not None:
        _require_positive(f"price of {name}", order.price, name)
    row = book.instruments.row_of.get(name)
    if row is None:
        text = why_unknown(np.array([name], dtype=object), book.market)[0]
        raise MissingDataError(
            f"unknown instrument {text}: name one of the {book.market.n_instruments} of the "
            "snapshot",
            identifier=name,
        )
    if book.market.fault[row]:
        raise MissingDataError(
            f"{book.market.fault[row]}: bring a fresh price and close the date again, or name "
            "another instrument",
            identifier=name,
        )
    if not book.instruments.has_finite_pnl[row]:
        raise ModelInputError(
            f"{name} has no finite profit in some scenario: correct its terms or its mark",
            identifier=name,
        )
    _require_size(book, order, row)
    venue = book.instruments.venue[row]
    account = account_of(order, venue, book.holdings)
    if order.account_id is None:
        at_venue = book.holdings.accounts.get(venue, ())
        if not at_venue:
            notes.append(f"no account at {venue} yet")
        elif len(at_venue) > 1:
            notes.append(f"{account} of {len(at_venue)} accounts at {venue}")
    elif account not in book.holdings.accounts.get(venue, ()):
        known = ", ".join(book.holdings.accounts.get(venue, ())) or "none"
        raise MissingDataError(
            f"{book.netting_set_id} has no account {account} at {venue}, where {name} trades; it "
            f"has {known}",
            identifier=account,
        )
    return Fill(row, order.change, order.price, account)


def _require_positive(name: str, value: float, identifier: str) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ModelInputError(
            f"{name} is {value:g}, limit above 0 and finite",
            identifier=identifier,
            value=value,
            limit="> 0",
        )


def _require_size(book: PreparedBook, order: Order, row: int) -> None:
    name = order.instrument_id
    lot = book.instruments.lot_size[row]
    lots = order.quantity / lot
    if not math.isfinite(lots) or abs(lots - round(lots)) > max(LOT_NOISE, lots * 1e-12):
        raise ModelInputError(
            f"quantity of {name} is {order.quantity:g}, no multiple of its lot of {lot:g}",
            identifier=name,
            value=order.quantity,
            limit=f"multiples of {lot:g}",
        )
    market = book.market
    unit = max(abs(float(market.unit_value[row])), abs(float(market.delta_notional[row])))
    exposure, asset = order.quantity * unit, int(market.underlying[row])
    days = exposure / float(market.average_daily_volume[asset])
    if not days <= VOLUME_DAYS_MAX:
        raise ModelInputError(
            f"order of {order.quantity:g} {name} is {exposure:,.0f} USD, {days:,.1f} days of the "
            f"average volume of {market.assets[asset]}, limit {VOLUME_DAYS_MAX:g}: split the order "
            "or correct its size",
            identifier=name,
            value=order.quantity,
            limit=f"{VOLUME_DAYS_MAX:g} days of volume",
        )


def _held(book: PreparedBook, fills: tuple[Fill, ...]) -> dict[int, dict[str, float]]:
    """Return quantities by instrument row and account after the fills, one after the other."""
    by_row: dict[int, dict[str, float]] = {}
    for fill in fills:
        held = by_row.get(fill.row)
        if held is None:
            name = str(book.market.instrument_id[fill.row])
            held = dict(book.holdings.by_instrument.get(name, {}))
        by_row[fill.row] = with_order(held, fill.account_id, fill.change)
    return by_row


def _moved(book: PreparedBook, transfer: Transfer, notes: list[str]) -> Moved:
    asset = transfer.asset
    _require_positive(f"quantity of {asset}", transfer.quantity, asset)
    terms = book.rules.house.collateral.get(asset)
    if terms is None and not any(name == asset for _, name in book.holdings.collateral):
        known = ", ".join(sorted(book.rules.house.collateral))
        raise ParameterError(
            f"no collateral parameters of {asset}: name one of {known}, or add its parameters",
            identifier=asset,
        )
    price = book.rates.get(asset)
    if price is None:
        raise MissingDataError(
            f"no usable price of {asset}: bring it and close the date again", identifier=asset
        )
    value = price * transfer.quantity
    if not value <= TRANSFER_VALUE_MAX:
        raise ModelInputError(
            f"transfer of {transfer.quantity:g} {asset} is {value:,.0f} USD, limit "
            f"{TRANSFER_VALUE_MAX:,.0f}: correct its size",
            identifier=asset,
            value=transfer.quantity,
            limit=f"{TRANSFER_VALUE_MAX:g} USD",
        )
    if terms is None or not terms.eligible:
        notes.append(f"{asset} is not eligible: it counts nothing")
    return ends_of(transfer, book.holdings)


def _transferred(
    collateral: dict[tuple[str, str], float], moved: Moved, transfer: Transfer
) -> dict[tuple[str, str], float]:
    if moved.source == moved.destination:
        raise ModelInputError(
            f"transfer of {moved.asset} is from {moved.source} to the same place: name two",
            identifier=moved.asset,
            value=moved.source,
        )
    held = collateral.get((moved.source, moved.asset), 0.0)
    if moved.source != OUTSIDE and transfer.quantity > held:
        raise ModelInputError(
            f"transfer of {transfer.quantity:g} {moved.asset} out of {moved.source}, where "
            f"{held:g} are settled: move at most that, or name another location",
            identifier=moved.asset,
            value=transfer.quantity,
            limit=f"<= {held:g}",
        )
    return with_transfer(collateral, moved)

"""Admission of many single orders: what an instrument's first order found holds for the next ones.

Ten thousand candidates are mostly single orders in instruments that come again and again. Whatever
is not exactly that goes the whole way through ``engine.whatif.admission``, and so does every order
that would be refused, so that there is one place which says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from engine.errors import MarginPlatformError
from engine.whatif.admission import LOT_NOISE, VOLUME_DAYS_MAX, Admitted, Fill, admitted
from engine.whatif.candidate import Candidate, Order
from engine.whatif.held_book import PreparedBook

_SIDES: Final = ("buy", "sell")


@dataclass(frozen=True, slots=True)
class _Known:
    """What every order in one instrument shares that names no account."""

    row: int
    account_id: str
    held: float
    """Contracts in that account, which alone holds the instrument."""
    lot_size: float
    unit_exposure: float
    average_daily_volume: float
    notes: tuple[str, ...]


class Admissions:
    """Admits candidates of one book, with the same answers as ``admitted``."""

    def __init__(self, book: PreparedBook) -> None:
        self._book = book
        self._known: dict[str, _Known | None] = {}

    def __call__(self, candidate: Candidate) -> Admitted | MarginPlatformError:
        """Return the candidate resolved against the book, or why it is refused."""
        orders = candidate.orders
        if len(orders) != 1 or candidate.transfers or candidate.fault:
            return admitted(self._book, candidate)
        order = orders[0]
        if order.account_id is not None:
            return admitted(self._book, candidate)
        name = order.instrument_id
        if name not in self._known:
            found = admitted(self._book, candidate)
            if isinstance(found, Admitted):
                self._known[name] = self._learned(name, found)
            return found
        known = self._known[name]
        if known is None or not _is_plain(order, known):
            return admitted(self._book, candidate)
        change = order.quantity if order.side == "buy" else -order.quantity
        after = known.held + change
        row, account = known.row, known.account_id
        return Admitted(
            fills=(Fill(row, change, order.price, account),),
            moves=(),
            by_account={account: {row: after}},
            # As a compensated sum of one has it, which knows no negative zero.
            quantities={row: 0.0 + after},
            collateral=None,
            notes=known.notes,
        )

    def _learned(self, name: str, found: Admitted) -> _Known | None:
        """Return what the next order may take over; None where several accounts hold the
        instrument."""
        book, (fill,) = self._book, found.fills
        held = book.holdings.by_instrument.get(name, {})
        if any(account != fill.account_id for account in held):
            return None
        market = book.market
        unit = max(
            abs(float(market.unit_value[fill.row])), abs(float(market.delta_notional[fill.row]))
        )
        return _Known(
            row=fill.row,
            account_id=fill.account_id,
            held=held.get(fill.account_id, 0.0),
            lot_size=book.instruments.lot_size[fill.row],
            unit_exposure=unit,
            average_daily_volume=float(
                market.average_daily_volume[int(market.underlying[fill.row])]
            ),
            notes=found.notes,
        )


def _is_plain(order: Order, known: _Known) -> bool:
    """Return whether nothing of the order gives cause to refuse it."""
    quantity, price = order.quantity, order.price
    if order.side not in _SIDES or not 0.0 < quantity < math.inf:
        return False
    if price is not None and not 0.0 < price < math.inf:
        return False
    lots = quantity / known.lot_size
    if not lots < math.inf or abs(lots - round(lots)) > max(LOT_NOISE, lots * 1e-12):
        return False
    return quantity * known.unit_exposure / known.average_daily_volume <= VOLUME_DAYS_MAX

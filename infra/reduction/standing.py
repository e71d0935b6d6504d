"""Is the netting set still in breach? Asked before every order, so that it stops in time (I-47).

Two answers end a reduction: the call that caused it is closed, or what is owed over collateral is
back at the plan's target. The second is a question to whoever knows the book as it is now: the
intraday loop, or the engine on the close of the plan with the plan's own fills in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from engine.errors import MarginPlatformError, StateError
from engine.whatif import ANSWERED, Candidate, Order, PreparedBook, what_if
from infra.clock import Clock, utc_now
from infra.db.reduction_queries import LADDER_CAUSE
from infra.db.reduction_records import OrderRecord, ReductionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is owed over collateral value, as of an instant, and who says so. [-]"""

    ratio: float
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What a plan has filled so far in one instrument: signed contracts at an average price."""

    account_id: str
    instrument_id: str
    quantity: Decimal
    average_price: Decimal | None


class Standings(Protocol):
    """Who knows where a netting set stands."""

    def now(self, record: ReductionRecord, traded: Sequence[Traded]) -> Standing | None:
        """Return where it stands with ``traded``; None if that is not known."""


class AssessedStandings:
    """The engine's answer on the inputs of the plan, with the plan's own fills in them.

    ``load`` returns the netting set as the plan saw it; it is called once per plan.
    """

    def __init__(
        self, load: Callable[[ReductionRecord], PreparedBook], clock: Clock = utc_now
    ) -> None:
        self._load, self._clock = load, clock
        self._books: dict[str, PreparedBook] = {}

    def now(self, record: ReductionRecord, traded: Sequence[Traded]) -> Standing | None:
        """Return the ratio of the plan's inputs with its fills; see ``Standings``."""
        if record.plan_id not in self._books:
            try:
                self._books[record.plan_id] = self._load(record)
            except MarginPlatformError:
                return None
        book = self._books[record.plan_id]
        ratio = ratio_with(book, traded)
        if ratio is None:
            return None
        source = f"{record.intent.run_id} with the fills so far"
        return Standing(ratio=ratio, as_of=self._clock(), source=source)


@dataclass(frozen=True, slots=True)
class LeftToTheLoop:
    """Standings of whoever has no loop to ask: what its ladder has led to is left alone."""

    others: Standings

    def now(self, record: ReductionRecord, traded: Sequence[Traded]) -> Standing | None:
        """Return the others' answer; raises StateError for a plan of the ladder."""
        if record.intent.cause.startswith(LADDER_CAUSE):
            raise StateError(
                "the desk beside the loop sends it, on live figures: see "
                "`plimsoll intraday status`",
                identifier=record.plan_id,
            )
        return self.others.now(record, traded)


def ratio_with(book: PreparedBook, traded: Sequence[Traded]) -> float | None:
    """Return what is owed over collateral value with fills in a book, None if unanswered."""
    orders = tuple(
        Order(
            side="buy" if one.quantity > 0 else "sell",
            quantity=float(abs(one.quantity)),
            instrument_id=one.instrument_id,
            account_id=one.account_id,
            price=None if one.average_price is None else float(one.average_price),
        )
        for one in traded
        if one.quantity
    )
    if not orders:
        return float(book.before.iloc[0]["margin_ratio"])
    found = what_if(book, [Candidate(candidate_id="filled", orders=orders)]).candidates.iloc[0]
    ratio = float(found["margin_ratio"])
    return ratio if found["answer"] == ANSWERED and ratio == ratio else None


def traded_by(record: ReductionRecord, orders: Sequence[OrderRecord]) -> list[Traded]:
    """Return what the orders of a plan have filled, by leg."""
    found = []
    for leg in record.intent.legs:
        own = [one for one in orders if one.leg == leg.number and one.filled_lots]
        lots = sum(one.filled_lots for one in own)
        if lots:
            found.append(
                Traded(
                    account_id=leg.account_id,
                    instrument_id=leg.instrument_id,
                    quantity=lots * leg.lot * leg.sign,
                    average_price=_average(own),
                )
            )
    return found


def _average(orders: Sequence[OrderRecord]) -> Decimal | None:
    if any(one.average_price is None for one in orders):
        return None
    total = sum((one.filled_lots * (one.average_price or Decimal(0)) for one in orders), Decimal(0))
    return total / Decimal(sum(one.filled_lots for one in orders))

"""A venue in this process, exact and obedient: what it does to each order is said beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from engine.errors import (
    Maintenance,
    NotSent,
    OutcomeUnknown,
    Unsupported,
    VenueRejected,
    VenueUnavailable,
)
from engine.order_ports import HedgeOrder, OrderGuarantees, OrderReport, ReduceOrder
from engine.ports import AccountSnapshot, HeldPosition, Mark, Reading, ReportedMargin
from infra.reduction import Standing, Traded, Wiring
from tests.worlds.reductions import ACCOUNT, PERP

PLACE = "sim/1"
EXPIRY = timedelta(seconds=6)
SETTLE = timedelta(seconds=4)
TREATMENTS = (
    "clean", "partial", "nothing", "not_sent", "maintenance", "reset_before", "reset_after",
    "delayed", "refused", "slow", "broken_adapter", "nonsense",
)  # fmt: skip


@dataclass
class Placed:
    """An order as the venue has it; ``due`` is when its engine gets to it."""

    key: str
    instrument_id: str
    sign: int
    quantity: Decimal
    is_reduce_only: bool
    due: datetime
    filled: Decimal = Decimal(0)
    status: str = "open"
    price: Decimal | None = None


@dataclass
class FakeVenue:
    """Positions, orders by key, and requests that wait to be accepted."""

    clock: Callable[[], datetime]
    positions: dict[str, Decimal] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=lambda: {PERP: Decimal(60_000)})
    orders: list[Placed] = field(default_factory=list)
    queue: list[tuple[datetime, Placed]] = field(default_factory=list)
    treatment: str = "clean"
    is_whole: bool = True
    lookups_fail: bool = False
    has_what_if: bool = False
    what_if_margin: Decimal = Decimal(0)
    n_submitted: int = 0
    sent_at: list[datetime] = field(default_factory=list)
    on_submit: Callable[[], None] = lambda: None
    on_snapshot: Callable[[], None] = lambda: None

    # One object for all ports, as the desk sees them.
    @property
    def accounts(self) -> FakeVenue:
        return self

    @property
    def market(self) -> FakeVenue:
        return self

    @property
    def actions(self) -> FakeVenue:
        return self

    @property
    def what_if(self) -> FakeVenue:
        return self

    @property
    def wiring(self) -> Wiring:
        """Return the wiring of the one account."""
        return Wiring({ACCOUNT: PLACE}, {"sim": self})  # type: ignore[dict-item]

    def order_guarantees(self) -> OrderGuarantees:
        return OrderGuarantees(is_keyed=False, request_expiry=EXPIRY, settle_window=SETTLE)

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        self.on_snapshot()
        self.settle()
        reading = Reading(source="sim", received_at=self.clock(), is_complete=self.is_whole)
        held = tuple(
            HeldPosition(instrument_id=name, quantity=quantity)
            for name, quantity in sorted(self.positions.items())
            if quantity
        )
        margin = ReportedMargin(
            bucket="USD", currency="USD", initial_margin=Decimal(100),
            maintenance_margin=Decimal(50), equity=Decimal(200),
        )  # fmt: skip
        return AccountSnapshot(
            account_id=account_id, reading=reading, positions=held, balances=(), orders=(),
            margins=(margin,),
        )  # fmt: skip

    async def marks_of(self, instrument_ids: Sequence[str]) -> tuple[Mark, ...]:
        reading = Reading(source="sim", received_at=self.clock())
        return tuple(
            Mark(instrument_id=name, reading=reading, mark_price=self.marks[name])
            for name in instrument_ids
            if name in self.marks
        )

    async def simulate(
        self, account_id: str, changes: Mapping[str, Decimal]
    ) -> tuple[ReportedMargin, ...]:
        if not self.has_what_if:
            raise Unsupported("no what-if")
        return (
            ReportedMargin(
                bucket="USD", currency="USD", initial_margin=self.what_if_margin,
                maintenance_margin=Decimal(0), equity=Decimal(200),
            ),
        )  # fmt: skip

    async def reduce(self, order: ReduceOrder) -> OrderReport:
        return self._submit(order, is_reduce_only=True)

    async def hedge(self, order: HedgeOrder) -> OrderReport:
        return self._submit(order, is_reduce_only=False)

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        if self.lookups_fail:
            raise VenueUnavailable("503")
        self.settle()
        found = [one for one in self.orders if one.key == key]
        return self._report(found[0]) if found else None

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        self.settle()
        for one in self.orders:
            if f"O-{one.key[:6]}" == order_id and one.status == "open":
                one.status = "cancelled"

    def n_executions(self, key: str) -> int:
        """Return how many orders of a key there are."""
        return sum(one.key == key for one in self.orders)

    def filled(self, instrument_id: str = PERP) -> Decimal:
        """Return signed contracts that orders have filled."""
        own = [one for one in self.orders if one.instrument_id == instrument_id]
        return sum((one.filled * one.sign for one in own), Decimal(0))

    def settle(self) -> None:
        """Accept what is due, then match what is due."""
        now = self.clock()
        due = [order for at, order in self.queue if at <= now]
        self.queue = [(at, order) for at, order in self.queue if at > now]
        self.orders += due
        for one in self.orders:
            if one.status == "open" and one.due <= now:
                self._match(one, "clean")

    def _submit(self, order: ReduceOrder | HedgeOrder, *, is_reduce_only: bool) -> OrderReport:
        self.n_submitted += 1
        self.sent_at.append(self.clock())
        self.on_submit()
        self.settle()
        treatment, now = self.treatment, self.clock()
        placed = Placed(
            order.key, order.instrument_id, 1 if order.side == "buy" else -1, order.quantity,
            is_reduce_only, now,
        )  # fmt: skip
        if treatment == "not_sent":
            raise NotSent("connection refused")
        if treatment == "maintenance":
            raise Maintenance("settlement", retry_after_seconds=30.0)
        if treatment == "reset_before":
            raise OutcomeUnknown("reset by peer")
        if treatment == "refused":
            raise VenueRejected("the venue does not want it", cause="policy")
        if treatment == "delayed":
            self.queue.append((now + EXPIRY * 0.9, placed))
            raise OutcomeUnknown("timed out")
        if treatment == "slow":
            placed.due = now + timedelta(seconds=600)
        self.orders.append(placed)
        if treatment != "slow":
            self._match(placed, treatment)
        if treatment == "reset_after":
            raise OutcomeUnknown("reset by peer")
        if treatment == "broken_adapter":
            raise KeyError("result")
        report = self._report(placed)
        if treatment == "nonsense":
            return OrderReport(
                key=placed.key, order_id="O", status="filled", filled_quantity=placed.quantity * 2,
                average_price=None, reading=report.reading,
            )  # fmt: skip
        return report

    def _match(self, one: Placed, treatment: str) -> None:
        held = self.positions.get(one.instrument_id, Decimal(0))
        quantity = one.quantity
        if one.is_reduce_only:
            quantity = min(quantity, abs(held)) if held * one.sign < 0 else Decimal(0)
        if treatment == "partial":
            quantity = (quantity * Decimal("0.4") / Decimal("0.1")).to_integral_value() / 10
        if treatment == "nothing":
            quantity = Decimal(0)
        one.filled, one.price = quantity, self.marks[one.instrument_id]
        one.status = "filled" if quantity == one.quantity else "cancelled"
        self.positions[one.instrument_id] = held + quantity * one.sign

    def _report(self, one: Placed) -> OrderReport:
        return OrderReport(
            key=one.key, order_id=f"O-{one.key[:6]}", status=one.status,  # type: ignore[arg-type]
            filled_quantity=one.filled, average_price=one.price if one.filled else None,
            reading=Reading(source="sim", received_at=self.clock()),
        )  # fmt: skip


class Markets(FakeVenue):
    """The venue with its market port under the port's own name."""

    @property
    def market(self):  # type: ignore[no-untyped-def]
        venue = self

        class Market:
            async def marks(self, instrument_ids: Sequence[str]) -> tuple[Mark, ...]:
                return await venue.marks_of(instrument_ids)

        return Market()


@dataclass
class RatioByPosition:
    """A standing that follows what was traded: ``start`` falls by ``per_contract`` sold."""

    clock: Callable[[], datetime]
    start: float = 1.4
    per_contract: float = 0.05
    age_seconds: float = 0.0

    def now(self, record, traded: Sequence[Traded]) -> Standing:  # type: ignore[no-untyped-def]
        done = sum(float(abs(one.quantity)) for one in traded)
        at = self.clock() - timedelta(seconds=self.age_seconds)
        return Standing(ratio=self.start - self.per_contract * done, as_of=at, source="test")

"""Send the next slices: one attempt each, from each account by its only writer.

Before the bytes leave, the plan and its payload, approvals, its time, the call that caused it, kill
switch, caps and epoch are checked again, all together, in the transaction that commits ``unknown``
(I-14, I-43, I-47, I-49).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.errors import MarginPlatformError, Unsupported, VenueError
from engine.order_ports import HedgeOrder, OrderReport, ReduceOrder
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy
from engine.reduction.resolution import judge_report
from engine.reduction.slicing import Seen, Slice, next_slice
from infra.connections.adapters import TradingVenue
from infra.crashpoints import crashpoint
from infra.db.reduction_queries import cap_use_within, cause_over_within, progress_of
from infra.db.reduction_records import (
    REDUCTIONS,
    NewOrder,
    OrderRecord,
    ReductionRecord,
    orders_within,
    require_order,
)
from infra.outbound.approving import require_let_go
from infra.outbound.asking import asked
from infra.outbound.sending import Failure, Hindered, Sender, Turn
from infra.outbound.worked import by_desk
from infra.reduction.steps import ReductionSteps, fill_of, reduction_terms, sent_order
from infra.reduction.wiring import Wiring, contracts_of, held_at, margins_told

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True)
class Looked:
    """A leg of a plan as the venue shows it, and the slice that follows."""

    record: ReductionRecord
    leg: Leg
    place: str
    venue: TradingVenue
    seen: Seen
    slice: Slice
    margins: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Ready:
    """A slice whose turn it is."""

    looked: Looked
    turn: Turn


class OrderSender(Sender[_Ready, OrderRecord, OrderReport]):
    """The only place from which orders leave."""

    noun = REDUCTIONS.noun

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        super().__init__(database, policy.timing, kill_switch)
        self._policy = policy
        self._steps = ReductionSteps(database)

    async def look(
        self, record: ReductionRecord, leg: Leg, orders: list[OrderRecord], wiring: Wiring
    ) -> Looked:
        """Return a leg with what the venue says now, and the slice that follows from it."""
        place = wiring.place_of(leg.account_id)
        venue, seconds = wiring.venue_of(place), self._timing.send_timeout_seconds
        snapshot = await held_at(venue, place, seconds)
        names = [leg.instrument_id]
        marks = await asked(venue.market.marks(names), seconds, f"mark of {leg.instrument_id}")
        mark = next((one.mark_price for one in marks if one.instrument_id in names), None)
        now = self._database.clock()
        seen = Seen(held=contracts_of(snapshot), mark_price=mark, at=now)
        with self._database.reading() as connection:
            use = cap_use_within(connection, record.intent.netting_set_id, place, now)
        found = next_slice(leg, progress_of(orders, leg.number), seen, use, self._policy)
        return Looked(record, leg, place, venue, seen, found, margins_told(snapshot))

    async def send(self, looked: Looked) -> str:
        """Send the slice as the place's only writer; return a sentence about it.

        Raises
        ------
        Hindered
            If it cannot be sent now; nothing was recorded.
        """
        if not looked.leg.is_reduce_only:
            await self._require_relief(looked)
        scope = f"orders:{looked.place}"
        with self._turn(scope, scope, f"orders for {looked.place}") as turn:
            turn.lease.require_held()
            return await self._send(_Ready(looked, turn))

    async def _require_relief(self, looked: Looked) -> None:
        """Ask the venue whether a hedge would raise its own margin, where it answers that."""
        leg, found = looked.leg, looked.slice
        change = {leg.instrument_id: found.lots * leg.lot * leg.sign}
        seconds = self._timing.send_timeout_seconds
        try:
            after = await asked(
                looked.venue.what_if.simulate(looked.place, change), seconds, "what-if"
            )
        except Unsupported:
            return
        except VenueError as error:
            raise Hindered(f"the venue does not say what the hedge would do: {error}") from error
        before = {one["bucket"]: Decimal(one["initial_margin"]) for one in looked.margins}
        for one in after:
            if one.initial_margin > before.get(one.bucket, one.initial_margin):
                raise Hindered(
                    f"the venue's own initial margin in {one.bucket} would rise from "
                    f"{before[one.bucket]} to {one.initial_margin} {one.currency} by the hedge"
                )

    def _commit(self, connection: Connection, ready: _Ready) -> OrderRecord:
        looked, epoch = ready.looked, ready.turn.epoch
        record = REDUCTIONS.require(connection, looked.record.plan_id)
        self._require_free(connection, record, looked.record, ready.turn)
        self._require_rules(connection, record)
        found = self._slice_again(connection, record, looked)
        progress = progress_of(orders_within(connection, record.plan_id), looked.leg.number)
        held = looked.seen.held.get(looked.leg.instrument_id, Decimal(0))
        new = NewOrder(
            leg=looked.leg.number, slice=progress.n_slices + 1, place=looked.place,
            lots=found.lots, limit_price=found.limit_price, notional=found.notional,
            position_before=held, epoch=epoch,
            look_at=self._database.clock() + self._timing.pause(1),
        )  # fmt: skip
        cause = by_desk(
            found.reason, payload_hash=record.payload_hash, epoch=epoch, lots=found.lots,
            limit_price=found.limit_price, mark_price=looked.seen.mark_price, held=held,
            margins=looked.margins,
        )  # fmt: skip
        return self._steps.sent(connection, record, new, cause)

    def _slice_again(
        self, connection: Connection, record: ReductionRecord, looked: Looked
    ) -> Slice:
        """Return the slice by what is on record now; what the venue said must still be fresh."""
        now = self._database.clock()
        if now - looked.seen.at > timedelta(seconds=self._timing.send_timeout_seconds):
            raise Hindered("what the venue said is too old by now")
        progress = progress_of(orders_within(connection, record.plan_id), looked.leg.number)
        use = cap_use_within(connection, record.intent.netting_set_id, looked.place, now)
        seen = replace(looked.seen, at=now)
        found = next_slice(looked.leg, progress, seen, use, self._policy)
        if found.verdict != "send":
            raise Hindered(found.reason)
        return found

    def _require_rules(self, connection: Connection, record: ReductionRecord) -> None:
        now = self._database.clock()
        intent = record.intent
        if intent.plan_id != record.plan_id or intent.payload_hash != record.payload_hash:
            raise Hindered(f"reduction {record.plan_id} was altered")
        if record.valid_until <= now:
            raise Hindered(f"the plan was of use until {record.valid_until:%H:%M:%S}Z")
        over = cause_over_within(connection, intent.cause)
        if over:
            raise Hindered(over)
        # How long a plan is of use ends its approvals as well.
        lifetime = (now - record.recorded_at).total_seconds() / 3600 + 1
        terms = reduction_terms(record, self._policy, lifetime)
        try:
            require_let_go(connection, REDUCTIONS, record, terms, now)
        except MarginPlatformError as error:
            raise Hindered(str(error)) from error

    def _submit(self, ready: _Ready, sent: OrderRecord) -> Awaitable[OrderReport]:
        looked, leg = ready.looked, ready.looked.leg
        order = HedgeOrder(
            key=sent.order_key, account_id=looked.place, instrument_id=leg.instrument_id,
            side=leg.side, quantity=sent.lots * leg.lot, limit_price=sent.limit_price,
        )  # fmt: skip
        actions = looked.venue.actions
        if not leg.is_reduce_only:
            return actions.hedge(order)
        return actions.reduce(ReduceOrder(**asdict(order)))

    def _replied(self, ready: _Ready, sent: OrderRecord, report: OrderReport) -> str:
        if report.key not in ("", sent.order_key):
            return self._unclear(sent, f"the answer is for {report.key}")
        order = sent_order(sent, ready.looked.leg)
        found = judge_report(order, report, sent.sent_at, self._policy.timing)
        if found.verdict == "ask":
            return self._unclear(sent, found.reason)
        cause = by_desk(found.reason, order_id=report.order_id)
        state = found.verdict if found.verdict in ("filled", "cancelled") else "open"
        with self._database.writing() as connection:
            now = require_order(connection, sent.order_key)
            if now.state == "unknown":
                look_at = found.until if state == "open" else None
                changes = fill_of(found.lots, report.average_price, report.order_id, look_at)
                self._steps.ended(connection, now, state, cause, **changes)
        crashpoint("reduction:replied")
        return found.reason

    def _failed(self, sent: OrderRecord, failure: Failure) -> str:
        """End an order that has had no effect; the next slice waits at least a pause."""
        if failure.outcome == "unclear":
            return self._unclear(sent, failure.reason)
        words = "refused by the venue" if failure.outcome == "refused" else "not sent"
        cause = by_desk(f"{words}: {failure.reason}")
        wait = max(self._timing.pause(1), timedelta(seconds=failure.pause_seconds))
        with self._database.writing() as connection:
            order = require_order(connection, sent.order_key)
            if order.state == "unknown":
                self._steps.ended(connection, order, failure.outcome, cause, look_at=None)
                self._steps.records.look_within(
                    connection, order.plan_id, note=cause.reason,
                    not_before=self._database.clock() + wait,
                )  # fmt: skip
        crashpoint("reduction:failed")
        return cause.reason

    def _unclear(self, sent: OrderRecord, reason: str) -> str:
        cause = by_desk(f"outcome unknown: {reason}")
        with self._database.writing() as connection:
            order = require_order(connection, sent.order_key)
            if order.state == "unknown":
                self._steps.order_noted(connection, order, "unclear", cause, note=cause.reason)
        crashpoint("reduction:unclear")
        return cause.reason

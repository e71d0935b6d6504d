"""Send the next slices: UNKNOWN is committed before the bytes leave, then one attempt.

The transaction that commits it checks again, all together, what was true when people decided: the
plan and its payload, approvals, its time, the call that caused it, the kill switch, caps, and that
this process still is the one that may send for the account (I-14, I-43, I-47, I-49).
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.approvals import require_approved
from engine.errors import (
    ClockSkew,
    MarginPlatformError,
    StateError,
    Unsupported,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
)
from engine.order_ports import HedgeOrder, OrderReport, ReduceOrder
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy
from engine.reduction.resolution import judge_report
from engine.reduction.slicing import Seen, Slice, next_slice
from infra.crashpoints import crashpoint
from infra.db.reduction_queries import cap_use_within, cause_over_within, progress_of
from infra.db.reduction_records import (
    NewOrder,
    OrderRecord,
    ReductionRecord,
    orders_within,
    plan_approvals_within,
    require_order,
    require_reduction,
)
from infra.db.writers import epoch_within, take_over_within
from infra.outbound.asking import asked
from infra.outbound.kill_switch import armed_within
from infra.outbound.worked import Cause
from infra.reduction.steps import DESK, ReductionSteps, fill_of, payload_of, sent_order
from infra.reduction.wiring import ReductionVenue, Wiring, contracts_of, held_at, margins_told

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True)
class Looked:
    """A leg as the venue shows it, and the slice that follows; ``epoch`` is of the place."""

    leg: Leg
    place: str
    venue: ReductionVenue
    seen: Seen
    slice: Slice
    margins: list[dict[str, str]]
    epoch: int = 0


class Hindered(Exception):
    """Nothing can be sent now."""


class OrderSender:
    """The only place from which orders leave."""

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        self._database = database
        self._policy = policy
        self._kill_switch = kill_switch
        self._steps = ReductionSteps(database)

    async def look(
        self, record: ReductionRecord, leg: Leg, orders: list[OrderRecord], wiring: Wiring
    ) -> Looked:
        """Return a leg with what the venue says now, and the slice that follows from it."""
        place = wiring.place_of(leg.account_id)
        venue, seconds = wiring.venue_of(place), self._policy.timing.send_timeout_seconds
        snapshot = await held_at(venue, place, seconds)
        names = [leg.instrument_id]
        marks = await asked(venue.market.marks(names), seconds, f"mark of {leg.instrument_id}")
        mark = next((one.mark_price for one in marks if one.instrument_id in names), None)
        now = self._database.clock()
        seen = Seen(held=contracts_of(snapshot), mark_price=mark, at=now)
        with self._database.reading() as connection:
            use = cap_use_within(connection, record.intent.netting_set_id, place, now)
        found = next_slice(leg, progress_of(orders, leg.number), seen, use, self._policy)
        return Looked(leg, place, venue, seen, found, margins_told(snapshot))

    async def send(self, record: ReductionRecord, looked: Looked) -> str:
        """Send the slice as the place's only writer; return a sentence about it.

        Raises
        ------
        Hindered
            If it cannot be sent now; nothing was recorded.
        """
        if not looked.leg.is_reduce_only:
            await self._require_relief(looked)
        with ExitStack() as held:
            try:
                lease = held.enter_context(self._database.lease(f"orders:{looked.place}"))
            except StateError as error:
                raise Hindered(str(error)) from error
            with self._database.writing() as connection:
                epoch = take_over_within(self._database, connection, f"orders:{looked.place}")
            crashpoint("reduction:epoch")
            lease.require_held()
            return await self._sent(record, replace(looked, epoch=epoch))

    async def _require_relief(self, looked: Looked) -> None:
        """Ask the venue whether a hedge would raise its own margin, where it answers that."""
        leg, found = looked.leg, looked.slice
        change = {leg.instrument_id: found.lots * leg.lot * leg.sign}
        seconds = self._policy.timing.send_timeout_seconds
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

    async def _sent(self, record: ReductionRecord, looked: Looked) -> str:
        crashpoint("reduction:before-unknown")
        with self._database.writing() as connection:
            order = self._commit(connection, record, looked)
        crashpoint("reduction:after-unknown")
        # A process that was stopped in between must not send what the resolver has judged since.
        delay = (self._database.clock() - order.sent_at).total_seconds()
        status = self._kill_switch.status()
        if status.is_armed or delay > self._policy.timing.send_delay_seconds_max:
            fact = status.sentence if status.is_armed else f"{delay:.1f} s passed since the commit"
            return self._failed(order, "not_sent", f"it has not left: {fact}", None)
        try:
            report = await asyncio.wait_for(
                _attempt(looked, order), self._policy.timing.send_timeout_seconds
            )
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the outcome is unknown
            crashpoint("reduction:after-reply")
            return self._raised(order, error)
        crashpoint("reduction:after-reply")
        return self._replied(order, looked.leg, report)

    def _commit(self, connection: Connection, read: ReductionRecord, looked: Looked) -> OrderRecord:
        """Check everything again and note that the bytes may leave, in one transaction."""
        record = require_reduction(connection, read.plan_id)
        if record.state != "working" or record.n_events != read.n_events:
            raise Hindered(f"the plan is {record.state} since")
        for status in (self._kill_switch.status(), armed_within(connection)):
            if status.is_armed:
                raise Hindered(status.sentence)
        if epoch_within(connection, f"orders:{looked.place}") != looked.epoch:
            raise Hindered(f"another process sends orders for {looked.place}")
        self._require_rules(connection, record)
        found = self._slice_again(connection, record, looked)
        progress = progress_of(orders_within(connection, record.plan_id), looked.leg.number)
        held = looked.seen.held.get(looked.leg.instrument_id, Decimal(0))
        new = NewOrder(
            leg=looked.leg.number, slice=progress.n_slices + 1, place=looked.place,
            lots=found.lots, limit_price=found.limit_price, notional=found.notional,
            position_before=held, epoch=looked.epoch,
            look_at=self._database.clock() + self._policy.timing.pause(1),
        )  # fmt: skip
        details = {
            "payload_hash": record.payload_hash, "epoch": looked.epoch, "lots": found.lots,
            "limit_price": found.limit_price, "mark_price": looked.seen.mark_price,
            "held": held, "margins": looked.margins,
        }  # fmt: skip
        cause = Cause(actor=DESK, reason=found.reason, details=details)
        return self._steps.sent(connection, record, new, cause)

    def _slice_again(
        self, connection: Connection, record: ReductionRecord, looked: Looked
    ) -> Slice:
        """Return the slice by what is on record now; what the venue said must still be fresh."""
        now = self._database.clock()
        if now - looked.seen.at > timedelta(seconds=self._policy.timing.send_timeout_seconds):
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
        approvals = plan_approvals_within(connection, record.plan_id)
        needed = self._policy.approvers_for(record.mode, record.notional)
        lifetime = (now - record.recorded_at).total_seconds() / 3600 + 1
        try:
            require_approved(
                payload_of(record), approvals, needed, lifetime_hours=lifetime, now=now
            )
        except MarginPlatformError as error:
            raise Hindered(str(error)) from error

    def _replied(self, sent: OrderRecord, leg: Leg, report: OrderReport) -> str:
        """Take over a clean answer; one that contradicts the order leaves the outcome unknown."""
        if report.key not in ("", sent.order_key):
            return self._unclear(sent, f"the answer is for {report.key}")
        found = judge_report(sent_order(sent, leg), report, sent.sent_at, self._policy.timing)
        if found.verdict == "ask":
            return self._unclear(sent, found.reason)
        cause = Cause(actor=DESK, reason=found.reason, details={"order_id": report.order_id})
        state = found.verdict if found.verdict in ("filled", "cancelled") else "open"
        with self._database.writing() as connection:
            order = require_order(connection, sent.order_key)
            if order.state == "unknown":
                look_at = found.until if state == "open" else None
                changes = fill_of(found.lots, report.average_price, report.order_id, look_at)
                self._steps.ended(connection, order, state, cause, **changes)
        crashpoint("reduction:replied")
        return found.reason

    def _raised(self, sent: OrderRecord, error: Exception) -> str:
        if isinstance(error, VenueRejected) and error.cause != "duplicate_key":
            return self._failed(sent, "refused", f"refused by the venue: {error}", None)
        if isinstance(error, VenueError) and error.was_sent == "no":
            pause = error.retry_after_seconds
            if isinstance(error, VenueAccessDenied | ClockSkew):
                # Trying again soon would only get the account locked: a person is needed.
                pause = self._policy.timing.ask_after_seconds
            return self._failed(sent, "not_sent", f"not sent: {error}", pause)
        return self._unclear(sent, f"{type(error).__name__}: {error}")

    def _failed(self, sent: OrderRecord, state: str, reason: str, pause: float | None) -> str:
        """End an order that has had no effect; the next slice waits at least a pause."""
        cause = Cause(actor=DESK, reason=reason)
        with self._database.writing() as connection:
            order = require_order(connection, sent.order_key)
            if order.state == "unknown":
                self._steps.ended(connection, order, state, cause, look_at=None)
                wait = max(self._policy.timing.pause(1), timedelta(seconds=pause or 0.0))
                self._database.reductions.look_within(
                    connection, order.plan_id, note=reason,
                    not_before=self._database.clock() + wait,
                )  # fmt: skip
        crashpoint("reduction:failed")
        return reason

    def _unclear(self, sent: OrderRecord, reason: str) -> str:
        cause = Cause(actor=DESK, reason=f"outcome unknown: {reason}")
        with self._database.writing() as connection:
            order = require_order(connection, sent.order_key)
            if order.state == "unknown":
                self._steps.order_noted(connection, order, "unclear", cause, note=cause.reason)
        crashpoint("reduction:unclear")
        return cause.reason


async def _attempt(looked: Looked, order: OrderRecord) -> OrderReport:
    leg = looked.leg
    quantity = order.lots * leg.lot
    if leg.is_reduce_only:
        return await looked.venue.actions.reduce(
            ReduceOrder(
                key=order.order_key, account_id=looked.place, instrument_id=leg.instrument_id,
                side=leg.side, quantity=quantity, limit_price=order.limit_price,
            )
        )  # fmt: skip
    return await looked.venue.actions.hedge(
        HedgeOrder(
            key=order.order_key, account_id=looked.place, instrument_id=leg.instrument_id,
            side=leg.side, quantity=quantity, limit_price=order.limit_price,
        )
    )  # fmt: skip

"""See orders through that may still act: ask the venue, cancel what is open past its time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from engine.errors import MissingDataError, StateError, VenueError
from engine.order_ports import OrderGuarantees, OrderReport
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy
from engine.reduction.resolution import (
    OrderDecision,
    OrderEvidence,
    quiet_at,
    resolve_order,
)
from infra.connections.adapters import TradingVenue
from infra.crashpoints import crashpoint
from infra.db.reduction_queries import live_orders_within
from infra.db.reduction_records import REDUCTIONS, OrderRecord, require_order
from infra.outbound.asking import asked
from infra.outbound.kill_switch import armed_within
from infra.outbound.parallel import in_parallel
from infra.outbound.worked import Worked, by_desk
from infra.reduction.steps import ReductionSteps, fill_of, sent_order
from infra.reduction.wiring import Wiring, contracts_of, held_at

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch

_LOOKS_MAX: Final = 1_000_000


class OrderResolver:
    """Asks venues what became of orders, and takes it over."""

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        self._database = database
        self._policy = policy
        self._kill_switch = kill_switch
        self._steps = ReductionSteps(database)

    async def resolve_due(self, wiring: Wiring, *, everything: bool) -> Worked:
        """Return what has come to its end and what waits, by key of the order."""
        found = Worked()
        self._kill_switch.tell(self._database)
        with self._database.reading() as connection:
            now = None if everything else self._database.clock()
            due = live_orders_within(connection, now)
        await in_parallel(self._resolve(order, wiring, found) for order in due)
        return found

    async def _resolve(self, order: OrderRecord, wiring: Wiring, told: Worked) -> None:
        key = order.order_key
        with self._database.reading() as connection:
            leg = REDUCTIONS.require(connection, order.plan_id).intent.leg(order.leg)
        try:
            venue = wiring.venue_of(order.place)
            evidence = await self._evidence(order, leg, venue)
        except MissingDataError as error:
            told.waiting[key] = str(error)
            return
        promised = venue.actions.order_guarantees()
        found = self._judged(order, leg, promised, evidence)
        crashpoint("reduction:judged")
        try:
            if found.verdict == "cancel":
                told.waiting[key] = await self._cancel(order, leg, venue, found, evidence.report)
            else:
                has_moved = self._take_over(order, found, evidence)
                told.tell(key, found.reason, has_moved=has_moved)
        except StateError as error:
            # Somebody else has moved it meanwhile; the next round finds it where it is.
            told.waiting[key] = str(error)
        crashpoint("reduction:resolved")

    def _judged(
        self, order: OrderRecord, leg: Leg, promised: OrderGuarantees, evidence: OrderEvidence
    ) -> OrderDecision:
        return resolve_order(sent_order(order, leg), promised, evidence, self._policy.timing)

    async def _evidence(self, order: OrderRecord, leg: Leg, venue: TradingVenue) -> OrderEvidence:
        seconds = self._policy.timing.send_timeout_seconds
        report: OrderReport | None = None
        is_answered = True
        try:
            question = venue.actions.find_order(order.place, order.order_key, leg.instrument_id)
            report = await asked(question, seconds, f"order {order.order_key}")
        except VenueError:
            is_answered = False
        position: Decimal | None = None
        sent = sent_order(order, leg)
        promised = venue.actions.order_guarantees()
        is_quiet = self._database.clock() >= quiet_at(sent, promised, self._policy.timing)
        if report is None and is_answered and is_quiet:
            # The lookup came first: an order that it missed shows in what is held by now.
            position = await self._position(order, leg, venue)
        return OrderEvidence(
            looked_at=self._database.clock(),
            is_answered=is_answered,
            report=report,
            position=position,
        )

    async def _position(self, order: OrderRecord, leg: Leg, venue: TradingVenue) -> Decimal | None:
        try:
            found = await held_at(venue, order.place, self._policy.timing.send_timeout_seconds)
        except VenueError:
            return None
        return contracts_of(found).get(leg.instrument_id, Decimal(0))

    def _take_over(self, order: OrderRecord, found: OrderDecision, evidence: OrderEvidence) -> bool:
        """Record what was found; return whether the order has moved."""
        report, verdict = evidence.report, found.verdict
        seen = {} if report is None else {"status": report.status, "order_id": report.order_id}
        cause = by_desk(found.reason, **seen)
        with self._database.writing() as connection:
            now = require_order(connection, order.order_key)
            if now.n_events != order.n_events:
                return False
            if verdict in ("filled", "cancelled", "not_executed"):
                average = None if report is None else report.average_price
                name = now.venue_order_id if report is None else report.order_id
                changes = fill_of(found.lots, average, name)
                self._steps.ended(connection, now, verdict, cause, **changes)
                return True
            if verdict == "open" and report is not None and now.state != "open":
                changes = fill_of(found.lots, report.average_price, report.order_id, found.until)
                self._steps.ended(connection, now, "open", cause, **changes)
                return True
            if verdict == "ask" and now.state != "stuck":
                later = self._later(now)
                self._steps.ended(connection, now, "stuck", cause, look_at=later)
                self._database.reductions.look_at_order_within(
                    connection, now.order_key, note=found.reason
                )
                return True
            self._database.reductions.look_at_order_within(
                connection, now.order_key, note=found.reason,
                look_at=found.until or self._later(now), n_looks=min(now.n_looks + 1, _LOOKS_MAX),
            )  # fmt: skip
        return False

    async def _cancel(
        self,
        order: OrderRecord,
        leg: Leg,
        venue: TradingVenue,
        found: OrderDecision,
        report: OrderReport | None,
    ) -> str:
        """Ask once that an open order be cancelled; what became of it, the next look says."""
        name = order.venue_order_id if report is None else report.order_id
        with self._database.writing() as connection:
            for status in (self._kill_switch.status(), armed_within(connection)):
                if status.is_armed:
                    self._database.reductions.look_at_order_within(
                        connection, order.order_key, look_at=self._later(order),
                        note=f"not cancelled: {status.sentence}",
                    )  # fmt: skip
                    return status.sentence
            now = require_order(connection, order.order_key)
            if now.n_events != order.n_events:
                return f"it is {now.state} since"
            cause = by_desk(f"cancel asked: {found.reason}")
            self._steps.order_noted(
                connection, now, "cancel_asked", cause, note=cause.reason,
                look_at=self._database.clock() + self._policy.timing.pause(1),
            )  # fmt: skip
        crashpoint("reduction:cancel")
        try:
            await asyncio.wait_for(
                venue.actions.cancel_order(order.place, name, leg.instrument_id),
                self._policy.timing.send_timeout_seconds,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, only a lookup says what became of it
            return f"{cause.reason}; {type(error).__name__}: {error}"
        return cause.reason

    def _later(self, order: OrderRecord) -> datetime:
        pause: timedelta = self._policy.timing.pause(order.n_looks + 1)
        return self._database.clock() + pause

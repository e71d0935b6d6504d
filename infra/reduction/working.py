"""A round over the plans at work: is it still needed, which leg is next, is it through."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.errors import MarginPlatformError
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy
from engine.reduction.states import ORDER_ENDS
from infra.crashpoints import crashpoint
from infra.db.reduction_queries import cause_over_within
from infra.db.reduction_records import (
    REDUCTIONS,
    OrderRecord,
    ReductionRecord,
    orders_within,
)
from infra.outbound.parallel import in_parallel
from infra.outbound.sending import Hindered
from infra.outbound.worked import Worked, by_desk
from infra.reduction.sending import Looked, OrderSender
from infra.reduction.standing import Standing, Standings, traded_by
from infra.reduction.steps import ReductionSteps
from infra.reduction.wiring import Wiring

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


class PlanWorker:
    """Takes every plan at work one step further."""

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        self._database = database
        self._policy = policy
        self._kill_switch = kill_switch
        self._steps = ReductionSteps(database)
        self._sender = OrderSender(database, policy, kill_switch)

    async def work(self, wiring: Wiring, standings: Standings | None) -> Worked:
        """Return what has moved and what waits: plans by name and orders by key, in sentences."""
        found = Worked()
        self._kill_switch.tell(self._database)
        self._end_old(found)
        self.end_stopped(found)
        with self._database.reading() as connection:
            now = self._database.clock()
            due = REDUCTIONS.due(connection, ("working",), now, "not_before")
        await in_parallel(self._work_on(record, wiring, standings, found) for record in due)
        return found

    def end_stopped(self, found: Worked) -> None:
        """Let plans end that were stopped and whose orders are all at their ends."""
        for record in self._database.reductions.list(["stopping"]):
            with self._database.writing() as connection:
                now = REDUCTIONS.require(connection, record.plan_id)
                orders = orders_within(connection, record.plan_id)
                if now.state != "stopping" or not _is_quiet(orders):
                    continue
                cause = by_desk("no order may act any more")
                self._steps.move(connection, now, "stopped", cause)
            found.moved[record.plan_id] = "stopped"

    def _end_old(self, found: Worked) -> None:
        for record in self._database.reductions.list(["proposed", "working"]):
            if record.valid_until > self._database.clock():
                continue
            words = f"its figures are of {record.recorded_at:%H:%M:%S}Z and no longer of use"
            cause = by_desk(words)
            with self._database.writing() as connection:
                now = REDUCTIONS.require(connection, record.plan_id)
                if now.state == "proposed":
                    self._steps.move(connection, now, "expired", cause, note=words)
                elif now.state == "working":
                    self._steps.stop(connection, now, cause)
            found.moved[record.plan_id] = words
            crashpoint("reduction:old")

    async def _work_on(
        self,
        record: ReductionRecord,
        wiring: Wiring,
        standings: Standings | None,
        found: Worked,
    ) -> None:
        try:
            with self._database.reading() as connection:
                orders = orders_within(connection, record.plan_id)
            standing = self._standing(record, orders, standings)
            over = self._over(record, standing)
            if over and _is_quiet(orders):
                self._finish(record, "restored", over, standing)
                found.moved[record.plan_id] = over
            elif over:
                found.waiting[record.plan_id] = f"{over}; an order may still act"
            else:
                await self._next_of(record, orders, wiring, standing, found)
        except (Hindered, MarginPlatformError) as error:
            found.waiting[record.plan_id] = self._later(record, str(error))

    async def _next_of(
        self,
        record: ReductionRecord,
        orders: list[OrderRecord],
        wiring: Wiring,
        standing: Standing | None,
        found: Worked,
    ) -> None:
        """Send at most one order of a plan: what it changes is seen before the next."""
        ends: dict[int, str] = {}
        for leg in record.intent.legs:
            looked = await self._sender.look(record, leg, orders, wiring)
            cut = looked.slice
            if cut.verdict == "end":
                ends[leg.number] = cut.reason
                continue
            if cut.verdict == "stale":
                found.moved[record.plan_id] = self._stop(record, cut.reason)
                return
            if cut.verdict == "wait" and leg.is_reduce_only and self._may_go_on(leg, orders):
                found.waiting[f"{record.plan_id}/{leg.number}"] = cut.reason
                continue
            if cut.verdict == "wait":
                found.waiting[record.plan_id] = self._later(record, cut.reason, looked)
                return
            found.moved[record.plan_id] = await self._sender.send(looked)
            return
        if len(ends) == len(record.intent.legs) and _is_quiet(orders):
            self._finish(record, *self._verdict(record, ends, standing), standing)
            found.moved[record.plan_id] = "; ".join(ends.values())

    def _may_go_on(self, leg: Leg, orders: list[OrderRecord]) -> bool:
        """Return whether another leg may be sent while this one waits for its own order."""
        return any(one.leg == leg.number and one.state not in ORDER_ENDS for one in orders)

    def _standing(
        self, record: ReductionRecord, orders: list[OrderRecord], standings: Standings | None
    ) -> Standing | None:
        if standings is None:
            return None
        found = standings.now(record, traded_by(record, orders))
        oldest = self._database.clock() - timedelta(seconds=self._policy.timing.ask_after_seconds)
        # An old figure ends nothing and lets nothing go on: it is as if there were none.
        return None if found is None or found.as_of < oldest else found

    def _over(self, record: ReductionRecord, standing: Standing | None) -> str:
        """Return why nothing more is to be reduced, in a sentence; empty if something is."""
        with self._database.reading() as connection:
            over = cause_over_within(connection, record.intent.cause)
        if over or standing is None:
            return over
        target = float(record.intent.ratio_target)
        if standing.ratio > target * (1.0 + 1e-9):
            return ""
        return (
            f"{standing.ratio:.2%} of collateral is owed, target {target:.2%} ({standing.source})"
        )

    def _verdict(
        self, record: ReductionRecord, ends: dict[int, str], standing: Standing | None
    ) -> tuple[str, str]:
        why = "; ".join(f"leg {number}: {reason}" for number, reason in ends.items())
        if standing is None:
            is_whole = record.status == "restores" and all("are filled" in e for e in ends.values())
            return ("restored" if is_whole else "insufficient"), f"through: {why}"
        return "insufficient", f"{standing.ratio:.2%} of collateral is still owed; {why}"

    def _finish(
        self, record: ReductionRecord, state: str, reason: str, standing: Standing | None
    ) -> None:
        details: dict[str, object] = {}
        if standing is not None:
            details = {"ratio": standing.ratio, "as_of": standing.as_of, "source": standing.source}
        cause = by_desk(reason, **details)
        with self._database.writing() as connection:
            now = REDUCTIONS.require(connection, record.plan_id)
            if now.state == "working" and now.n_events == record.n_events:
                self._steps.move(connection, now, state, cause, note=reason)
        crashpoint("reduction:finished")

    def _stop(self, record: ReductionRecord, reason: str) -> str:
        with self._database.writing() as connection:
            now = REDUCTIONS.require(connection, record.plan_id)
            if now.state == "working":
                self._steps.stop(connection, now, by_desk(reason))
        return reason

    def _later(self, record: ReductionRecord, reason: str, looked: Looked | None = None) -> str:
        until = None if looked is None else looked.slice.until
        pause = self._database.clock() + self._policy.timing.pause(1)
        with self._database.writing() as connection:
            self._steps.records.look_within(
                connection, record.plan_id, note=reason, not_before=until or pause
            )
        return reason


def _is_quiet(orders: list[OrderRecord]) -> bool:
    return all(one.state in ORDER_ENDS for one in orders)

"""The desk of reductions: proposed by one, approved by others, sent in slices, seen to its end.

Orchestration may call ``send_due`` and ``resolve_due`` as often as it likes and may be killed
anywhere in between: what is to be done next is always read from the database. No adapter retries a
write, and no order is sent twice: what is left goes with the next slice, under a key of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.approvals import require_approved, require_may_approve, require_new_approver
from engine.errors import ParameterError, StateError
from engine.reduction.policy import ReductionPolicy
from infra.crashpoints import crashpoint
from infra.db.reduction_queries import live_orders_within
from infra.db.reduction_records import (
    NewReduction,
    OrderRecord,
    ReductionRecord,
    find_reduction,
    plan_approvals_within,
    require_order,
    require_reduction,
)
from infra.outbound.worked import Cause, Worked
from infra.reduction.recording import record_plan
from infra.reduction.resolving import OrderResolver
from infra.reduction.standing import Standings
from infra.reduction.steps import ReductionSteps, payload_of
from infra.reduction.wiring import Wiring
from infra.reduction.working import PlanWorker

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDecision:
    """What a person has found out about a stuck order: how many lots were filled, 0 for none."""

    filled_lots: int
    principal: str
    reason: str


class ReductionDesk:
    """Reductions of one database under one policy."""

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        self.database = database
        self.policy = policy
        self.kill_switch = kill_switch
        self._steps = ReductionSteps(database)
        self._worker = PlanWorker(database, policy, kill_switch)
        self._resolver = OrderResolver(database, policy, kill_switch)

    def propose(self, new: NewReduction) -> ReductionRecord:
        """Record a plan; the same one again finds the first. A shadow plan does nothing, ever.

        Where the policy asks for no person, it is approved at once. Raises as ``record_plan``.
        """
        return record_plan(self.database, self.policy, new)[0]

    def approve(
        self, plan_id: str, principal: str, payload_hash: str, reason: str = ""
    ) -> ReductionRecord:
        """Approve a proposed plan's payload; the last approval that is needed lets orders leave.

        Raises
        ------
        StateError
            If it is no longer proposed, or its time is over.
        ParameterError
            If the approver proposed it or has approved it before, or the hash is another one.
        """
        crashpoint("reduction:approve")
        with self.database.writing() as connection:
            record = find_reduction(connection, plan_id)
            self._require_proposed(record)
            payload, now = payload_of(record), self.database.clock()
            require_may_approve(payload, principal, payload_hash)
            before = plan_approvals_within(connection, record.plan_id)
            require_new_approver(payload, principal, before)
            self.database.reductions.approve_within(connection, record, principal)
            needed = self.policy.approvers_for(record.mode, record.notional)
            words = f": {reason}" if reason else ""
            cause = Cause(
                actor=principal,
                reason=f"approval {len(before) + 1} of {needed}{words}",
                details={"payload_hash": record.payload_hash},
            )
            record = self._steps.noted(connection, record, "approval", cause)
            if len(before) + 1 >= needed:
                approvals = plan_approvals_within(connection, record.plan_id)
                hours = self.policy.plan_lifetime_minutes / 60
                require_approved(payload, approvals, needed, lifetime_hours=hours, now=now)
                record = self._steps.begin(connection, record, cause)
            self._audit(connection, "reduction approved", record, cause)
        crashpoint("reduction:approved")
        return record

    def reject(self, plan_id: str, principal: str, reason: str) -> ReductionRecord:
        """Refuse a proposed plan; anybody may."""
        _require_reason(reason, "a rejection")
        with self.database.writing() as connection:
            record = find_reduction(connection, plan_id)
            if record.state != "proposed":
                raise StateError(
                    f"reduction {record.plan_id} is {record.state} and cannot be refused"
                    + (": stop it" if record.state == "working" else ""),
                    identifier=record.plan_id,
                    value=record.state,
                    limit="proposed",
                )
            cause = Cause(actor=principal, reason=reason)
            record = self._steps.move(connection, record, "rejected", cause, note=reason)
            self._audit(connection, "reduction rejected", record, cause)
        return record

    def stop(self, plan_id: str, principal: str, reason: str) -> ReductionRecord:
        """Stop a plan at work; anybody may. What is on its way is seen to its end."""
        _require_reason(reason, "a stop")
        with self.database.writing() as connection:
            record = find_reduction(connection, plan_id)
            if record.state != "working":
                raise StateError(
                    f"reduction {record.plan_id} is {record.state}: only one at work is stopped"
                    + (", refuse it" if record.state == "proposed" else ""),
                    identifier=record.plan_id,
                    value=record.state,
                    limit="working",
                )
            cause = Cause(actor=principal, reason=reason)
            record = self._steps.stop(connection, record, cause)
            self._audit(connection, "reduction stopped", record, cause)
        return record

    def decide(self, key: str, decision: OrderDecision) -> OrderRecord:
        """Decide about a stuck order by hand.

        Raises
        ------
        StateError
            If it is not stuck.
        ParameterError
            If whoever decides has proposed the plan, or more is said to be filled than was asked.
        """
        _require_reason(decision.reason, "a decision")
        with self.database.writing() as connection:
            order = require_order(connection, key)
            record = require_reduction(connection, order.plan_id)
            if order.state != "stuck":
                raise StateError(
                    f"order {key} is {order.state}: only a stuck one is decided by hand, the "
                    "others follow from what venues answer",
                    identifier=key,
                    value=order.state,
                    limit="stuck",
                )
            if decision.principal == record.proposer:
                raise ParameterError(
                    f"reduction {record.plan_id} was proposed by {record.proposer}: another person "
                    "decides about its orders",
                    identifier=key,
                    value=decision.principal,
                )
            if not 0 <= decision.filled_lots <= order.lots:
                raise ParameterError(
                    f"{decision.filled_lots} lots are said to be filled, limit: 0 to {order.lots}",
                    identifier=key,
                    value=decision.filled_lots,
                    limit=f"0 to {order.lots}",
                )
            state = "filled" if decision.filled_lots == order.lots else "cancelled"
            cause = Cause(actor=decision.principal, reason=decision.reason)
            order = self._steps.ended(
                connection, order, state, cause, filled_lots=decision.filled_lots, look_at=None
            )
            self._audit(connection, "reduction order decided", record, cause)
        return order

    async def send_due(self, wiring: Wiring, standings: Standings | None = None) -> Worked:
        """Send the next slice of every leg that is due; once each. End what is through.

        ``standings`` says where a netting set stands before each order.
        """
        moved, waiting = await self._worker.work(wiring, standings)
        return Worked(moved, waiting)

    async def resolve_due(self, wiring: Wiring, *, everything: bool = False) -> Worked:
        """Ask the venues about orders that may still act; all of them, or those that are due."""
        moved, waiting = await self._resolver.resolve_due(wiring, everything=everything)
        self._worker.end_stopped(moved)
        return Worked(moved, waiting)

    def in_flight(self) -> list[OrderRecord]:
        """Return the orders that may still act: the list to have when the kill switch is armed."""
        with self.database.reading() as connection:
            return live_orders_within(connection)

    def _require_proposed(self, record: ReductionRecord) -> None:
        if record.state != "proposed":
            raise StateError(
                f"reduction {record.plan_id} is {record.state}, no longer proposed",
                identifier=record.plan_id,
                value=record.state,
                limit="proposed",
            )
        if record.valid_until <= self.database.clock():
            raise StateError(
                f"reduction {record.plan_id} was of use until {record.valid_until:%H:%M:%S}Z: its "
                "figures are old, propose it anew",
                identifier=record.plan_id,
                value=str(record.valid_until),
            )

    def _audit(
        self, connection: Connection, action: str, record: ReductionRecord, cause: Cause
    ) -> None:
        details = {"state": record.state, "reason": cause.reason}
        self.database.audit.append_within(
            connection, action, record.plan_id, details, actor=cause.actor
        )


def _require_reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise ParameterError(f"{what} needs a reason", identifier="reason", limit="a text")

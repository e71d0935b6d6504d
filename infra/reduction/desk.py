"""The desk of reductions: proposed by one, approved by others, sent in slices, seen to its end.

Orchestration may call ``send_due`` and ``resolve_due`` as often as it likes and may be killed
anywhere in between: what is to be done next is always read from the database. No adapter retries a
write, and no order is sent twice: what is left goes with the next slice, under a key of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from engine.errors import ParameterError, StateError
from engine.reduction.policy import ReductionPolicy
from infra.db.reduction_queries import live_orders_within
from infra.db.reduction_records import (
    REDUCTIONS,
    NewReduction,
    OrderRecord,
    ReductionRecord,
    require_order,
)
from infra.outbound.approving import (
    ApprovalTerms,
    require_other_person,
    require_reason,
    require_stuck,
    wrong_state,
)
from infra.outbound.desk import Desk
from infra.outbound.worked import Cause, Worked
from infra.reduction.recording import record_plan
from infra.reduction.resolving import OrderResolver
from infra.reduction.standing import Standings
from infra.reduction.steps import ReductionSteps, reduction_terms
from infra.reduction.wiring import Wiring
from infra.reduction.working import PlanWorker

if TYPE_CHECKING:
    from infra.db import Database
    from infra.outbound.kill_switch import KillSwitch

_ENDS: Final[Mapping[str, tuple[str, str]]] = {
    "rejected": ("proposed", ": stop it"), "stopped": ("working", ": refuse it"),
}  # fmt: skip
"""How people end a plan: the state in which they can, and what to do in the other one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDecision:
    """What a person has found out about a stuck order: how many lots were filled, 0 for none."""

    filled_lots: int
    principal: str
    reason: str


class ReductionDesk(Desk[ReductionRecord]):
    """Reductions of one database under one policy."""

    _steps: ReductionSteps

    def __init__(
        self, database: Database, policy: ReductionPolicy, kill_switch: KillSwitch
    ) -> None:
        super().__init__(database, kill_switch, ReductionSteps(database))
        self.policy = policy
        self._worker = PlanWorker(database, policy, kill_switch)
        self._resolver = OrderResolver(database, policy, kill_switch)

    def propose(self, new: NewReduction) -> ReductionRecord:
        """Record a plan; the same one again finds the first. A shadow plan does nothing, ever.

        Where the policy asks for no person, it is approved at once. Raises as ``record_plan``.
        """
        return record_plan(self.database, self.policy, new)[0]

    def reject(self, plan_id: str, principal: str, reason: str) -> ReductionRecord:
        """Refuse a proposed plan; anybody may."""
        return self._end(plan_id, "rejected", Cause(actor=principal, reason=reason))

    def stop(self, plan_id: str, principal: str, reason: str) -> ReductionRecord:
        """Stop a plan at work; anybody may. What is on its way is seen to its end."""
        return self._end(plan_id, "stopped", Cause(actor=principal, reason=reason))

    def decide(self, key: str, decision: OrderDecision) -> OrderRecord:
        """Decide about a stuck order by hand.

        Raises
        ------
        StateError
            If it is not stuck.
        ParameterError
            If whoever decides has proposed the plan, or more is said to be filled than was asked.
        """
        require_reason(decision.reason, "a decision")
        with self.database.writing() as connection:
            order = require_order(connection, key)
            record = REDUCTIONS.require(connection, order.plan_id)
            require_stuck("order", order)
            require_other_person("order", key, record.proposer, decision.principal)
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
            self._audit(connection, "order decided", record, cause)
        return order

    async def send_due(self, wiring: Wiring, standings: Standings | None = None) -> Worked:
        """Send the next slice of every leg that is due; once each. End what is through.

        ``standings`` says where a netting set stands before each order.
        """
        return await self._worker.work(wiring, standings)

    async def resolve_due(self, wiring: Wiring, *, everything: bool = False) -> Worked:
        """Ask the venues about orders that may still act; all of them, or those that are due."""
        found = await self._resolver.resolve_due(wiring, everything=everything)
        self._worker.end_stopped(found)
        return found

    def in_flight(self) -> list[OrderRecord]:
        """Return the orders that may still act: the list to have when the kill switch is armed."""
        with self.database.reading() as connection:
            return live_orders_within(connection)

    def _end(self, plan_id: str, act: str, cause: Cause) -> ReductionRecord:
        begin, hint = _ENDS[act]
        require_reason(cause.reason, f"what is {act}")
        with self.database.writing() as connection:
            record = REDUCTIONS.find(connection, plan_id)
            if record.state != begin:
                hint = hint if record.state in ("proposed", "working") else ""
                raise wrong_state(self.noun, record, f" and cannot be {act}{hint}", begin)
            if act == "stopped":
                record = self._steps.stop(connection, record, cause)
            else:
                record = self._steps.move(connection, record, act, cause, note=cause.reason)
            self._audit(connection, act, record, cause)
        return record

    def _terms(self, record: ReductionRecord) -> ApprovalTerms:
        return reduction_terms(record, self.policy, self.policy.plan_lifetime_minutes / 60)

    def _let_go(
        self, connection: Connection, record: ReductionRecord, cause: Cause
    ) -> ReductionRecord:
        return self._steps.begin(connection, record, cause)

    def _require_open(self, connection: Connection, record: ReductionRecord) -> None:
        super()._require_open(connection, record)
        if record.valid_until <= self.database.clock():
            until = f"{record.valid_until:%H:%M:%S}Z"
            raise StateError(
                f"reduction {record.plan_id} was of use until {until}: its figures are old, "
                "propose it anew",
                identifier=record.plan_id,
                value=until,
            )

    def _audit(
        self, connection: Connection, act: str, record: ReductionRecord, cause: Cause
    ) -> None:
        details = {"state": record.state, "reason": cause.reason}
        self.database.audit.append_within(
            connection, f"{self.noun} {act}", record.plan_id, details, actor=cause.actor
        )

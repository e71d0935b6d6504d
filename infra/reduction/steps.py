"""Steps of a plan and of its orders: each one call inside one transaction."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from engine.approvals import Payload
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy
from engine.reduction.resolution import SentOrder
from engine.reduction.states import ORDER_ENDS
from infra.crashpoints import crashpoint
from infra.db.reduction_records import NewOrder, OrderRecord, ReductionRecord, orders_within
from infra.outbound.approving import ApprovalTerms
from infra.outbound.steps import Steps
from infra.outbound.worked import Cause

if TYPE_CHECKING:
    from infra.db import Database


class ReductionSteps(Steps[ReductionRecord]):
    """Everything that can happen to a plan and to its orders."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, database.reductions)

    def begin(
        self, connection: Connection, record: ReductionRecord, cause: Cause
    ) -> ReductionRecord:
        """Note that enough people have approved: orders may leave."""
        return self.move(connection, record, "working", cause, note="", not_before=None)

    def stop(
        self, connection: Connection, record: ReductionRecord, cause: Cause
    ) -> ReductionRecord:
        """Stop a plan; while an order may still act it is seen to its end first."""
        is_live = any(
            one.state not in ORDER_ENDS for one in orders_within(connection, record.plan_id)
        )
        state = "stopping" if is_live else "stopped"
        return self.move(connection, record, state, cause, note=cause.reason, not_before=None)

    def sent(
        self, connection: Connection, record: ReductionRecord, new: NewOrder, cause: Cause
    ) -> OrderRecord:
        """Note, before the bytes leave, that they may leave now."""
        order = self.database.reductions.send_within(connection, record, new, cause.step("unknown"))
        crashpoint("reduction:unknown")
        return order

    def ended(
        self, connection: Connection, order: OrderRecord, state: str, cause: Cause, **changes: Any
    ) -> OrderRecord:
        """Record the end of an order, or with a state that is none, where it stands."""
        step = cause.step(state, **{"note": "", **changes})
        return self.database.reductions.move_order_within(connection, order, step)

    def order_noted(
        self, connection: Connection, order: OrderRecord, fact: str, cause: Cause, **changes: Any
    ) -> OrderRecord:
        """Record something that became known of an order and changes no state."""
        step = cause.step(order.state, fact, **changes)
        return self.database.reductions.move_order_within(connection, order, step)


def reduction_terms(
    record: ReductionRecord, policy: ReductionPolicy, lifetime_hours: float
) -> ApprovalTerms:
    """Return what is approved of a plan, by how many, and for how long that counts."""
    payload = Payload(
        kind="reduction",
        identifier=record.plan_id,
        payload_hash=record.payload_hash,
        proposer=record.proposer,
        show=f"plimsoll reduce show {record.plan_id[:12]}",
    )
    n_needed = policy.approvers_for(record.mode, record.notional)
    return ApprovalTerms(payload=payload, n_needed=n_needed, lifetime_hours=lifetime_hours)


def fill_of(
    lots: int, average_price: Decimal | None, venue_order_id: str, look_at: datetime | None = None
) -> dict[str, Any]:
    """Return the changes of an order by what a venue has said of it."""
    return {
        "filled_lots": lots, "average_price": average_price, "venue_order_id": venue_order_id,
        "look_at": look_at,
    }  # fmt: skip


def sent_order(order: OrderRecord, leg: Leg) -> SentOrder:
    """Return an order as the rules of ``engine.reduction.resolution`` take it."""
    return SentOrder(
        sent_at=order.sent_at,
        quantity=order.lots * leg.lot,
        lot=leg.lot,
        sign=leg.sign,
        position_before=order.position_before,
        n_looks=order.n_looks,
    )

"""Steps of a plan and of its orders: each one call inside one transaction.

Whoever decides, the sender, the resolver or a person, comes here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from engine.approvals import Payload
from engine.reduction.intent import Leg
from engine.reduction.resolution import SentOrder
from engine.reduction.states import ORDER_ENDS
from infra.crashpoints import crashpoint
from infra.db.reduction_records import (
    NewOrder,
    OrderRecord,
    ReductionRecord,
    ReductionStep,
    orders_within,
)
from infra.outbound.worked import Cause

if TYPE_CHECKING:
    from infra.db import Database

DESK: Final = "desk"


class ReductionSteps:
    """Everything that can happen to a plan and to its orders."""

    def __init__(self, database: Database) -> None:
        self.database = database

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

    def move(
        self, connection: Connection, record: ReductionRecord, state: str, cause: Cause,
        **changes: Any,
    ) -> ReductionRecord:  # fmt: skip
        """Record a step of a plan."""
        step = ReductionStep(
            state=state, actor=cause.actor, reason=cause.reason, details=cause.details,
            changes=changes,
        )  # fmt: skip
        return self.database.reductions.move_within(connection, record, step)

    def noted(
        self, connection: Connection, record: ReductionRecord, fact: str, cause: Cause,
        **changes: Any,
    ) -> ReductionRecord:  # fmt: skip
        """Record something that became known of a plan and changes no state."""
        step = ReductionStep(
            state=record.state, fact=fact, actor=cause.actor, reason=cause.reason,
            details=cause.details, changes=changes,
        )  # fmt: skip
        return self.database.reductions.move_within(connection, record, step)

    def sent(
        self, connection: Connection, record: ReductionRecord, new: NewOrder, cause: Cause
    ) -> OrderRecord:
        """Note, before the bytes leave, that they may leave now."""
        step = ReductionStep(
            state="unknown", actor=cause.actor, reason=cause.reason, details=cause.details
        )
        order = self.database.reductions.send_within(connection, record, new, step)
        crashpoint("reduction:unknown")
        return order

    def ended(
        self, connection: Connection, order: OrderRecord, state: str, cause: Cause, **changes: Any
    ) -> OrderRecord:
        """Record the end of an order, or with a state that is none, where it stands."""
        step = ReductionStep(
            state=state, actor=cause.actor, reason=cause.reason, details=cause.details,
            changes={"note": "", **changes},
        )  # fmt: skip
        return self.database.reductions.move_order_within(connection, order, step)

    def order_noted(
        self, connection: Connection, order: OrderRecord, fact: str, cause: Cause, **changes: Any
    ) -> OrderRecord:
        """Record something that became known of an order and changes no state."""
        step = ReductionStep(
            state=order.state, fact=fact, actor=cause.actor, reason=cause.reason,
            details=cause.details, changes=changes,
        )  # fmt: skip
        return self.database.reductions.move_order_within(connection, order, step)


def payload_of(record: ReductionRecord) -> Payload:
    """Return what approvers of a plan approve."""
    return Payload(
        kind="reduction",
        identifier=record.plan_id,
        payload_hash=record.payload_hash,
        proposer=record.proposer,
        show=f"plimsoll reduce show {record.plan_id[:12]}",
    )


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

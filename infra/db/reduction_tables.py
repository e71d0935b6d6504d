"""Tables of reductions: what is to be reduced, the orders, what became of them, and who let it.

What a plan and an order say never changes; their states move along the edges of their graphs
alone, which triggers hold. One plan of a netting set is open at a time, one order of a leg may act
at a time, and what orders of a leg fill and may still fill is never more than the leg. Events are
only added and are a hash chain.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from engine.reduction.policy import MODES
from engine.reduction.states import (
    ORDER_EDGES,
    ORDER_ENDS,
    ORDER_STATES,
    PLAN_BEGINS,
    PLAN_EDGES,
    PLAN_ENDS,
    PLAN_STATES,
)
from infra.db.desk_tables import ApprovalColumns, EventColumns, edges_listed, listed
from infra.db.tables import Base, exact_amount

_STRICT: Final = {"sqlite_strict": True}
PLAN_OPEN: Final = tuple(sorted(PLAN_STATES - PLAN_ENDS))
ORDER_LIVE: Final = tuple(sorted(ORDER_STATES - ORDER_ENDS))


_EVENT_EDGE: Final = (
    f"(order_key = '' AND (previous || '>' || state) IN ({edges_listed(PLAN_EDGES)})) "
    f"OR (order_key <> '' AND (previous || '>' || state) IN ({edges_listed(ORDER_EDGES)})) "
    f"OR (order_key = '' AND previous = '' AND number = 1 AND state IN ({listed(PLAN_BEGINS)})) "
    "OR (order_key <> '' AND previous = '' AND state = 'unknown') "
    "OR (previous = state AND fact <> '')"
)


class ReductionRow(Base):
    """A plan: the intent with its figures, which never change, and where it stands."""

    __tablename__ = "reductions"
    __table_args__ = (
        UniqueConstraint("netting_set_id", "cause", "attempt"),
        UniqueConstraint("plan_id", "proposer", "payload_hash"),
        CheckConstraint("length(plan_id) = 32", name="plan_id_length"),
        CheckConstraint(f"state IN ({listed(PLAN_STATES)})", name="state_known"),
        CheckConstraint(f"mode IN ({listed(MODES)})", name="mode_known"),
        CheckConstraint("mode <> 'shadow' OR state = 'shadow'", name="shadow_does_nothing"),
        CheckConstraint("kind IN ('hedge_first', 'reduce_only')", name="kind_known"),
        CheckConstraint("status IN ('insufficient', 'restores')", name="status_known"),
        CheckConstraint("attempt > 0 AND n_events > 0", name="counts_sound"),
        CheckConstraint("proposer <> '' AND reason <> ''", name="answered_for"),
        exact_amount("notional"),
        exact_amount("cost"),
        Index(
            "uq_reductions_open",
            "netting_set_id",
            unique=True,
            sqlite_where=text(f"state IN ({listed(PLAN_OPEN)})"),
            postgresql_where=text(f"state IN ({listed(PLAN_OPEN)})"),
        ),
        Index("ix_reductions_state", "state", "not_before"),
        _STRICT,
    )
    plan_id: Mapped[str] = mapped_column(primary_key=True)
    netting_set_id: Mapped[str]
    cause: Mapped[str]
    attempt: Mapped[int]
    kind: Mapped[str]
    mode: Mapped[str]
    status: Mapped[str]
    payload: Mapped[str]
    """The canonical text of the intent."""
    payload_hash: Mapped[str]
    notional: Mapped[Decimal]
    cost: Mapped[Decimal]
    figures: Mapped[dict[str, object]]
    """All candidate plans, and what the venues would do if nobody acts."""
    proposer: Mapped[str]
    reason: Mapped[str]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    state: Mapped[str]
    n_events: Mapped[int]
    not_before: Mapped[datetime | None]
    note: Mapped[str]


class ReductionLegRow(Base):
    """The most that a plan does in one instrument of one account. [lots]"""

    __tablename__ = "reduction_legs"
    __table_args__ = (
        UniqueConstraint("plan_id", "account_id", "instrument_id"),
        CheckConstraint("leg > 0 AND lots > 0", name="counts_sound"),
        CheckConstraint("side IN ('buy', 'sell')", name="side_known"),
        CheckConstraint("is_reduce_only IN (0, 1)", name="is_reduce_only_flag"),
        _STRICT,
    )
    plan_id: Mapped[str] = mapped_column(ForeignKey("reductions.plan_id"), primary_key=True)
    leg: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[str]
    instrument_id: Mapped[str]
    side: Mapped[str]
    lots: Mapped[int]
    is_reduce_only: Mapped[int]


class ReductionOrderRow(Base):
    """One order: a slice of a leg, what it says, which never changes, and what became of it."""

    __tablename__ = "reduction_orders"
    __table_args__ = (
        UniqueConstraint("plan_id", "leg", "slice"),
        ForeignKeyConstraint(["plan_id", "leg"], ["reduction_legs.plan_id", "reduction_legs.leg"]),
        CheckConstraint("length(order_key) = 32", name="key_length"),
        CheckConstraint("slice > 0 AND lots > 0 AND epoch > 0", name="counts_sound"),
        CheckConstraint("filled_lots BETWEEN 0 AND lots", name="filled_within"),
        CheckConstraint("state <> 'filled' OR filled_lots = lots", name="filled_is_whole"),
        CheckConstraint(
            "state NOT IN ('not_executed', 'not_sent', 'refused') OR filled_lots = 0",
            name="failed_has_no_effect",
        ),
        CheckConstraint(f"state IN ({listed(ORDER_STATES)})", name="state_known"),
        exact_amount("limit_price"),
        exact_amount("notional"),
        exact_amount("position_before"),
        exact_amount("average_price"),
        Index(
            "uq_reduction_orders_live",
            "plan_id",
            "leg",
            unique=True,
            sqlite_where=text(f"state IN ({listed(ORDER_LIVE)})"),
            postgresql_where=text(f"state IN ({listed(ORDER_LIVE)})"),
        ),
        Index("ix_reduction_orders_state", "state", "look_at"),
        Index("ix_reduction_orders_sent_at", "sent_at"),
        _STRICT,
    )
    order_key: Mapped[str] = mapped_column(primary_key=True)
    plan_id: Mapped[str]
    leg: Mapped[int]
    slice: Mapped[int]
    place: Mapped[str]
    lots: Mapped[int]
    limit_price: Mapped[Decimal]
    notional: Mapped[Decimal]
    position_before: Mapped[Decimal]
    epoch: Mapped[int]
    sent_at: Mapped[datetime]
    state: Mapped[str]
    n_events: Mapped[int]
    filled_lots: Mapped[int]
    average_price: Mapped[Decimal | None]
    venue_order_id: Mapped[str]
    n_looks: Mapped[int]
    look_at: Mapped[datetime | None]
    note: Mapped[str]


class ReductionEventRow(EventColumns, Base):
    """One step of a plan or of one of its orders, or a fact about it."""

    __tablename__ = "reduction_events"
    __table_args__ = (
        UniqueConstraint("plan_id", "number"),
        CheckConstraint(_EVENT_EDGE, name="edge_allowed"),
        CheckConstraint("actor <> '' AND reason <> ''", name="answered_for"),
        _STRICT,
    )
    plan_id: Mapped[str] = mapped_column(ForeignKey("reductions.plan_id"))
    order_key: Mapped[str]
    """Empty for a step of the plan itself."""


class ReductionApprovalRow(ApprovalColumns, Base):
    """Approvals of plans."""

    __tablename__ = "reduction_approvals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "proposer", "payload_hash"],
            ["reductions.plan_id", "reductions.proposer", "reductions.payload_hash"],
        ),
        CheckConstraint("approver <> proposer", name="second_person"),
        _STRICT,
    )
    plan_id: Mapped[str] = mapped_column(primary_key=True)

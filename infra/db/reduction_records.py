"""Reductions as they are read from the database, and what is written of new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, select

from engine.errors import MissingDataError, ModelInputError
from engine.reduction.intent import ReductionIntent, intent_from
from engine.reduction.policy import ReductionMode
from engine.reduction.states import PLAN_ENDS, require_plan_edge
from infra.db.desk_records import DeskEvent, DeskTables
from infra.db.reduction_tables import (
    ReductionApprovalRow,
    ReductionEventRow,
    ReductionOrderRow,
    ReductionRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReduction:
    """What is recorded of a plan beside its intent.

    ``status`` is the planner's; ``figures`` all candidate plans and what the venues would do.
    """

    intent: ReductionIntent
    mode: ReductionMode
    status: str
    cost: Decimal
    figures: Mapping[str, object]
    proposer: str
    reason: str
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionRecord:
    """A plan as it stands."""

    intent: ReductionIntent
    plan_id: str
    mode: ReductionMode
    status: str
    payload_hash: str
    notional: Decimal
    cost: Decimal
    figures: Mapping[str, Any]
    proposer: str
    reason: str
    business_date: date
    recorded_at: datetime
    valid_until: datetime
    state: str
    n_events: int
    not_before: datetime | None
    note: str

    @property
    def key(self) -> str:
        """Return the plan's name."""
        return self.plan_id

    @property
    def is_open(self) -> bool:
        """Return whether it is not at its end."""
        return self.state not in PLAN_ENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order that is about to leave; see ``engine.reduction.slicing`` for its size."""

    leg: int
    slice: int
    place: str
    lots: int
    limit_price: Decimal
    notional: Decimal
    position_before: Decimal
    epoch: int
    look_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """An order as it stands."""

    order_key: str
    plan_id: str
    leg: int
    slice: int
    place: str
    lots: int
    limit_price: Decimal
    notional: Decimal
    position_before: Decimal
    epoch: int
    sent_at: datetime
    state: str
    n_events: int
    filled_lots: int
    average_price: Decimal | None
    venue_order_id: str
    n_looks: int
    look_at: datetime | None
    note: str

    @property
    def key(self) -> str:
        """Return the order's key."""
        return self.order_key


@dataclass(frozen=True, slots=True)
class ReductionEvent(DeskEvent):
    """What happened to a plan, or to the order of ``order_key``."""

    order_key: str


def require_order(connection: Connection, key: str) -> OrderRecord:
    """Return the order of a key, or raise MissingDataError."""
    query = select(ReductionOrderRow.__table__).where(ReductionOrderRow.order_key == key)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise MissingDataError(f"there is no order {key}", identifier=key)
    return OrderRecord(**row)


def orders_within(connection: Connection, plan_id: str) -> list[OrderRecord]:
    """Return the orders of a plan by leg and slice."""
    query = (
        select(ReductionOrderRow.__table__)
        .where(ReductionOrderRow.plan_id == plan_id)
        .order_by(ReductionOrderRow.leg, ReductionOrderRow.slice)
    )
    return [OrderRecord(**row) for row in connection.execute(query).mappings()]


def record_of(row: Mapping[Any, Any]) -> ReductionRecord:
    """Return a row as a record, its intent read from its text; ModelInputError if they differ."""
    content = dict(row)
    intent = intent_from(content.pop("payload"))
    for name in ("netting_set_id", "cause", "attempt", "kind"):
        if content.pop(name) != getattr(intent, name):
            raise ModelInputError(f"reduction {content['plan_id']}: {name} is not that of its text")
    return ReductionRecord(intent=intent, **content)


REDUCTIONS: Final = DeskTables(
    noun="reduction",
    listing="plimsoll reduce list",
    key="plan_id",
    rows=ReductionRow,
    events=ReductionEventRow,
    approvals=ReductionApprovalRow,
    record_of=record_of,
    event_of=ReductionEvent,
    require_edge=require_plan_edge,
)

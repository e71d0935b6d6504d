"""Reductions as they are read from the database, and what is written of new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, select

from engine.errors import MissingDataError, ModelInputError
from engine.reduction.intent import ReductionIntent, intent_from
from engine.reduction.policy import ReductionMode
from engine.reduction.states import PLAN_ENDS
from infra.db.reduction_tables import ReductionApprovalRow, ReductionOrderRow, ReductionRow

_KEY_DIGITS_MIN: Final = 8


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionStep:
    """One event: a new state, or with ``fact`` something that became known in the same state."""

    state: str
    actor: str
    reason: str
    fact: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReductionEvent:
    """What happened to a plan, or to the order of ``order_key``; who did it and why."""

    number: int
    order_key: str
    previous: str
    state: str
    fact: str
    actor: str
    reason: str
    details: Mapping[str, Any]
    recorded_at: datetime


def find_reduction(connection: Connection, plan_id: str) -> ReductionRecord:
    """Return a plan by its name or the beginning of it; MissingDataError if it is not one."""
    query = select(ReductionRow.__table__).where(ReductionRow.plan_id.startswith(plan_id)).limit(2)
    found = (
        [record_of(row) for row in connection.execute(query).mappings()]
        if len(plan_id) >= _KEY_DIGITS_MIN and plan_id.isalnum()
        else []
    )
    if len(found) != 1:
        what = "more than one reduction begins with" if found else "there is no reduction"
        raise MissingDataError(
            f"{what} {plan_id}: `plimsoll reduce list` has them", identifier=plan_id
        )
    return found[0]


def require_reduction(connection: Connection, plan_id: str) -> ReductionRecord:
    """Return the plan of a whole name, or raise MissingDataError."""
    found = known_reduction(connection, plan_id)
    if found is None:
        raise MissingDataError(f"there is no reduction {plan_id}", identifier=plan_id)
    return found


def known_reduction(connection: Connection, plan_id: str) -> ReductionRecord | None:
    """Return the plan of a whole name, or None."""
    query = select(ReductionRow.__table__).where(ReductionRow.plan_id == plan_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else record_of(row)


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


def plan_approvals_within(connection: Connection, plan_id: str) -> dict[str, tuple[str, datetime]]:
    """Return by approver the payload hash that was approved, and when."""
    query = select(ReductionApprovalRow.__table__).where(ReductionApprovalRow.plan_id == plan_id)
    return {
        row["approver"]: (row["payload_hash"], row["recorded_at"])
        for row in connection.execute(query).mappings()
    }


def record_of(row: Mapping[Any, Any]) -> ReductionRecord:
    content = dict(row)
    intent = intent_from(content.pop("payload"))
    for name in ("netting_set_id", "cause", "attempt", "kind"):
        if content.pop(name) != getattr(intent, name):
            raise ModelInputError(f"reduction {content['plan_id']}: {name} is not that of its text")
    return ReductionRecord(intent=intent, **content)

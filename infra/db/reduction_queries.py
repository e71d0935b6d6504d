"""What the desk of reductions asks about many orders at once, answered by the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, func, or_, select

from engine.calls.states import END_STATES
from engine.reduction.slicing import CapUse, LegProgress
from engine.reduction.states import FAILED, ORDER_ENDS
from infra.db.reduction_records import REDUCTIONS, OrderRecord, ReductionRecord
from infra.db.reduction_tables import (
    ORDER_LIVE,
    PLAN_OPEN,
    ReductionOrderRow,
    ReductionRow,
)
from infra.db.tables import CallRow

_MINUTE = timedelta(minutes=1)
CALL_CAUSE = "call:"
"""What the cause of a plan begins with that a call has led to."""
LADDER_CAUSE = "ladder:"
"""And with one that a rung of the loop's ladder has led to: the event of the breach follows."""


def live_orders_within(connection: Connection, now: datetime | None = None) -> list[OrderRecord]:
    """Return orders that may still act, the earliest first; only those due at ``now`` if given."""
    query = select(ReductionOrderRow.__table__).where(ReductionOrderRow.state.in_(ORDER_LIVE))
    if now is not None:
        due = ReductionOrderRow.look_at
        query = query.where(or_(due.is_(None), due <= now))
    query = query.order_by(ReductionOrderRow.sent_at, ReductionOrderRow.order_key)
    return [OrderRecord(**row) for row in connection.execute(query).mappings()]


def latest_attempt_within(
    connection: Connection, netting_set_id: str, cause: str
) -> ReductionRecord | None:
    """Return the latest plan of a cause, or None."""
    is_own = (ReductionRow.netting_set_id == netting_set_id) & (ReductionRow.cause == cause)
    found = REDUCTIONS.where(connection, is_own)
    return max(found, key=lambda one: one.intent.attempt, default=None)


def open_reduction_within(connection: Connection, netting_set_id: str) -> ReductionRecord | None:
    """Return the open plan of a netting set, or None."""
    is_own = ReductionRow.netting_set_id == netting_set_id
    found = REDUCTIONS.where(connection, is_own, ReductionRow.state.in_(PLAN_OPEN))
    return found[0] if found else None


def progress_of(orders: list[OrderRecord], leg: int) -> LegProgress:
    """Return what has become of a leg, from the orders of its plan."""
    own = sorted((one for one in orders if one.leg == leg), key=lambda one: one.slice)
    n_failures = 0
    for one in reversed(own):
        has_effect = one.state not in FAILED and (one.filled_lots or one.state not in ORDER_ENDS)
        if has_effect:
            break
        n_failures += 1
    return LegProgress(
        filled_lots=sum(one.filled_lots for one in own if one.state in ORDER_ENDS),
        live_lots=sum(one.lots for one in own if one.state not in ORDER_ENDS),
        n_slices=own[-1].slice if own else 0,
        n_failures=n_failures,
        last_sent_at=own[-1].sent_at if own else None,
    )


def cap_use_within(
    connection: Connection, netting_set_id: str, place: str, now: datetime
) -> CapUse:
    """Return what is used of the caps at ``now``.

    An order counts whole while it may still act, else by the share that was filled; one that may
    still act counts however old it is (as I-13 has it for transfers).
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    row = ReductionOrderRow
    query = (
        select(ReductionRow.netting_set_id, row.state, row.notional, row.lots, row.filled_lots)
        .join(ReductionRow, ReductionRow.plan_id == row.plan_id)
        .where(or_(row.state.in_(ORDER_LIVE), row.sent_at >= midnight))
    )
    own, house = Decimal(0), Decimal(0)
    for one in connection.execute(query):
        lots = one.lots if one.state in ORDER_LIVE else one.filled_lots
        used = one.notional * lots / one.lots
        house += used
        own += used if one.netting_set_id == netting_set_id else 0
    recent = select(func.count()).where(row.place == place, row.sent_at > now - _MINUTE)
    return CapUse(
        orders_last_minute=connection.execute(recent).scalar_one(),
        day_notional=own,
        house_day_notional=house,
    )


def cause_over_within(connection: Connection, cause: str) -> str:
    """Return why the cause of a plan no longer holds, in a sentence; empty while it does.

    Calls are known here. Whether another cause still holds is for the standing to say.
    """
    if not cause.startswith(CALL_CAUSE):
        return ""
    call_id = cause.removeprefix(CALL_CAUSE)
    query = select(CallRow.state).where(CallRow.call_id == call_id)
    state = connection.execute(query).scalar_one_or_none()
    if state is None:
        return f"there is no call {call_id}"
    return f"call {call_id} is {state}" if state in END_STATES else ""

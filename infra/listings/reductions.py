"""Plans that make a book smaller: as they stand, and with orders and history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.reduction.policy import ReductionPolicy

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.reduction_records import OrderRecord, ReductionEvent, ReductionRecord


@dataclass(frozen=True, slots=True)
class ShownReduction:
    """A plan with its orders, its history and what it still needs."""

    record: ReductionRecord
    orders: Sequence[OrderRecord]
    events: Sequence[ReductionEvent]
    approvers: Sequence[str]
    n_needed: int


def shown_reduction(database: Database, policy: ReductionPolicy, plan_id: str) -> ShownReduction:
    """Return one plan with everything known of it; MissingDataError if there is none."""
    record = database.reductions.get(plan_id)
    name = record.plan_id
    return ShownReduction(
        record,
        database.reductions.orders(name),
        database.reductions.events(name),
        sorted(database.reductions.approvals(name)),
        policy.approvers_for(record.mode, record.notional),
    )


def plan_as_json(record: ReductionRecord) -> dict[str, Any]:
    """Return a plan as JSON values; quantities are exact texts."""
    content = asdict(record)
    intent = content.pop("intent")
    return {"plan_id": content.pop("plan_id"), **_plain(intent), **_plain(content)}


def reduction_as_json(found: ShownReduction) -> dict[str, Any]:
    """Return a plan with orders and history as JSON values."""
    return {
        **plan_as_json(found.record),
        "payload": found.record.intent.canonical,
        "approvers": list(found.approvers),
        "approvers_needed": found.n_needed,
        "orders": [_plain(asdict(one)) for one in found.orders],
        "events": [_plain(asdict(one)) for one in found.events],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, int | float | str | bool) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else format(value, "f")

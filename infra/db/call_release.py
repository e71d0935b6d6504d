"""Whether a return may leave now: asked in the transaction that would let it go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from engine.calls.returns import ReleaseFacts, obstacles
from engine.errors import StateError
from infra.db.call_events import call_rows, open_calls_query
from infra.db.runs import FINISHED
from infra.db.tables import BreakRow, CallRow, RequirementRow, RunRow


def release_obstacles(connection: Connection, call: Mapping[str, Any]) -> None:
    """Raise StateError if anything stands in the way of a return; names all of it."""
    found = obstacles(_facts(connection, call))
    if found:
        raise StateError(
            f"return {call['call_id']} cannot go: {'; '.join(found)}; the next close decides anew",
            identifier=call["call_id"],
            value="; ".join(found),
            limit="fresh inputs, no open call, no open break",
        )


def open_calls_of(connection: Connection, netting_set_id: str) -> tuple[str, ...]:
    """Return the calls to the client that are open, of any margin type."""
    query = open_calls_query().where(
        CallRow.netting_set_id == netting_set_id, CallRow.direction == "call"
    )
    return tuple(sorted(row["call_id"] for row in call_rows(connection, query)))


def _facts(connection: Connection, call: Mapping[str, Any]) -> ReleaseFacts:
    own = select(RunRow.kind).where(RunRow.run_id == call["run_id"]).scalar_subquery()
    latest = connection.execute(
        select(RunRow.business_date, RunRow.sequence)
        .where(RunRow.kind == own, RunRow.status.in_(FINISHED))
        .order_by(RunRow.business_date.desc(), RunRow.sequence.desc())
        .limit(1)
    ).one_or_none()
    status = connection.execute(
        select(RequirementRow.status).where(
            RequirementRow.run_id == call["run_id"],
            RequirementRow.netting_set_id == call["netting_set_id"],
        )
    ).scalar_one_or_none()
    breaks = select(BreakRow.break_id, BreakRow.facts).where(BreakRow.status == "open")
    return ReleaseFacts(
        is_fresh=status == "assessed",
        is_latest=latest is None
        or (latest.business_date, latest.sequence) <= (call["business_date"], call["sequence"]),
        open_breaks=tuple(
            sorted(
                row.break_id
                for row in connection.execute(breaks)
                if row.facts.get("netting_set_id") == call["netting_set_id"]
            )
        ),
        open_calls=open_calls_of(connection, call["netting_set_id"]),
    )

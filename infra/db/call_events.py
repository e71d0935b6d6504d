"""Rows of calls and their events, as the parts that write them share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select, text, update

from engine.errors import InvariantBroken, MissingDataError
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import link
from infra.db.tables import OPEN_CALL, CallEventRow, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A step of a call; ``actor`` is the person, where it is not the actor of the database."""

    call_id: str
    number: int
    state: str
    reason: str
    run_id: str | None
    actor: str = ""


def open_calls_query() -> Select[Any]:
    """Return the query of calls that are not at their end, in the order of their names."""
    return select(CallRow.__table__).where(text(OPEN_CALL)).order_by(CallRow.call_id)


def call_rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """Return calls as plain rows."""
    return [dict(row) for row in connection.execute(query).mappings()]


def call_row(connection: Connection, call_id: str) -> dict[str, Any]:
    """Return one call.

    Raises
    ------
    MissingDataError
        If there is none of that name.
    """
    found = call_rows(connection, select(CallRow.__table__).where(CallRow.call_id == call_id))
    if not found:
        raise MissingDataError(f"there is no call {call_id}", identifier=call_id)
    return found[0]


def record_events(database: Database, connection: Connection, events: Sequence[CallEvent]) -> None:
    """Append events to their chain."""
    head = chain_head(connection, CallEventRow.position, CallEventRow.hash)
    now, digest, rows = database.clock(), head.hash, []
    for position, event in enumerate(events, start=head.position + 1):
        row = {
            "call_id": event.call_id,
            "number": event.number,
            "state": event.state,
            "actor": event.actor or database.actor,
            "reason": event.reason,
            "run_id": event.run_id,
            "recorded_at": now,
        }
        digest = link(digest, row)
        rows.append({"position": position, "hash": digest, **row})
    insert_rows(connection, CallEventRow, rows)


def set_state(
    connection: Connection, calls: Sequence[dict[str, Any]], state: str, n_events: int = 1
) -> None:
    """Move calls to ``state``, each ``n_events`` further in its history."""
    is_affected = among(connection, CallRow.call_id, [call["call_id"] for call in calls])
    values = {"state": state, "n_events": CallRow.n_events + n_events}
    changed = connection.execute(update(CallRow).where(is_affected).values(values))
    if changed.rowcount != len(calls):
        raise InvariantBroken(f"{len(calls)} calls became {changed.rowcount} on {state}")

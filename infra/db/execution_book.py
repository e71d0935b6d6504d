"""Reading what order management has reported: in order of arrival, as a book, and what is odd."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import Connection, RowMapping, or_, select, union

from engine.executions import Opening
from engine.ports import Execution
from infra.db.bulk import among
from infra.db.oms_tables import (
    ExecutionConflictRow,
    ExecutionRow,
    OpeningRow,
    UnreadableExecutionRow,
)

BATCH: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExecution:
    """An execution as it is recorded; ``position`` orders arrival."""

    position: int
    source: str
    way: str
    received_at: datetime
    execution: Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A conflict, or something unreadable: a fact that somebody has to look at.

    ``is_settled`` once order management itself has cleared it: with a bust or a correction of the
    execution that came after the conflict, or with the execution that could not be read at first.
    """

    kind: Literal["conflict", "unreadable"]
    source: str
    way: str
    identifier: str
    evidence: str
    reason: str
    received_at: datetime
    is_settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsBook:
    """Everything that positions of an order management are made of."""

    openings: tuple[Opening, ...] = ()
    executions: tuple[Execution, ...] = ()


def executions_after(connection: Connection, position: int, limit: int) -> list[RecordedExecution]:
    """Return executions that came after ``position``, in order of arrival."""
    query = (
        select(ExecutionRow.__table__)
        .where(ExecutionRow.position > position)
        .order_by(ExecutionRow.position)
        .limit(limit)
    )
    return [
        RecordedExecution(
            position=row["position"],
            source=row["source"],
            way=row["way"],
            received_at=row["received_at"],
            execution=_execution(row),
        )
        for row in connection.execute(query).mappings()
    ]


def known_sources(connection: Connection) -> tuple[str, ...]:
    """Return the names of order managements that have ever reported, sorted."""
    both = union(select(ExecutionRow.source), select(OpeningRow.source))
    return tuple(sorted(connection.execute(both).scalars()))


def read_book(connection: Connection, source: str) -> OmsBook:
    """Return the openings and executions of a source; see ``Executions.book``."""
    openings = _openings(connection, source)
    since = _since(connection, source, openings)
    query = select(ExecutionRow.__table__).where(ExecutionRow.source == source)
    if since is not None:
        query = query.where(ExecutionRow.known_since > since)
    found: dict[str, RowMapping] = {
        row["execution_id"]: row for row in connection.execute(query).mappings()
    }
    if since is not None:
        _add_related(connection, source, found)
    ordered = sorted(found.values(), key=lambda row: int(row["position"]))
    return OmsBook(openings=openings, executions=tuple(_execution(row) for row in ordered))


def read_doubts(connection: Connection) -> list[Doubt]:
    """Return conflicts and what could not be read, oldest first."""
    conflicts = select(ExecutionConflictRow.__table__).order_by(ExecutionConflictRow.position)
    unreadable = select(UnreadableExecutionRow.__table__).order_by(UnreadableExecutionRow.position)
    found = [
        _conflict(row, connection.execute(_later_facts(row)).first() is not None)
        for row in connection.execute(conflicts).mappings().all()
    ]
    for row in connection.execute(unreadable).mappings().all():
        came = select(ExecutionRow.position).where(
            ExecutionRow.source == row["source"],
            ExecutionRow.execution_id == row["identifier"],
            ExecutionRow.received_at >= row["received_at"],
        )
        found.append(
            Doubt(
                kind="unreadable", source=row["source"], way=row["way"],
                identifier=row["identifier"], evidence=row["raw_hash"], reason=row["reason"],
                received_at=row["received_at"],
                is_settled=connection.execute(came).first() is not None,
            )
        )  # fmt: skip
    return sorted(found, key=lambda doubt: (doubt.received_at, doubt.kind, doubt.identifier))


def _conflict(row: RowMapping, is_settled: bool) -> Doubt:
    told = ", ".join(f"{name} {value}" for name, value in sorted(row["body"].items()) if value)
    return Doubt(
        kind="conflict",
        source=row["source"],
        way=row["way"],
        identifier=row["execution_id"],
        evidence=row["body_hash"],
        reason=f"came again with another content, which is not taken: {told}",
        received_at=row["received_at"],
        is_settled=is_settled,
    )


def _later_facts(row: RowMapping) -> Any:
    return select(ExecutionRow.position).where(
        ExecutionRow.source == row["source"],
        ExecutionRow.refers_to == row["execution_id"],
        ExecutionRow.received_at >= row["received_at"],
    )


def _openings(connection: Connection, source: str) -> tuple[Opening, ...]:
    query = (
        select(OpeningRow.__table__)
        .where(OpeningRow.source == source)
        .order_by(OpeningRow.account_id, OpeningRow.as_of, OpeningRow.instrument_id)
    )
    lines: dict[tuple[str, datetime], dict[str, Decimal]] = defaultdict(dict)
    for row in connection.execute(query).mappings():
        lines[row["account_id"], row["as_of"]][row["instrument_id"]] = row["quantity"]
    return tuple(
        Opening(account_id=account_id, as_of=as_of, quantities=quantities)
        for (account_id, as_of), quantities in lines.items()
    )


def _since(connection: Connection, source: str, openings: Sequence[Opening]) -> datetime | None:
    """Return from when on executions count; None if some account has no opening before them.

    The opening before the latest one is taken: a position may be asked for at an earlier instant.
    """
    by_account: dict[str, list[datetime]] = defaultdict(list)
    for opening in openings:
        by_account[opening.account_id].append(opening.as_of)
    query = select(ExecutionRow.account_id).where(ExecutionRow.source == source).distinct()
    traded = set(connection.execute(query).scalars())
    if not traded or traded - set(by_account):
        return None
    return min(sorted(instants)[-2:][0] for instants in by_account.values())


def _add_related(
    connection: Connection, source: str, found: MutableMapping[str, RowMapping]
) -> None:
    """Add what the executions found refer to, and what else refers to the same."""
    asked: set[str] = set()
    while True:
        names = {name for row in found.values() for name in (row["execution_id"], row["refers_to"])}
        wanted = sorted(names - asked - {""})
        if not wanted:
            return
        asked.update(wanted)
        query = select(ExecutionRow.__table__).where(
            ExecutionRow.source == source,
            or_(
                among(connection, ExecutionRow.execution_id, wanted),
                among(connection, ExecutionRow.refers_to, wanted),
            ),
        )
        for row in connection.execute(query).mappings():
            found.setdefault(row["execution_id"], row)


def _execution(row: RowMapping) -> Execution:
    return Execution(
        execution_id=row["execution_id"],
        account_id=row["account_id"],
        instrument_id=row["instrument_id"],
        side=row["side"],
        quantity=row["quantity"],
        execution_price=row["execution_price"],
        executed_at=row["executed_at"],
        details=row["details"],
        kind=row["kind"],
        refers_to=row["refers_to"],
        reported_at=row["known_since"],
    )

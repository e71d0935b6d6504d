"""Executions of order management: each recorded once, whichever way and however often it comes.

The name of an execution is its source and its own identifier. The same again changes nothing; the
same name with another content is kept beside the first as a conflict, and the first one stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import DeclarativeBase

from engine.ports import Execution
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.canonical import canonical_json, link
from infra.db.execution_book import (
    BATCH,
    Doubt,
    OmsBook,
    RecordedExecution,
    executions_after,
    known_sources,
    read_book,
    read_doubts,
)
from infra.db.oms_tables import (
    ExecutionConflictRow,
    ExecutionRow,
    OpeningRow,
    UnreadableExecutionRow,
)

if TYPE_CHECKING:
    from infra.db.database import Database

Way: TypeAlias = Literal["fix", "csv", "webhook"]
RAW_CHARACTERS_MAX: Final = 8_192
_REASON_CHARACTERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something that came and is no execution; ``identifier`` is its own name where it has one."""

    identifier: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningLine:
    """A line of an opening statement; quantity in signed contracts."""

    account_id: str
    as_of: datetime
    instrument_id: str
    quantity: Decimal

    @property
    def name(self) -> str:
        """Return what a conflict about this line is called."""
        instant = self.as_of.isoformat()
        return f"opening:{self.account_id}:{instant}:{self.instrument_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What came in at once, in the order in which it came."""

    executions: Sequence[Execution] = ()
    openings: Sequence[OpeningLine] = ()
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of it: new facts, known ones, conflicts, and what could not be read."""

    n_new: int = 0
    n_known: int = 0
    n_conflicts: int = 0
    n_quarantined: int = 0

    def __add__(self, other: Taken) -> Taken:
        """Return the sum."""
        return Taken(
            n_new=self.n_new + other.n_new,
            n_known=self.n_known + other.n_known,
            n_conflicts=self.n_conflicts + other.n_conflicts,
            n_quarantined=self.n_quarantined + other.n_quarantined,
        )


class Executions:
    """The inbox of order management."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, source: str, way: Way, reported: Reported) -> Taken:
        """Record what came, each fact once, and return what was new."""
        with self._database.writing() as connection:
            return self.record_within(connection, source, way, reported)

    def record_within(
        self, connection: Connection, source: str, way: Way, reported: Reported
    ) -> Taken:
        """Do what ``record`` does in the caller's transaction."""
        now = self._database.clock()
        return (
            _record_executions(connection, source, way, reported.executions, now)
            + _record_openings(connection, source, way, reported.openings, now)
            + _record_unreadable(connection, source, way, reported.unreadable, now)
        )

    def after(self, position: int = 0, limit: int = BATCH) -> list[RecordedExecution]:
        """Return executions that came after ``position``, in order of arrival."""
        with self._database.reading() as connection:
            return executions_after(connection, position, limit)

    def head(self) -> int:
        """Return the position of the latest execution, 0 before the first."""
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(ExecutionRow.position))).scalar()
            return int(last or 0)

    def sources(self) -> tuple[str, ...]:
        """Return the names of order managements that have ever reported, sorted."""
        with self._database.reading() as connection:
            return known_sources(connection)

    def book(self, source: str) -> OmsBook:
        """Return the openings of each account, and the executions that count beyond them.

        Those are the ones reported since the earliest of the latest openings, with all that they
        refer to and all that refers to the same; an account without one needs every execution.
        """
        with self._database.reading() as connection:
            return read_book(connection, source)

    def doubts(self) -> list[Doubt]:
        """Return conflicts and what could not be read, oldest first, with what has come since."""
        with self._database.reading() as connection:
            return read_doubts(connection)

    def counts(self) -> dict[str, int]:
        """Return how many executions, openings, conflicts and quarantined messages there are."""
        tables: Mapping[str, type[DeclarativeBase]] = {
            "executions": ExecutionRow,
            "openings": OpeningRow,
            "conflicts": ExecutionConflictRow,
            "quarantined": UnreadableExecutionRow,
        }
        with self._database.reading() as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in tables.items()
            }


def _record_executions(
    connection: Connection,
    source: str,
    way: Way,
    executions: Sequence[Execution],
    now: datetime,
) -> Taken:
    names = sorted({one.execution_id for one in executions})
    known = _known_hashes(connection, source, names)
    rows: list[dict[str, Any]] = []
    conflicts: list[dict[str, Any]] = []
    n_known = 0
    for one in executions:
        digest = body_hash(one)
        first = known.get(one.execution_id)
        if first is None:
            known[one.execution_id] = digest
            rows.append(_row(one, source, way, digest, now))
        elif first == digest:
            n_known += 1
        else:
            told = {**_body(one), "known_since": one.known_since}
            conflicts.append(_conflict_row(source, way, one.execution_id, told, digest, now))
    head = chain_head(connection, ExecutionRow.position, ExecutionRow.hash)
    position, last = head.position, head.hash
    for row in rows:
        position, last = position + 1, link(last, row)
        row |= {"position": position, "hash": last}
    insert_rows(connection, ExecutionRow, rows)
    n_conflicts = _add_conflicts(connection, conflicts)
    n_known += len(conflicts) - n_conflicts
    return Taken(n_new=len(rows), n_known=n_known, n_conflicts=n_conflicts)


def _record_openings(
    connection: Connection, source: str, way: Way, lines: Sequence[OpeningLine], now: datetime
) -> Taken:
    accounts = sorted({line.account_id for line in lines})
    query = select(OpeningRow.__table__).where(
        OpeningRow.source == source, among(connection, OpeningRow.account_id, accounts)
    )
    known = {
        (row["account_id"], row["as_of"], row["instrument_id"]): row["quantity"]
        for row in connection.execute(query).mappings()
    }
    position = connection.execute(select(func.max(OpeningRow.position))).scalar() or 0
    rows, conflicts, n_known = [], [], 0
    for line in lines:
        key = (line.account_id, line.as_of, line.instrument_id)
        if key not in known:
            known[key] = line.quantity
            position += 1
            rows.append(
                {
                    "position": position, "source": source, "account_id": line.account_id,
                    "as_of": line.as_of, "instrument_id": line.instrument_id,
                    "quantity": line.quantity, "way": way, "received_at": now,
                }
            )  # fmt: skip
        elif known[key] == line.quantity:
            n_known += 1
        else:
            told = {"quantity": plain(line.quantity), "first": plain(known[key])}
            digest = _digest(canonical_json(told))
            conflicts.append(_conflict_row(source, way, line.name, told, digest, now))
    insert_rows(connection, OpeningRow, rows)
    n_conflicts = _add_conflicts(connection, conflicts)
    n_known += len(conflicts) - n_conflicts
    return Taken(n_new=len(rows), n_known=n_known, n_conflicts=n_conflicts)


def _record_unreadable(
    connection: Connection, source: str, way: Way, found: Sequence[Unreadable], now: datetime
) -> Taken:
    by_hash = {_digest(one.raw): one for one in found}
    query = select(UnreadableExecutionRow.raw_hash).where(
        UnreadableExecutionRow.source == source,
        among(connection, UnreadableExecutionRow.raw_hash, sorted(by_hash)),
    )
    known = set(connection.execute(query).scalars())
    last = connection.execute(select(func.max(UnreadableExecutionRow.position))).scalar() or 0
    fresh = [(digest, one) for digest, one in by_hash.items() if digest not in known]
    insert_rows(
        connection,
        UnreadableExecutionRow,
        [
            {
                "position": position, "source": source, "way": way,
                "identifier": one.identifier[:200],
                "reason": one.reason[:_REASON_CHARACTERS_MAX],
                "raw": one.raw[:RAW_CHARACTERS_MAX], "raw_hash": digest, "received_at": now,
            }
            for position, (digest, one) in enumerate(fresh, start=last + 1)
        ],
    )  # fmt: skip
    return Taken(n_quarantined=len(fresh), n_known=len(found) - len(fresh))


def body_hash(execution: Execution) -> str:
    """Return the hash of what an execution says: equal for equal facts, however they were sent.

    Stamps of sending are left out, and instants count to the millisecond: ways differ in both.
    """
    return _digest(canonical_json(_body(execution)))


def plain(number: Decimal) -> str:
    """Return the one text of a number: no exponent, no trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _body(one: Execution) -> dict[str, object]:
    milliseconds = one.executed_at.isoformat(timespec="milliseconds")
    return {
        "kind": one.kind, "refers_to": one.refers_to, "account_id": one.account_id,
        "instrument_id": one.instrument_id, "side": one.side, "quantity": plain(one.quantity),
        "execution_price": plain(one.execution_price), "executed_at": milliseconds,
    }  # fmt: skip


def _row(one: Execution, source: str, way: Way, digest: str, now: datetime) -> dict[str, Any]:
    return {
        "source": source, "execution_id": one.execution_id, "kind": one.kind,
        "refers_to": one.refers_to, "account_id": one.account_id,
        "instrument_id": one.instrument_id, "side": one.side, "quantity": one.quantity,
        "execution_price": one.execution_price, "executed_at": one.executed_at,
        "known_since": one.known_since, "way": way, "details": dict(one.details),
        "body_hash": digest, "received_at": now,
    }  # fmt: skip


def _conflict_row(
    source: str, way: Way, name: str, body: Mapping[str, object], digest: str, now: datetime
) -> dict[str, Any]:
    return {
        "source": source, "execution_id": name, "body_hash": digest, "body": dict(body),
        "way": way, "received_at": now,
    }  # fmt: skip


def _add_conflicts(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    named = {(row["source"], row["execution_id"], row["body_hash"]): row for row in rows}
    names = sorted({name for _, name, _ in named})
    columns = (
        ExecutionConflictRow.source, ExecutionConflictRow.execution_id,
        ExecutionConflictRow.body_hash,
    )  # fmt: skip
    query = select(*columns).where(among(connection, ExecutionConflictRow.execution_id, names))
    known = {tuple(row) for row in connection.execute(query)}
    last = connection.execute(select(func.max(ExecutionConflictRow.position))).scalar() or 0
    fresh = [row for key, row in named.items() if key not in known]
    for position, row in enumerate(fresh, start=last + 1):
        row["position"] = position
    insert_rows(connection, ExecutionConflictRow, fresh)
    return len(fresh)


def _known_hashes(connection: Connection, source: str, names: Sequence[str]) -> dict[str, str]:
    query = select(ExecutionRow.execution_id, ExecutionRow.body_hash).where(
        ExecutionRow.source == source, among(connection, ExecutionRow.execution_id, names)
    )
    return dict(connection.execute(query).tuples().all())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

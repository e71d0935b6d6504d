"""Rows of the ledger's chains, each checked against its hash while it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, Connection, Integer, Select, Text, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, aliased

from engine.errors import MarginPlatformError, StateError
from engine.ledger.entries import Posting
from infra.db.audit import Head
from infra.db.canonical import GENESIS, link
from infra.db.ledger_booking import body_hash
from infra.db.ledger_tables import (
    AttestationRow,
    BackingRow,
    BalanceRow,
    HoldResolutionRow,
    HoldRow,
)
from infra.db.tables import AccountRow, AssetRow, AuditRow, EntryRow, PostingRow

_BATCH: Final = 10_000
_ENTRIES: Final = "ledger"
Chained: TypeAlias = type[HoldRow | HoldResolutionRow | AttestationRow]
Table: TypeAlias = type[
    HoldRow | HoldResolutionRow | AttestationRow | BalanceRow | BackingRow | EntryRow | PostingRow
    | AccountRow | AssetRow | AuditRow
]  # fmt: skip


def wrong(table: str, place: int | str, fact: str) -> StateError:
    """Return the error that names a row: its table, its position or key, and what is wrong."""
    where = f"row {place}" if place else "it"
    return StateError(
        f"{table}: {where} {fact}; keep the database as evidence and restore a backup",
        identifier=f"{table}[{place}]",
        value=fact,
    )


def chained_rows(
    connection: Connection,
    table: Chained,
    anchored: Mapping[int, str],
    heads: MutableMapping[str, Head],
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a chain in order; its head is in ``heads`` once all are read."""
    name = table.__tablename__
    head = Head(0, GENESIS)
    for row in rows_of(connection, table, (table.position,)):
        content = {key: row[key] for key in row if key not in ("position", "hash")}
        head = _next(name, head, row, content, anchored)
        yield row
    _require_whole(name, head, anchored)
    heads[name] = head


def entry_rows(
    connection: Connection, anchored: Mapping[int, str], heads: MutableMapping[str, Head]
) -> Iterator[tuple[Mapping[str, Any], tuple[Posting, ...]]]:
    """Yield every entry with its postings; the head is in ``heads`` once all are read."""
    corrected = aliased(EntryRow)
    query = (
        select(EntryRow.__table__, corrected.business_key.label("corrected_key"))
        .outerjoin(corrected, corrected.position == EntryRow.corrects)
        .order_by(EntryRow.position)
    )
    name = EntryRow.__tablename__
    head = Head(0, GENESIS)
    lines = rows_of(connection, PostingRow, (PostingRow.position, PostingRow.line))
    line = next(lines, None)
    for row in _read(connection, name, query):
        position = row["position"]
        _require_next(name, head, position)
        if line is not None and line["position"] < position:
            raise wrong(PostingRow.__tablename__, _line(line), "belongs to no entry")
        postings: list[Posting] = []
        while line is not None and line["position"] == position:
            if line["line"] != len(postings) + 1:
                fact = f"comes where line {len(postings) + 1} belongs"
                raise wrong(PostingRow.__tablename__, _line(line), fact)
            postings.append(Posting(line["debit"], line["credit"], line["asset"], line["amount"]))
            line = next(lines, None)
        content = {key: row[key] for key in row if key not in ("position", "hash", "corrected_key")}
        head = _next(name, head, row, content, anchored)
        _require_body(row, postings)
        yield row, tuple(postings)
    if line is not None and line["position"] == head.position + 1:
        raise wrong(name, line["position"], "is missing: its postings are there")
    if line is not None:
        raise wrong(PostingRow.__tablename__, _line(line), "belongs to no entry")
    _require_whole(name, head, anchored)
    heads[_ENTRIES] = head


def rows_of(
    connection: Connection, table: Table, order: tuple[InstrumentedAttribute[Any], ...]
) -> Iterator[Mapping[str, Any]]:
    """Yield all rows of a table in order, or name the row that cannot be read."""
    query = select(table.__table__).order_by(*order)
    return _read(connection, table.__tablename__, query)


def _read(connection: Connection, name: str, query: Select[Any]) -> Iterator[Mapping[str, Any]]:
    n_read = 0
    plain = {
        found.name: (int if isinstance(found.type, Integer) else str, bool(found.nullable))
        for found in query.selected_columns
        if isinstance(found, Column) and isinstance(found.type, Integer | Text)
    }
    try:
        for row in connection.execute(query).yield_per(_BATCH).mappings():
            values = {str(name): value for name, value in row.items()}
            for name_of_column, (kind, is_nullable) in plain.items():
                value = values[name_of_column]
                if type(value) is not kind and not (value is None and is_nullable):
                    raise wrong(name, n_read + 1, f"cannot be read: {name_of_column} is {value!r}")
            yield values
            n_read += 1
    except (SQLAlchemyError, ValueError, TypeError) as error:
        raise _unreadable(connection, name, query, n_read) from error


def _unreadable(connection: Connection, name: str, query: Select[Any], n_read: int) -> StateError:
    """Return the error that names the first row after ``n_read`` which cannot be read."""
    if connection.dialect.name == "sqlite":
        # A batch fails as a whole; one by one the row shows itself.
        for number in range(n_read, n_read + _BATCH):
            try:
                if connection.execute(query.limit(1).offset(number)).first() is None:
                    break
            except (SQLAlchemyError, ValueError, TypeError) as error:
                return wrong(name, number + 1, f"cannot be read: {_first_line(error)}")
    return wrong(name, n_read + 1, "or one after it cannot be read")


def _first_line(error: Exception) -> str:
    reason = getattr(error, "orig", None) or error
    return (str(reason).strip().splitlines() or [type(error).__name__])[0]


def _next(
    name: str,
    head: Head,
    row: Mapping[str, Any],
    content: Mapping[str, object],
    anchored: Mapping[int, str],
) -> Head:
    position, digest = row["position"], row["hash"]
    _require_next(name, head, position)
    try:
        found = link(head.hash, content)
    except MarginPlatformError as error:
        raise wrong(name, position, f"cannot be read: {error}") from error
    if found != digest:
        raise wrong(name, position, "does not match its hash: it was altered, inserted or moved")
    if anchored.get(position, digest) != digest:
        raise wrong(name, position, "differs from the head that was anchored in the store")
    return Head(position, digest)


def _require_next(name: str, head: Head, position: int) -> None:
    if position != head.position + 1:
        raise wrong(name, head.position + 1, f"is missing: row {position} follows {head.position}")


def _require_whole(name: str, head: Head, anchored: Mapping[int, str]) -> None:
    beyond = [position for position in anchored if position > head.position]
    if beyond:
        fact = f"is missing: the store has anchored row {max(beyond)}, the end was cut off"
        raise wrong(name, head.position + 1, fact)


def _require_body(row: Mapping[str, Any], postings: list[Posting]) -> None:
    # The row itself matches its hash, so what differs from its body hash is what it does not hold.
    found = body_hash(row["kind"], row["business_date"], row["corrected_key"], postings)
    if found != row["body_hash"]:
        raise wrong(
            PostingRow.__tablename__,
            row["position"],
            f"does not match entry {row['business_key']}: a posting was altered, added or removed",
        )


def _line(row: Mapping[str, Any]) -> str:
    return f"{row['position']}, line {row['line']},"

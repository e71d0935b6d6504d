"""Many rows at once: ``COPY`` on PostgreSQL, batches on SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import pandas as pd
from sqlalchemy import ARRAY, ColumnElement, Connection, any_, bindparam, func, insert, select
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

_BATCH: Final = 5_000
_COPY_FROM: Final = 500
_T = TypeVar("_T")


def insert_rows(
    connection: Connection, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert rows that all have the same columns."""
    if not rows:
        return
    if connection.dialect.name == "postgresql" and len(rows) >= _COPY_FROM:
        _copy(connection, table, rows)
        return
    for batch in _batches(rows):
        connection.execute(insert(table), batch)


def among(
    connection: Connection, column: InstrumentedAttribute[Any], values: Sequence[str | int]
) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of ``values``, as one parameter however many."""
    kind = column.type
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), ARRAY(kind)))
    rows = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(rows.c.value))


def as_text(value: object) -> str:
    """Return a cell as text; what is absent is empty."""
    return "" if value is None or value is pd.NA or value != value else str(value)


def dates(column: Iterable[Any]) -> pd.Series:
    """Return dates as the canonical naive midnights."""
    return pd.Series(pd.to_datetime(list(column)), dtype="datetime64[ms]")


def instants(column: Iterable[Any]) -> pd.Series:
    """Return instants in UTC to the millisecond."""
    return pd.Series(pd.to_datetime(list(column), utc=True), dtype="datetime64[ms, UTC]")


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _copy(
    connection: Connection, table: type[DeclarativeBase], rows: Sequence[Mapping[str, Any]]
) -> None:
    names = list(rows[0])
    columns = [table.__table__.c[name] for name in names]
    # COPY goes past SQLAlchemy, so the checks and forms of its types are applied here.
    bind = [column.type.bind_processor(connection.dialect) or _same for column in columns]
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection to PostgreSQL is closed")
    listed = ", ".join(names)
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table.__tablename__} ({listed}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row([process(row[name]) for process, name in zip(bind, names, strict=True)])


def _same(value: Any) -> Any:
    return value

"""Statements that go straight to the driver, inside a transaction of SQLAlchemy.

For the few places where the time of a statement counts: the types of the columns still check and
convert every value, and what a driver raises becomes what SQLAlchemy would have raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

_COPY_FROM: Final = 100
# SQLite opens a journal for each statement whose triggers may refuse it: a statement of many rows
# takes half the time of many statements.
_ROWS_MAX: Final = 200
_PARAMETERS_MAX: Final = 32_766
_NO_VALUE: Final = object()
_Processor: TypeAlias = Callable[[Any], Any]


class Direct:
    """A transaction's driver connection; SQL is written with ``?`` for parameters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect
        self.is_embedded = connection.dialect.name == "sqlite"
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("the connection to the database is closed")
        self._driver: Any = driver
        self._cursor: Any = driver.cursor()
        self._is_together = False

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds, as the driver gives it."""
        with self._faults(sql):
            self._cursor.execute(self._text(sql), tuple(parameters))
            found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def rows_of_many(
        self, queries: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[list[tuple[Any, ...]]]:
        """Return what several queries find, for one way to the server and back."""
        if self.is_embedded or len(queries) < 2:
            return [self.rows(sql, parameters) for sql, parameters in queries]
        cursors = [self._driver.cursor() for _ in queries]
        with self._faults("; ".join(sql for sql, _ in queries)), self._driver.pipeline():
            for cursor, (sql, parameters) in zip(cursors, queries, strict=True):
                cursor.execute(self._text(sql), tuple(parameters))
            return [cursor.fetchall() for cursor in cursors]

    @contextmanager
    def together(self, n_rows: int) -> Iterator[None]:
        """Let what the block inserts go to the server together, its faults raised at the end.

        Parameters
        ----------
        n_rows : int
            Of one table at most; many are copied, which goes by itself.
        """
        self._is_together = not self.is_embedded and n_rows < _COPY_FROM
        pipeline = self._driver.pipeline() if self._is_together else nullcontext()
        try:
            with self._faults("statements sent together"), pipeline:
                yield
        finally:
            self._is_together = False

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        with self._faults(sql):
            self._cursor.execute(self._text(sql), tuple(parameters))
            return int(self._cursor.rowcount)

    def insert(
        self, table: type[DeclarativeBase], names: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows given as values in the order of ``names``."""
        if not rows:
            return
        sql, processors = _insertion(self._dialect, table, names)
        columns = [
            list(values) if process is None else _processed(process, values)
            for process, values in zip(processors, zip(*rows, strict=True), strict=True)
        ]
        bound = list(zip(*columns, strict=True))
        with self._faults(sql):
            if self.is_embedded:
                self._insert_rows(sql, bound)
            elif self._is_together:
                for row in bound:
                    self._cursor.execute(sql, row)
            elif len(bound) < _COPY_FROM:
                self._cursor.executemany(sql, bound)
            else:
                listed = ", ".join(names)
                into = f"COPY {table.__tablename__} ({listed}) FROM STDIN"
                with self._cursor.copy(into) as copy:
                    for row in bound:
                        copy.write_row(row)

    def _insert_rows(self, sql: str, bound: list[tuple[Any, ...]]) -> None:
        n_rows = min(_ROWS_MAX, _PARAMETERS_MAX // len(bound[0]))
        n_whole = len(bound) - len(bound) % n_rows
        if n_whole:
            head, row = sql.split(" VALUES ")
            whole = f"{head} VALUES {', '.join([row] * n_rows)}"
            for first in range(0, n_whole, n_rows):
                part = bound[first : first + n_rows]
                self._cursor.execute(whole, list(chain.from_iterable(part)))
        if len(bound) > n_whole:
            self._cursor.executemany(sql, bound[n_whole:])

    def bound(self, table: type[DeclarativeBase], name: str, value: Any) -> Any:
        """Return a value as the driver takes it for a column."""
        process = table.__table__.c[name].type.bind_processor(self._dialect)
        return value if process is None else process(value)

    def among(self, column: str, values: Sequence[str]) -> tuple[str, Any]:
        """Return the condition that a text column is one of ``values``, and its one parameter."""
        if self.is_embedded:
            import json

            return f"{column} IN (SELECT value FROM json_each(?))", json.dumps(list(values))
        return f"{column} = ANY(?)", list(values)

    def _text(self, sql: str) -> str:
        return sql if self.is_embedded else sql.replace("?", "%s")

    @contextmanager
    def _faults(self, sql: str) -> Iterator[None]:
        error_class = self._dialect.loaded_dbapi.Error
        try:
            yield
        except error_class as error:
            raise DBAPIError.instance(
                sql, None, error, error_class, dialect=self._dialect
            ) from error


def _processed(process: _Processor, values: Sequence[Any]) -> list[Any]:
    # Many rows of one commit share an instant or a run: each object is converted once.
    last, converted = _NO_VALUE, None
    found = []
    for value in values:
        if value is not last:
            last, converted = value, process(value)
        found.append(converted)
    return found


@lru_cache(maxsize=64)
def _insertion(
    dialect: Dialect, table: type[DeclarativeBase], names: tuple[str, ...]
) -> tuple[str, tuple[_Processor | None, ...]]:
    mark = "?" if dialect.name == "sqlite" else "%s"
    values = ", ".join(mark for _ in names)
    sql = f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES ({values})"
    types = (table.__table__.c[name].type for name in names)
    return sql, tuple(kind.bind_processor(dialect) for kind in types)

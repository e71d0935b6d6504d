"""The database: how connections are made, and how reading and writing are kept apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from engine.errors import ParameterError, StateError
from infra.clock import Clock, utc_now
from infra.db import schema
from infra.db.column_types import ExactSum
from infra.db.faults import database_faults
from infra.db.parts import DatabaseParts

if TYPE_CHECKING:
    from infra.db.lease import Lease


_SQLITE_OLDEST: Final = (3, 37, 0)
# Any two programs that write as Plimsoll must agree on this number.
_WRITER_LOCK: Final = 0x506C696D736F6C6C
_CONNECT_SECONDS: Final = 10

Seal: TypeAlias = Callable[[str], str]
"""Returns the seal of a text, by a key that the database does not hold."""


class Database(DatabaseParts):
    """Access to the record of business facts; connects on first use.

    One writer at a time, on both engines: hash chains and limits need an order, and the wait for
    it is bounded by ``wait_seconds``.
    """

    def __init__(
        self,
        url: URL,
        *,
        wait_seconds: float,
        actor: str,
        clock: Clock = utc_now,
        seal: Seal | None = None,
    ) -> None:
        self.url = url
        self.wait_seconds = wait_seconds
        self.actor = actor
        self.clock = clock
        self.seal = seal
        self.is_embedded = url.get_backend_name() == "sqlite"

    @property
    def label(self) -> str:
        """Return the URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path:
        """Return the file of an embedded database."""
        return Path(self.url.database or "").absolute()

    @cached_property
    def engine(self) -> Engine:
        """Return the connection pool."""
        return _sqlite_engine(self) if self.is_embedded else _postgresql_engine(self)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database."""
        with self._faults(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield the one connection that may write; all of the block is recorded or nothing."""
        with self._faults(), self.engine.connect() as connection:
            connection = connection.execution_options(plimsoll_writes=True)
            with connection.begin():
                if not self.is_embedded:
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK}
                    )
                yield connection

    def prepare(self) -> None:
        """Create the schema in an embedded database that is empty, else check it."""
        if self.is_embedded and (not self.file.exists() or self._is_empty()):
            self.upgrade()
        else:
            self.check_schema()

    def upgrade(self) -> str:
        """Run the missing migrations and return the revision reached."""
        if self.is_embedded:
            self._create_file()
        with self.writing() as connection:
            return schema.upgrade_schema(connection)

    def check_schema(self) -> None:
        """Raise StateError unless the schema is the one of this code."""
        if self.is_embedded and not self.file.exists():
            raise StateError(
                f"there is no database {self.file}: run `plimsoll db upgrade` to create it",
                identifier=str(self.file),
            )
        with self.reading() as connection:
            schema.check_schema(connection, self.label)

    def close(self) -> None:
        """Give all connections back."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    def lease(self, key: str, wait_seconds: float = 0.0) -> AbstractContextManager[Lease]:
        """Return a context that only one process holds at a time; see ``infra/db/lease.py``."""
        from infra.db.lease import hold_lease

        return hold_lease(self, key, wait_seconds)

    def _faults(self) -> AbstractContextManager[None]:
        return database_faults(self.label, self.wait_seconds)

    def _is_empty(self) -> bool:
        with self.reading() as connection:
            return schema.is_empty(connection)

    def _create_file(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch(exist_ok=True)
        except OSError as error:
            raise StateError(
                f"cannot create database {self.file}: {error.strerror}; "
                "set PLIMSOLL_HOME or PLIMSOLL_DATABASE_URL to another place",
                identifier=str(self.file),
            ) from error


def open_database(
    url: str,
    *,
    wait_seconds: float = 30.0,
    actor: str = "plimsoll",
    clock: Clock = utc_now,
    seal: Seal | None = None,
) -> Database:
    """Return the database at ``url``; nothing is opened before the first use.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or ``postgresql://user:password@host/name``.
    wait_seconds : float
        Longest wait for another writer. [s]
    actor : str
        Who acts, for audit and call events.
    clock : Clock
        Source of recorded instants.
    seal : callable, optional
        Returns the seal of a text. With it, approvals of destinations are sealed and asked for
        their seal; without it they are neither.

    Raises
    ------
    ParameterError
        If the URL names another database or no file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        # The text may hold a password, so it is not repeated.
        raise ParameterError(
            "PLIMSOLL_DATABASE_URL is no database URL: write sqlite:///path or "
            "postgresql://user:password@host/name"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ParameterError(
            f"PLIMSOLL_DATABASE_URL: {parsed.drivername} is not served: use sqlite or postgresql"
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ParameterError("PLIMSOLL_DATABASE_URL: sqlite needs a file: sqlite:///path")
    return Database(parsed, wait_seconds=wait_seconds, actor=actor, clock=clock, seal=seal)


def _sqlite_engine(database: Database) -> Engine:
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        raise StateError(
            f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer has STRICT tables",
            value=sqlite3.sqlite_version,
            limit=">= 3.37",
        )
    # mode=rw: reading a path that is not there must not leave an empty database behind.
    location = f"file:{quote(str(database.file))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            location,
            uri=True,
            timeout=database.wait_seconds,
            # SQLAlchemy begins transactions (below), not the driver.
            isolation_level=None,
            check_same_thread=False,
        )
        for setting in (
            "foreign_keys = ON",
            "recursive_triggers = ON",
            "journal_mode = WAL",
            # A call that was reported as issued survives a power cut.
            "synchronous = FULL",
        ):
            connection.execute(f"PRAGMA {setting}").close()
        connection.create_aggregate("exact_sum", 1, ExactSum)
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A read that later wants to write fails at once in WAL mode, whatever the timeout.
        writes = connection.get_execution_options().get("plimsoll_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(database: Database) -> Engine:
    milliseconds = int(max(database.wait_seconds, 0.001) * 1000)
    engine = create_engine(
        database.url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": f"plimsoll {database.actor}"[:63],
            "options": f"-c lock_timeout={milliseconds} -c timezone=UTC",
        },
    )

    @event.listens_for(engine, "connect")
    def _plain_cursor(connection: Any, _: object) -> None:
        # Server-side preparation would break behind a transaction-pooling proxy.
        connection.prepare_threshold = None

    return engine

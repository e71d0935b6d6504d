"""The database: how connections are made, and how reading and writing are kept apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
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

if TYPE_CHECKING:
    from infra.db.audit import Audit
    from infra.db.board import Board
    from infra.db.breaks import Breaks
    from infra.db.call_actions import CallActions
    from infra.db.call_ageing import CallAgeing
    from infra.db.calls import Calls
    from infra.db.intraday_events import IntradayEvents
    from infra.db.lease import Lease
    from infra.db.ledger import Ledger
    from infra.db.parameters import Parameters
    from infra.db.proposals import Proposals
    from infra.db.records import Records
    from infra.db.requirements import Requirements
    from infra.db.runs import Runs
    from infra.db.transfers import Transfers
    from infra.db.users import Users
    from infra.db.venue_cursors import VenueCursors
    from infra.db.venue_margins import VenueMarginRecords
    from infra.db.web_sessions import WebSessions
    from infra.db.webhooks import Webhooks
    from infra.db.whitelist import Whitelist

_SQLITE_OLDEST: Final = (3, 37, 0)
# Any two programs that write as Plimsoll must agree on this number.
_WRITER_LOCK: Final = 0x506C696D736F6C6C
_CONNECT_SECONDS: Final = 10


class Database:
    """Access to the record of business facts; connects on first use.

    One writer at a time, on both engines: hash chains and limits need an order, and the wait for
    it is bounded by ``wait_seconds``.
    """

    def __init__(
        self, url: URL, *, wait_seconds: float, actor: str, clock: Clock = utc_now
    ) -> None:
        self.url = url
        self.wait_seconds = wait_seconds
        self.actor = actor
        self.clock = clock
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

    @cached_property
    def runs(self) -> Runs:
        """Return runs and their steps."""
        from infra.db.runs import Runs

        return Runs(self)

    @cached_property
    def venue_margins(self) -> VenueMarginRecords:
        """Return margins of venue accounts."""
        from infra.db.venue_margins import VenueMarginRecords

        return VenueMarginRecords(self)

    @cached_property
    def records(self) -> Records:
        """Return snapshots and rule books."""
        from infra.db.records import Records

        return Records(self)

    @cached_property
    def requirements(self) -> Requirements:
        """Return requirements by run."""
        from infra.db.requirements import Requirements

        return Requirements(self)

    @cached_property
    def calls(self) -> Calls:
        """Return margin calls and their events."""
        from infra.db.calls import Calls

        return Calls(self)

    @cached_property
    def call_actions(self) -> CallActions:
        """Return what people and clients do to calls."""
        from infra.db.call_actions import CallActions

        return CallActions(self)

    @cached_property
    def call_ageing(self) -> CallAgeing:
        """Return what time does to calls."""
        from infra.db.call_ageing import CallAgeing

        return CallAgeing(self)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Return messages to subscribers, and those that came in."""
        from infra.db.webhooks import Webhooks

        return Webhooks(self)

    @cached_property
    def ledger(self) -> Ledger:
        """Return the double-entry ledger."""
        from infra.db.ledger import Ledger

        return Ledger(self)

    @cached_property
    def transfers(self) -> Transfers:
        """Return transfers and their events."""
        from infra.db.transfers import Transfers

        return Transfers(self)

    @cached_property
    def whitelist(self) -> Whitelist:
        """Return destinations that transfers may go to."""
        from infra.db.whitelist import Whitelist

        return Whitelist(self)

    @cached_property
    def venue_cursors(self) -> VenueCursors:
        """Return how far each venue's own history has been read."""
        from infra.db.venue_cursors import VenueCursors

        return VenueCursors(self)

    @cached_property
    def board(self) -> Board:
        """Return how netting sets and the system stand now."""
        from infra.db.board import Board

        return Board(self)

    @cached_property
    def intraday_events(self) -> IntradayEvents:
        """Return the events that the intraday loop emits."""
        from infra.db.intraday_events import IntradayEvents

        return IntradayEvents(self)

    @cached_property
    def breaks(self) -> Breaks:
        """Return reconciliation breaks."""
        from infra.db.breaks import Breaks

        return Breaks(self)

    @cached_property
    def parameters(self) -> Parameters:
        """Return the registry of parameters."""
        from infra.db.parameters import Parameters

        return Parameters(self)

    @cached_property
    def proposals(self) -> Proposals:
        """Return proposals of new parameters."""
        from infra.db.proposals import Proposals

        return Proposals(self)

    @cached_property
    def users(self) -> Users:
        """Return users of the dashboard and their tokens."""
        from infra.db.users import Users

        return Users(self)

    @cached_property
    def web_sessions(self) -> WebSessions:
        """Return logins and failed logins."""
        from infra.db.web_sessions import WebSessions

        return WebSessions(self)

    @cached_property
    def audit(self) -> Audit:
        """Return the audit chain."""
        from infra.db.audit import Audit

        return Audit(self)

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
    url: str, *, wait_seconds: float = 30.0, actor: str = "plimsoll", clock: Clock = utc_now
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
    return Database(parsed, wait_seconds=wait_seconds, actor=actor, clock=clock)


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

"""A lease: of two processes that start the same work, one works and the other says so.

It is held by the process itself, as a lock on a file beside an embedded database or as an
advisory lock of a PostgreSQL session, so it vanishes with a killed process and never has to be
cleaned up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import StateError

if TYPE_CHECKING:
    from infra.db.database import Database

_PAUSE_SECONDS = 0.1


class Lease(Protocol):
    """What the holder of a lease has in hand."""

    def require_held(self) -> None:
        """Raise StateError if the lease was lost, for instance with its session."""


@contextmanager
def hold_lease(database: Database, key: str, wait_seconds: float) -> Iterator[Lease]:
    """Yield the lease ``key``, or raise StateError if another holds it after ``wait_seconds``."""
    held = _file_lease if database.is_embedded else _session_lease
    with held(database, key, wait_seconds) as lease:
        yield lease


class _FileLease:
    def __init__(self, key: str) -> None:
        self.key = key

    def require_held(self) -> None:
        """Do nothing: the operating system keeps a file lock as long as the process lives."""


class _SessionLease:
    def __init__(self, connection: Connection, key: str) -> None:
        self.connection = connection
        self.key = key

    def require_held(self) -> None:
        """Ask the session for its lock."""
        try:
            found = self.connection.execute(
                text(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                    "AND pid = pg_backend_pid() AND (classid::bigint << 32) | objid::bigint = :key"
                ),
                {"key": _lock_number(self.key)},
            ).scalar_one()
        except DBAPIError as error:
            raise _lost(self.key) from error
        if not found:
            raise _lost(self.key)


@contextmanager
def _file_lease(database: Database, key: str, wait_seconds: float) -> Iterator[Lease]:
    from filelock import FileLock, Timeout

    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = database.file.with_name(f"{database.file.name}.lease-{name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=wait_seconds, poll_interval=_PAUSE_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise _held_elsewhere(key, "another process") from error
    except OSError as error:
        raise StateError(
            f"cannot lock {path}: {error.strerror}; grant permission to the folder of the database",
            identifier=str(path),
        ) from error
    try:
        yield _FileLease(key)
    finally:
        lock.release()


@contextmanager
def _session_lease(database: Database, key: str, wait_seconds: float) -> Iterator[Lease]:
    # A connection of its own, outside transactions: the lock lives and dies with the session.
    with database._faults():
        connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(database, connection, key):
            if time.monotonic() >= deadline:
                raise _held_elsewhere(key, _holder(connection, key))
            time.sleep(_PAUSE_SECONDS)
        yield _SessionLease(connection, key)
    finally:
        # The server notices a closed session a moment later; who comes next need not wait for it.
        with suppress(SQLAlchemyError):
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
        # Closing the session and not only returning it to the pool gives up the lock for sure.
        connection.invalidate()
        connection.close()


def _try_lock(database: Database, connection: Connection, key: str) -> bool:
    with database._faults():
        query = text("SELECT pg_try_advisory_lock(:key)")
        return bool(connection.execute(query, {"key": _lock_number(key)}).scalar_one())


def _holder(connection: Connection, key: str) -> str:
    found = connection.execute(
        text(
            "SELECT a.application_name, a.client_addr::text, a.backend_start "
            "FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
            "AND l.granted AND (l.classid::bigint << 32) | l.objid::bigint = :key "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"key": _lock_number(key)},
    ).first()
    if found is None:
        return "another process"
    name, address, since = found
    return f"{name or 'another process'} on {address or 'this host'} since {since:%H:%M:%S} UTC"


def _lock_number(key: str) -> int:
    digest = hashlib.sha256(f"plimsoll lease {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _held_elsewhere(key: str, holder: str) -> StateError:
    return StateError(
        f"{key} is already being worked on by {holder}: wait for it to finish or stop it",
        identifier=key,
    )


def _lost(key: str) -> StateError:
    return StateError(
        f"the lease {key} was lost with the database session: start again to resume",
        identifier=key,
    )

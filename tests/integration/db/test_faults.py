"""A database that cannot serve says so in one sentence, in bounded time, and keeps no half."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from engine.errors import MarginPlatformError, ParameterError, StateError, StateUnavailable
from infra.db import Database, open_database
from tests.integration.db.facts import begin, requirements
from tests.processes import until_killed


def test_a_locked_sqlite_database_is_unavailable_after_a_bounded_wait(
    sqlite_database: Database,
) -> None:
    other = sqlite3.connect(sqlite_database.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(StateUnavailable, match=r"is locked by another process for more than 0\.5"):
        begin(sqlite_database)
    assert 0.4 < time.monotonic() - started < 30.0
    assert sqlite_database.runs.list() == (), "reading goes on"
    other.execute("ROLLBACK")
    assert begin(sqlite_database).sequence == 1
    other.close()


@pytest.mark.postgres
def test_a_busy_postgresql_writer_is_unavailable_after_a_bounded_wait(
    postgresql_database: Database,
) -> None:
    other = open_database(
        postgresql_database.url.render_as_string(hide_password=False), wait_seconds=0.5
    )
    with postgresql_database.writing():
        with pytest.raises(StateUnavailable, match="is locked by another process"):
            begin(other)
        assert other.runs.list() == ()
    assert begin(other).sequence == 1
    other.close()


def test_an_unreachable_server_is_one_sentence() -> None:
    database = open_database("postgresql://margin:secret@127.0.0.1:1/margin")
    for use in (database.check_schema, lambda: begin(database), database.runs.list):
        with pytest.raises(StateUnavailable, match=r"cannot be reached: .*127\.0\.0\.1") as caught:
            use()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(StateUnavailable), database.lease("k"):
        pass


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_one_sentence(postgresql_database: Database) -> None:
    url = postgresql_database.url.set(database="nowhere")
    with pytest.raises(StateError, match="there is no such database: create it"):
        open_database(url.render_as_string(hide_password=False)).check_schema()


@pytest.mark.postgres
def test_a_terminated_session_is_retried_by_the_next_use(postgresql_database: Database) -> None:
    def terminate() -> None:
        with postgresql_database.writing() as connection:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StateUnavailable, match="cannot be reached"):
        terminate()
    assert begin(postgresql_database).sequence == 1


def test_a_missing_file_is_not_created_by_looking(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'absent.db'}")
    with pytest.raises(StateError, match=r"there is no database .*run `plimsoll db upgrade`"):
        database.check_schema()
    with pytest.raises(StateError, match="cannot be opened"):
        database.runs.list()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plimsoll.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(StateError, match="is no SQLite database"):
        open_database(f"sqlite:///{path}").prepare()


def test_a_database_without_our_tables_is_told_to_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE stamps (id INTEGER)")
    other.close()
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(StateError, match="has no schema: run `plimsoll db upgrade`"):
        database.prepare()
    with pytest.raises(StateError, match="schema is missing or old: run `plimsoll db upgrade`"):
        begin(database)


def test_a_folder_without_permission_is_one_sentence(as_nobody: Path) -> None:
    database = open_database(f"sqlite:///{as_nobody / 'locked' / 'plimsoll.db'}")
    with pytest.raises(StateError, match=r"cannot create database .*Permission denied"):
        database.prepare()
    with pytest.raises(StateError, match=r"cannot lock .*Permission denied"), database.lease("k"):
        pass


def test_a_database_that_may_only_be_read_is_one_sentence(
    as_nobody: Path, sqlite_template: Path
) -> None:
    import os

    was = os.geteuid()
    os.seteuid(os.getuid())
    path = as_nobody / "locked" / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    path.chmod(0o444)
    os.seteuid(was)
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(StateError, match=r"cannot be (written|opened)"):
        begin(database)


def test_a_full_database_is_one_sentence_and_keeps_no_half(sqlite_database: Database) -> None:
    run = begin(sqlite_database)
    with sqlite_database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
    frame = requirements(*(f"NS-{number}" for number in range(5_000)))
    with pytest.raises(StateError, match="the disk is full: free space"):
        sqlite_database.requirements.save(run.run_id, frame)
    assert len(sqlite_database.requirements.of_run(run.run_id)) == 0
    sqlite_database.close()
    assert sqlite_database.requirements.save(run.run_id, frame) == 5_000
    sqlite_database.audit.verify()


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_after_it(
    tmp_path: Path, sqlite_template: Path
) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system needs root")
    try:
        shutil.copy(sqlite_template, mount / "plimsoll.db")
        database = open_database(f"sqlite:///{mount / 'plimsoll.db'}")
        run = begin(database)
        frame = requirements(*(f"NS-{number}" for number in range(5_000)))
        with pytest.raises(StateError, match=r"disk is full|disk fails"):
            database.requirements.save(run.run_id, frame)
        subprocess.run(["mount", "-o", "remount,size=64m", mount], check=True)
        assert database.requirements.save(run.run_id, frame) == 5_000
        database.audit.verify()
        database.close()
    finally:
        subprocess.run(["umount", mount], check=True)


def _write_limited(report, url: str) -> None:
    database = open_database(url)
    run = begin(database)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    frame = requirements(*(f"NS-{number}" for number in range(5_000)))
    try:
        database.requirements.save(run.run_id, frame)
    except MarginPlatformError as error:
        report(f"{type(error).__name__}: {error}")


def test_a_file_size_limit_is_one_sentence_and_keeps_no_half(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "plimsoll.db")
    database_url = f"sqlite:///{tmp_path / 'plimsoll.db'}"
    seen, _ = until_killed(_write_limited, database_url)
    assert len(seen) == 1
    assert "StateError" in seen[0]
    assert "disk" in seen[0]
    database = open_database(database_url)
    assert len(database.requirements.of_run("eod-2026-11-20-1")) == 0
    database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://margin:secret@host/db", "mysql is not served"),
        ("sqlite://", "sqlite needs a file"),
        ("sqlite:///:memory:", "sqlite needs a file"),
        ("secret nonsense", "is no database URL"),
        ("postgresql+asyncpg://margin:secret@host/db", "not served"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)

"""How a database comes to the schema of the code, whoever starts it and whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.errors import StateError
from infra.db import Database, open_database
from infra.db.web_tables import UserRow  # noqa: F401  (its tables are compared)
from tests.integration.db.facts import (
    begin,
)
from tests.processes import race

VERSIONS = Path(__file__).parents[3] / "infra" / "db" / "migrations" / "versions"
NEWEST = max(path.name[1:5] for path in VERSIONS.glob("v*.py"))


def test_a_fresh_database_says_what_to_run(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    with pytest.raises(StateError, match="run `plimsoll db upgrade`"):
        database.check_schema()
    if database.is_embedded:
        assert not database.file.exists(), "a look must not create a database"
    database.upgrade()
    database.check_schema()
    database.close()


def test_only_an_embedded_database_prepares_itself(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    if database.is_embedded:
        database.prepare()
        database.prepare()
        assert begin(database).sequence == 1
    else:
        with pytest.raises(StateError, match="run `plimsoll db upgrade`"):
            database.prepare()
    database.close()


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    begin(database)
    assert database.upgrade() == NEWEST
    assert database.runs.list()[0].run_id == "eod-2026-11-20-1"


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (database.check_schema, database.upgrade):
        with pytest.raises(StateError, match="9999, newer than this code"):
            refused()


def test_an_older_database_is_told_to_upgrade(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic.script import ScriptDirectory

    monkeypatch.setattr(ScriptDirectory, "get_current_head", lambda self: "9999")
    with pytest.raises(StateError, match=f"at revision {NEWEST}, this code needs 9999: run"):
        database.check_schema()


def test_eight_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    assert race(_upgrade, empty_database_url) == [NEWEST] * 8


def test_eight_processes_may_prepare_a_first_home_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'home' / 'plimsoll.db'}"
    assert race(_prepare, url) == ["eod-2026-11-20-1"] * 8


def _prepare(url: str) -> str:
    database = open_database(url)
    try:
        database.prepare()
        return begin(database).run_id
    finally:
        database.close()


def _upgrade(url: str) -> str:
    database = open_database(url)
    try:
        return database.upgrade()
    finally:
        database.close()


@pytest.mark.fault
def test_an_upgrade_killed_anywhere_is_completed_by_the_next(empty_database_url: str) -> None:
    code = (
        "import sys, os, signal\n"
        "from sqlalchemy import event\n"
        "from infra.db import open_database\n"
        "d = open_database(sys.argv[1]); n = 0\n"
        "if d.is_embedded: d._create_file()\n"
        "@event.listens_for(d.engine, 'before_cursor_execute')\n"
        "def count(*_):\n"
        "    global n; n += 1\n"
        "    if n == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "d.upgrade()"
    )
    for statement in (5, 20, 40):
        killed = subprocess.run([sys.executable, "-c", code, empty_database_url, str(statement)])
        assert killed.returncode == -signal.SIGKILL
    database = open_database(empty_database_url)
    database.upgrade()
    database.check_schema()
    begin(database)
    database.close()


def test_time_zone_of_the_process_does_not_matter(database_url: str) -> None:
    code = (
        "import sys; from infra.db import open_database;"
        "from tests.integration.db.facts import begin;"
        "d = open_database(sys.argv[1]); print(begin(d).started_at.utcoffset())"
    )
    environment = {**os.environ, "TZ": "America/New_York", "PGTZ": "America/New_York"}
    found = subprocess.run(
        [sys.executable, "-c", code, database_url],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert found.stdout.strip() == "0:00:00"
    database = open_database(database_url)
    age = time.time() - database.runs.list()[0].started_at.timestamp()
    assert 0 <= age < 60
    database.close()

"""A backup is whole, is of one instant, and lets the chains be verified."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.errors import StateError
from infra.db import Database, IntradayEvent, open_database
from infra.db.backup import back_up
from tests.integration.alerts.events import NOW, breach
from tests.integration.db.facts import bound


def test_a_backup_taken_while_others_write_is_whole(
    sqlite_database: Database, tmp_path: Path
) -> None:
    bound(sqlite_database)
    stop, started = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            events = [
                IntradayEvent(
                    kind="breach", resource="plimsoll.netting-set.A", subject=f"{number}-{side}",
                    occurred_at=NOW,
                )
                for side in ("left", "right")
            ]  # fmt: skip
            sqlite_database.intraday_events.record(events)
            started.set()

    writer = threading.Thread(target=write)
    writer.start()
    started.wait(10)
    try:
        size = back_up(sqlite_database, tmp_path / "copy.db")
    finally:
        stop.set()
        writer.join()
    assert size == (tmp_path / "copy.db").stat().st_size
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    copy = open_database(f"sqlite:///{tmp_path / 'copy.db'}")
    copy.check_schema()
    copy.audit.verify()
    # Pairs are written together: one alone would be half a transaction.
    assert len(copy.intraday_events.after(0, 100_000)) % 2 == 0
    copy.close()


def test_a_backup_overwrites_nothing_and_says_what_is_wrong(
    sqlite_database: Database, tmp_path: Path
) -> None:
    sqlite_database.intraday_events.record([breach(1)])
    back_up(sqlite_database, tmp_path / "copy.db")
    with pytest.raises(StateError, match="is there already"):
        back_up(sqlite_database, tmp_path / "copy.db")
    with pytest.raises(StateError, match="cannot be copied"):
        back_up(sqlite_database, tmp_path / "absent" / "copy.db")
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.db"]


def test_a_database_on_a_server_is_left_to_its_own_tools(postgresql_database: Database) -> None:
    with pytest.raises(StateError, match="pg_dump"):
        back_up(postgresql_database, Path("/nowhere"))

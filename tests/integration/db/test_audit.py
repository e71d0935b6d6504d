"""Whatever is altered, removed or cut off behind our back is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import StateError
from infra.db import Database, Entry, Posting, open_database
from infra.db.ledger_balances import fold
from infra.store import Store, open_store
from tests.integration.db.facts import DAY, bound, calls


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def filled(database: Database) -> Database:
    run = bound(database)
    database.calls.issue(run.run_id, calls({f"NS-{number}": "100.25" for number in range(5)}))
    database.ledger.register_assets({"USD": 2})
    for number in range(1, 6):
        posting = Posting("a:1", "b:1", "USD", number)
        database.ledger.post(Entry(f"k-{number}", "test", DAY, run.run_id, (posting, posting)))
        database.audit.append("looked", f"page {number}", {"amount": Decimal("1.50"), "at": DAY})
    return database


def tamper(database: Database, table: str, statement: str) -> None:
    """Change a row as an administrator of the database could."""
    with database.engine.connect() as connection:
        if database.is_embedded:
            triggers = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            ).scalars()
            for trigger in triggers.all():
                connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(statement)
        connection.commit()
    database.engine.dispose()


def test_untouched_chains_verify_also_against_the_store(filled: Database, store: Store) -> None:
    path = filled.audit.anchor(store, "eod-2026-11-20-1")
    assert store.exists(path)
    filled.audit.append("went on", "x", {})
    report = filled.audit.verify(store)
    assert report.heads["ledger"].position == 5
    assert report.heads["call_events"].position == 10
    assert report.heads["audit"].position > 6
    assert report.n_anchors == 1


@pytest.mark.parametrize(
    ("table", "statement", "named"),
    [
        ("audit", "UPDATE audit SET actor = 'nobody' WHERE position = 4", r"audit chain: row 4"),
        ("audit", "UPDATE audit SET details = '{}' WHERE position = 6", r"audit chain: row 6"),
        ("audit", "DELETE FROM audit WHERE position = 3", r"audit chain: row 3 is missing"),
        (
            "ledger_postings",
            "UPDATE ledger_postings SET amount = '4' WHERE position = 3 AND line = 2",
            r"ledger chain: row 3 does not match",
        ),
        (
            "ledger_postings",
            "DELETE FROM ledger_postings WHERE position = 2 AND line = 2",
            r"ledger chain: row 2 does not match",
        ),
        (
            "ledger_postings",
            "INSERT INTO ledger_postings SELECT position, 3, debit, credit, asset, amount "
            "FROM ledger_postings WHERE position = 5 AND line = 1",
            r"ledger chain: row 5 does not match",
        ),
        (
            "ledger_entries",
            "UPDATE ledger_entries SET business_date = '2026-11-19' WHERE position = 1",
            r"ledger chain: row 1 does not match",
        ),
        (
            "call_events",
            "UPDATE call_events SET state = 'settled' WHERE position = 10",
            r"call_events chain: row 10 does not match",
        ),
    ],
)
def test_an_altered_row_is_found_and_named(
    filled: Database, table: str, statement: str, named: str
) -> None:
    tamper(filled, table, statement)
    with pytest.raises(StateError, match=named):
        filled.audit.verify()


def test_a_cut_off_end_is_found_through_the_store(filled: Database, store: Store) -> None:
    filled.audit.anchor(store, "one")
    tamper(filled, "audit", "DELETE FROM audit WHERE position >= 6")
    filled.audit.verify()
    with pytest.raises(
        StateError, match=r"audit chain: row \d+ is missing: the store has anchored"
    ):
        filled.audit.verify(store)


def test_a_rewritten_history_is_found_through_the_store(
    filled: Database, store: Store, rewrite: Callable[[Database], None]
) -> None:
    filled.audit.anchor(store, "one")
    rewrite(filled)
    filled.audit.verify()
    with pytest.raises(StateError, match="differs from the head that was anchored"):
        filled.audit.verify(store)


@pytest.fixture
def rewrite() -> Callable[[Database], None]:
    """Alter a row and every hash from there on, as somebody who knows the code could."""

    def alter(database: Database) -> None:
        from infra.db.audit import _audit_rows
        from infra.db.canonical import GENESIS, link

        tamper(database, "audit", "UPDATE audit SET actor = 'nobody' WHERE position = 2")
        with database.reading() as connection:
            rows = list(_audit_rows(connection))
        digest = GENESIS
        for position, _, content in rows:
            digest = link(digest, content)
            tamper(
                database,
                "audit",
                f"UPDATE audit SET hash = '{digest}' WHERE position = {position}",
            )

    return alter


def test_every_flipped_bit_of_a_sqlite_file_is_found_or_changes_nothing(
    sqlite_database: Database, tmp_path: Path
) -> None:
    run = bound(sqlite_database)
    sqlite_database.ledger.register_assets({"USD": 2})
    for number in range(40):
        posting = Posting("a:1", "b:1", "USD", 1_000 + number)
        sqlite_database.ledger.post(Entry(f"k-{number}", "test", DAY, run.run_id, (posting,)))
    expected = posted(sqlite_database)
    sqlite_database.close()
    original = sqlite_database.file.read_bytes()
    needles = [f"a:1b:1USD{1_000 + number}".encode() for number in range(40)]
    found = 0
    for number, needle in enumerate(needles):
        place = original.index(needle) + len(needle) - 1
        flipped = bytearray(original)
        # 48..57 and 49 apart: another digit, which SQLite's own check cannot see.
        flipped[place] ^= 1
        path = tmp_path / f"flipped-{number}.db"
        path.write_bytes(bytes(flipped))
        check = sqlite3.connect(path)
        assert check.execute("PRAGMA quick_check").fetchone() == ("ok",)
        check.close()
        damaged = open_database(f"sqlite:///{path}")
        assert posted(damaged) != expected
        with pytest.raises(StateError, match="ledger chain"):
            damaged.audit.verify()
        damaged.close()
        found += 1
    assert found == 40


def posted(database: Database) -> dict[tuple[str, str], int]:
    with database.reading() as connection:
        return fold(connection)


def test_runs_and_calls_leave_their_own_traces(filled: Database) -> None:
    with filled.reading() as connection:
        actions = connection.exec_driver_sql("SELECT action FROM audit ORDER BY position").scalars()
        assert actions.all()[:3] == ["run begun", "rule book recorded", "calls issued"]

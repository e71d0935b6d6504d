"""A database with a ledger of before takes the step to holds and kept balances, killed or not."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from engine.errors import InvariantBroken, StateError
from infra.db import Database, Entry, Posting, open_database
from infra.db.bulk import insert_rows
from infra.db.ledger_balances import fold
from infra.db.ledger_booking import _insert, open_accounts
from infra.db.schema import _config
from infra.db.tables import AssetRow
from tests.integration.db.facts import DAY
from tests.integration.db.tampering import tamper

NOW = datetime(2026, 11, 19, 12, tzinfo=UTC)
EARLIER = datetime(2026, 11, 19, 11, tzinfo=UTC)
HUGE = 10**37 + 1


@pytest.fixture
def old_url(empty_database_url: str) -> str:
    """Return the URL of a database at the revision before, with a ledger in it."""
    database = open_database(empty_database_url)
    if database.is_embedded:
        database._create_file()
    with database.writing() as connection:
        command.upgrade(_config(connection), "0003")
        insert_rows(
            connection, AssetRow, [{"asset": "USD", "scale": 2}, {"asset": "T", "scale": 0}]
        )
        entries = [
            Entry(
                f"k-{number}",
                "test",
                DAY,
                None,
                (
                    Posting("settlement:a", f"collateral:NS-{number % 3}", "USD", 100 + number),
                    Posting(f"collateral:NS-{number % 3}", "margin:NS-1", "T", HUGE),
                ),
            )
            for number in range(9)
        ]
        # Accounts were opened at a moment of their own then.
        open_accounts(connection, EARLIER, ["settlement:a", "margin:NS-1"])
        open_accounts(connection, EARLIER, [f"collateral:NS-{number}" for number in range(3)])
        _insert(connection, NOW, entries, {})
    database.close()
    return empty_database_url


def require_upgraded(url: str) -> Database:
    database = open_database(url)
    database.upgrade()
    database.check_schema()
    database.ledger.verify()
    database.audit.verify()
    with database.reading() as connection:
        posted = fold(connection)
    assert posted["margin:NS-1", "T"] == 9 * HUGE
    found = database.ledger.balances()
    assert len(found) == len(posted) == 8
    assert database.ledger.balance("settlement:a", "USD").amount == Decimal("-9.36")
    backing = database.ledger.backing().set_index("asset")
    assert int(backing.loc["USD", "credited"] * 100) == 936
    assert backing.loc["T", "credited"] == 0
    return database


def test_balances_are_built_from_what_was_booked(old_url: str) -> None:
    database = require_upgraded(old_url)
    entry = Entry("new", "test", DAY, None, (Posting("outside:x", "margin:NS-1", "USD", 5),))
    assert database.ledger.post(entry)
    assert not database.ledger.post(entry)
    database.ledger.register_assets({"USD": 2, "EUR": 2})
    assert database.ledger.verify().counts["entries"] == 10
    database.close()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("ledger_assets", "UPDATE ledger_assets SET scale = 3 WHERE asset = 'USD'"),
        (
            "ledger_accounts",
            "UPDATE ledger_accounts SET opened_at = '2026-11-19T10:00:00.000000Z' "
            "WHERE account = 'settlement:a'",
        ),
    ],
)
def test_what_was_taken_over_is_vouched_for(old_url: str, table: str, statement: str) -> None:
    database = require_upgraded(old_url)
    tamper(database, table, statement)
    with pytest.raises(StateError, match=table):
        database.ledger.verify()
    database.close()


def test_a_ledger_that_was_overdrawn_before_is_not_taken_over(old_url: str) -> None:
    database = open_database(old_url)
    entry = Entry("k", "test", DAY, None, (Posting("location:x", "margin:NS-1", "USD", 5),))
    with database.writing() as connection:
        open_accounts(connection, NOW, ["location:x"])
        _insert(connection, NOW, [entry], {})
    with pytest.raises((InvariantBroken, StateError), match="floor"):
        database.upgrade()
    with database.reading() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0003"
        )
    database.close()


CODE = (
    "import sys, os, signal\n"
    "from sqlalchemy import event\n"
    "from infra.db import open_database\n"
    "d = open_database(sys.argv[1]); n = 0\n"
    "@event.listens_for(d.engine, 'before_cursor_execute')\n"
    "def count(*_):\n"
    "    global n; n += 1\n"
    "    if n == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
    "d.upgrade()"
)


def killed_at(url: str, statement: int) -> bool:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, url, str(statement)], cwd=Path(__file__).parents[3]
    )
    assert ended.returncode in (0, -signal.SIGKILL)
    return ended.returncode == -signal.SIGKILL


def test_an_upgrade_that_was_killed_is_completed_by_the_next(old_url: str) -> None:
    for statement in (12, 30):
        assert killed_at(old_url, statement)
    require_upgraded(old_url).close()


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_an_upgrade_killed_at_every_statement_is_completed_by_the_next(old_url: str) -> None:
    statement = 1
    while killed_at(old_url, statement):
        statement += 1
    assert statement > 40
    require_upgraded(old_url).close()

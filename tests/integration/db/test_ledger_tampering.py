"""Thousands of random edits and flipped bits: every one is found, and the row is named.

What passes the verification must read as before, cell by cell: that is what found means.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, delete, insert, inspect, select, update
from sqlalchemy.exc import DBAPIError

from engine.errors import StateError
from infra.db import Database
from infra.db.ledger_verification import verify_ledger
from infra.db.tables import Base
from tests.integration.db.ledger_facts import fill

TABLES = (
    "ledger_assets", "ledger_accounts", "ledger_entries", "ledger_postings", "ledger_holds",
    "ledger_hold_resolutions", "ledger_attestations", "ledger_balances", "ledger_backing",
)  # fmt: skip
EDITS = ("change", "change", "change", "delete", "insert", "swap")
SEED = 20261121
FOR_NONE = {
    "expires_at": datetime(2026, 11, 22, tzinfo=UTC),
    "run_id": "eod-2026-11-20-1",
    "corrects": 1,
    "posted_amount": 1,
    "entry": 1,
}


class Editor:
    """Edits one row at a time, as an administrator could, and takes the edit back."""

    def __init__(self, connection: Connection, choice: random.Random) -> None:
        self.connection = connection
        self.choice = choice
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [
                {str(key): value for key, value in row.items()}
                for row in connection.execute(select(table_of(name))).mappings()
            ]
            for name in TABLES
        }

    def edit(self) -> tuple[str, str]:
        """Do something to a row; return the table and what was done."""
        name = self.choice.choice(TABLES)
        what = self.choice.choice(EDITS)
        table, rows = table_of(name), self.rows[name]
        row = self.choice.choice(rows)
        if what == "change":
            column = self.choice.choice(list(row))
            value = self._other(column, row[column])
            self.connection.execute(
                update(table).where(*is_row(table, row)).values({column: value})
            )
            return name, f"{column} of {row} became {value!r}"
        if what == "delete":
            self.connection.execute(delete(table).where(*is_row(table, row)))
            return name, f"{row} deleted"
        if what == "insert":
            new = {
                column: self._other(column, value) if column in unique_columns(table) else value
                for column, value in row.items()
            }
            if name == "ledger_accounts":
                new["kind"], _, new["owner"] = new["account"].partition(":")
            self.connection.execute(insert(table).values(new))
            return name, f"{new} inserted"
        return name, self._swap(table, rows, row)

    def _swap(self, table: Table, rows: list[dict[str, Any]], row: dict[str, Any]) -> str:
        keys = {column.name for column in table.primary_key}
        other = self.choice.choice(rows)
        moved = {column: value for column, value in other.items() if column not in keys}
        if all(row[column] == value for column, value in moved.items()):
            raise Unchanged
        # A unique column cannot hold both at once: move one row out of the way first.
        self.connection.execute(delete(table).where(*is_row(table, other)))
        self.connection.execute(update(table).where(*is_row(table, row)).values(moved))
        mine = {column: row[column] for column in moved}
        values = {**{column: other[column] for column in keys}, **mine}
        self.connection.execute(insert(table).values(values))
        return f"{row} and {other} swapped"

    def _other(self, column: str, value: Any) -> Any:
        step = self.choice.randint(1, 9)
        if value is None:
            return FOR_NONE[column]
        if isinstance(value, bool | int):
            return value + step
        if isinstance(value, datetime):
            return value + timedelta(microseconds=step)
        if isinstance(value, date):
            return value + timedelta(days=step)
        place = self.choice.randint(0, len(value))
        return value[:place] + "x" * step + value[place:]


class Unchanged(Exception):
    """The two rows say the same."""


def table_of(name: str) -> Table:
    return Base.metadata.tables[name]


def is_row(table: Table, row: Mapping[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key]


def unique_columns(table: Table) -> set[str]:
    keys = [constraint for constraint in table.constraints if hasattr(constraint, "columns")]
    named = {column.name for column in table.primary_key}
    for key in keys:
        if type(key).__name__ == "UniqueConstraint":
            named |= {column.name for column in key.columns}
    return named


def tampered(database: Database, n_edits: int, seed: int = 0) -> Counter[str]:
    """Edit, verify and take back ``n_edits`` times; return what came of it."""
    fill(database, 12)
    heads = database.ledger.verify().heads
    anchors = {name: {head.position: head.hash} for name, head in heads.items()}
    counts: Counter[str] = Counter()
    missed: list[str] = []
    with database.engine.connect() as connection:
        unlock(database, connection)
        editor = Editor(connection, random.Random(SEED + seed))
        while sum(counts.values()) < n_edits:
            point = connection.begin_nested()
            try:
                name, what = editor.edit()
                try:
                    verify_ledger(connection, anchors)
                    missed.append(f"{name}: {what}")
                    counts["missed"] += 1
                except StateError as found:
                    is_named = str(found.identifier).startswith(f"{name}[")
                    counts["named" if is_named else f"{name} seen in {found.identifier}"] += 1
            except Unchanged:
                pass
            except DBAPIError:
                counts["refused by the database itself"] += 1
            point.rollback()
        connection.rollback()
    assert not missed, missed[:5]
    database.ledger.verify()
    return counts


def unlock(database: Database, connection: Connection) -> None:
    if not database.is_embedded:
        connection.exec_driver_sql("SET session_replication_role = replica")
        return
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for trigger in connection.exec_driver_sql(query).scalars().all():
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}")


def test_random_edits_are_found_and_named(database: Database, engine_name: str) -> None:
    counts = tampered(database, 250 if engine_name == "sqlite" else 150)
    assert counts["named"] > 0.75 * sum(counts.values())


@pytest.mark.fault
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_edits_are_found_and_named(database: Database, part: int) -> None:
    counts = tampered(database, 2_500, part)
    print(dict(counts))
    assert counts["named"] > 0.75 * sum(counts.values())


# --- bits of a SQLite file --------------------------------------------------------------------


def flipped(database: Database, n_flips: int, seed: int = 0) -> Counter[str]:
    """Flip one bit of a page of the ledger at a time; return what came of it."""
    fill(database, 12)
    database.close()
    path = database.file
    original = path.read_bytes()
    expected = dump(path)
    # Zeros are room for rows to come, with hardly an exception.
    places = [place for place in ledger_places(path) if original[place]]
    choice = random.Random(SEED + seed)
    counts: Counter[str] = Counter()
    for _ in range(n_flips):
        place, bit = choice.choice(places), choice.randrange(8)
        damaged = bytearray(original)
        damaged[place] ^= 1 << bit
        path.write_bytes(bytes(damaged))
        try:
            database.ledger.verify()
            # Free space and the like: no cell of the ledger reads otherwise, no index misleads.
            assert dump(path) == expected, f"byte {place}, bit {bit} was missed"
            counts["reads as before"] += 1
        except StateError as error:
            counts["row named" if is_named(error) else "file named"] += 1
        finally:
            database.close()
            for suffix in ("-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(original)
    return counts


def is_named(error: StateError) -> bool:
    return str(error.identifier).startswith(("ledger_", "audit["))


def ledger_places(path: Path) -> list[int]:
    """Return the bytes of the file that lie in pages of the ledger's tables and indexes."""
    with sqlite3.connect(path) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = connection.execute(
            "SELECT pageno FROM dbstat WHERE name IN "
            "(SELECT name FROM sqlite_master WHERE tbl_name LIKE 'ledger%')"
        ).fetchall()
    connection.close()
    return [place for (page,) in pages for place in range((page - 1) * size, page * size)]


def dump(path: Path) -> dict[str, list[Any]] | str:
    connection = sqlite3.connect(path)
    try:
        return {
            name: connection.execute(f"SELECT * FROM {name} NOT INDEXED").fetchall()
            for name in TABLES
        }
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)
    finally:
        connection.close()


@pytest.fixture
def has_page_list() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT count(*) FROM dbstat")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite does not list its pages (dbstat)")
    finally:
        connection.close()


def test_flipped_bits_are_found_or_change_nothing(
    has_page_list: None, sqlite_database: Database
) -> None:
    counts = flipped(sqlite_database, 250)
    assert counts["row named"] > 20


@pytest.mark.fault
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_flipped_bits_are_found_or_change_nothing(
    has_page_list: None, sqlite_database: Database, part: int
) -> None:
    print(dict(flipped(sqlite_database, 2_500, part)))


def test_every_table_of_the_ledger_is_tampered_with(sqlite_database: Database) -> None:
    with sqlite_database.reading() as connection:
        found = inspect(connection).get_table_names()
    assert sorted(name for name in found if name.startswith("ledger_")) == sorted(TABLES)

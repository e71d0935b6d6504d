"""Every way to alter a ledger behind its back is found, and the row is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StateError
from infra.db import Database, Posting
from infra.store import Store, open_store
from tests.integration.db.ledger_facts import PLACE, entry, fill
from tests.integration.db.tampering import tamper


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def filled(database: Database) -> Database:
    return fill(database)


def test_a_ledger_in_order_is_counted(filled: Database, store: Store) -> None:
    filled.audit.anchor(store, "one")
    report = filled.ledger.verify(store)
    assert report.n_anchors == 1
    assert dict(report.counts) == {
        "assets": 2, "accounts": 12, "entries": 9, "postings": 15, "holds": 6, "pending holds": 1,
        "resolutions": 5, "attestations": 1, "balances": 12,
    }  # fmt: skip


ALTERED = [
    ("ledger_entries", "UPDATE ledger_entries SET kind = 'x' WHERE position = 2", "row 2 does not"),
    ("ledger_entries", "DELETE FROM ledger_entries WHERE position = 4", "row 4 is missing"),
    (
        "ledger_entries",
        "UPDATE ledger_entries SET position = position + 100 WHERE position = 9",
        "row 9 is missing",
    ),
    (
        "ledger_postings",
        "UPDATE ledger_postings SET amount = '99' WHERE position = 3 AND line = 1",
        "row 3 does not match entry hold:h-0",
    ),
    (
        "ledger_postings",
        "UPDATE ledger_postings SET credit = 'collateral:NS-2' WHERE position = 2 AND line = 2",
        "row 2 does not match entry k-0",
    ),
    (
        "ledger_postings",
        "DELETE FROM ledger_postings WHERE position = 2 AND line = 1",
        "row 2, line 2, comes where line 1 belongs",
    ),
    (
        "ledger_postings",
        "INSERT INTO ledger_postings SELECT 99, 1, debit, credit, asset, amount "
        "FROM ledger_postings WHERE position = 1",
        "row 99, line 1, belongs to no entry",
    ),
    ("ledger_holds", "UPDATE ledger_holds SET amount = '1' WHERE position = 4", "row 4 does not"),
    (
        "ledger_holds",
        "UPDATE ledger_holds SET expires_at = NULL WHERE position = 3",
        "row 3 does not match",
    ),
    ("ledger_holds", "DELETE FROM ledger_holds WHERE position = 2", "row 2 is missing"),
    (
        "ledger_hold_resolutions",
        "UPDATE ledger_hold_resolutions SET reason = 'other' WHERE position = 2",
        "row 2 does not match",
    ),
    (
        "ledger_attestations",
        "UPDATE ledger_attestations SET counted_quantity = '2000000000000'",
        "row 1 does not match",
    ),
    (
        "ledger_balances",
        f"UPDATE ledger_balances SET posted = '5000000000000' WHERE account = '{PLACE}'",
        f"row {PLACE} BTC says 5000000000000 posted, but its rows add up to 999999999940",
    ),
    (
        "ledger_balances",
        f"UPDATE ledger_balances SET held = '0' WHERE account = '{PLACE}'",
        "says 0 held, but its rows add up to 53",
    ),
    ("ledger_balances", "DELETE FROM ledger_balances WHERE account = 'outside:y'", "is missing"),
    (
        "ledger_balances",
        "INSERT INTO ledger_balances VALUES ('outside:y', 'USD', '0', '0', '0')",
        "row outside:y USD is there, but nothing was ever booked on it",
    ),
    (
        "ledger_backing",
        "UPDATE ledger_backing SET n_attestations = 0 WHERE asset = 'BTC'",
        "row BTC says 0 n_attestations, but its rows add up to 1",
    ),
    ("ledger_assets", "UPDATE ledger_assets SET scale = 3 WHERE asset = 'USD'", "registered with"),
    (
        "ledger_accounts",
        "UPDATE ledger_accounts SET kind = 'x' WHERE account = 'outside:x'",
        "row outside:x says kind x",
    ),
    (
        "ledger_accounts",
        "UPDATE ledger_accounts SET opened_at = '2020-01-01T00:00:00.000000Z' "
        "WHERE account = 'outside:x'",
        "row outside:x was opened at 2020-01-01",
    ),
]


@pytest.mark.parametrize(("table", "statement", "named"), ALTERED)
def test_an_altered_row_is_named(filled: Database, table: str, statement: str, named: str) -> None:
    tamper(filled, table, statement)
    with pytest.raises(StateError) as found:
        filled.ledger.verify()
    assert str(found.value).startswith(f"{table}: ")
    assert named in str(found.value)
    assert found.value.identifier.startswith(f"{table}[")


@pytest.mark.parametrize(
    ("table", "where"),
    [("ledger_hold_resolutions", "position = 5"), ("ledger_holds", "position = 6")],
)
def test_a_cut_off_end_shows_in_what_is_left_of_it(
    filled: Database, table: str, where: str
) -> None:
    tamper(filled, table, f"DELETE FROM {table} WHERE {where}")
    with pytest.raises(StateError):
        filled.ledger.verify()


def test_a_cut_off_end_with_fitting_balances_is_found_through_the_store(
    filled: Database, store: Store
) -> None:
    """What was booked last is removed with all its traces in the database."""
    before = filled.ledger.verify().heads
    balances = read(filled, "ledger_balances"), read(filled, "ledger_backing")
    filled.ledger.post(entry("last", Posting("outside:x", "collateral:NS-0", "USD", 5)))
    filled.audit.anchor(store, "one")
    tamper(filled, "ledger_postings", "DELETE FROM ledger_postings WHERE position = 10")
    tamper(filled, "ledger_entries", "DELETE FROM ledger_entries WHERE position = 10")
    for table, rows in zip(("ledger_balances", "ledger_backing"), balances, strict=True):
        tamper(filled, table, f"DELETE FROM {table}")
        for row in rows:
            tamper(filled, table, f"INSERT INTO {table} VALUES ({', '.join(map(repr, row))})")
    assert filled.ledger.verify().heads == before
    with pytest.raises(StateError, match="ledger_entries: row 10 is missing: the store has anch"):
        filled.ledger.verify(store)


def read(database: Database, table: str) -> list[tuple[object, ...]]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
    return [tuple(v if isinstance(v, str | int) else int(v) for v in row) for row in rows]

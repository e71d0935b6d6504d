"""The schema holds on both engines what the program promises, also against other programs."""

from __future__ import annotations

import importlib
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.exc import DBAPIError

from engine.errors import LedgerError, ModelInputError
from infra.db import Database
from infra.db.column_types import ExactAmount, MinorUnits
from infra.db.tables import Base, CallRow, RequirementRow
from infra.db.web_tables import UserRow  # noqa: F401  (its tables are compared)
from tests.integration.db.facts import (
    DAY,
    begin,
    requirements,
)
from tests.integration.db.filled import fill

VERSIONS = Path(__file__).parents[3] / "infra" / "db" / "migrations" / "versions"
APPEND_ONLY = (
    "snapshots", "rule_books", "steps", "requirements", "call_events", "ledger_assets",
    "ledger_accounts", "ledger_entries", "ledger_postings", "break_events", "audit",
    "parameter_bodies", "parameter_sets", "parameter_files", "rule_proposals",
    "rule_proposal_events", "venue_margins", "call_terms", "call_facts",
    "webhook_receipts", "transfer_events", "transfer_approvals", "whitelist_entries",
    "whitelist_events", "kill_switch_events", "ledger_holds", "ledger_hold_resolutions",
    "ledger_attestations", "intraday_events", "oms_executions", "oms_conflicts", "oms_quarantine",
    "oms_openings", "oms_files", "oms_channel_events", "funding_checks", "break_acceptances",
    "intraday_inbox", "intraday_decisions", "intraday_calls", "reduction_legs",
    "reduction_approvals", "reduction_events",
    "alerts", "alert_members", "alert_tellings", "alert_acknowledgements",
)  # fmt: skip


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with at least one row in every append-only table."""
    return fill(database)


@pytest.fixture
def filled_sqlite(sqlite_database: Database) -> Database:
    return fill(sqlite_database)


def test_the_migrations_lead_to_the_tables_of_the_code(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    for path in VERSIONS.parents[1].glob("*_tables.py"):
        importlib.import_module(f"infra.db.{path.stem}")
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        found = inspect(connection)
        for table in Base.metadata.sorted_tables:
            named = {check["name"] for check in found.get_check_constraints(table.name)}
            wanted = {
                str(check.name)
                for check in table.constraints
                if type(check).__name__ == "CheckConstraint"
                and (not check._ddl_if or check._ddl_if.dialect == connection.dialect.name)
            }
            assert named == wanted, table.name


def test_every_sqlite_table_is_strict(sqlite_database: Database) -> None:
    with sqlite_database.reading() as connection:
        rows = connection.exec_driver_sql("PRAGMA table_list").mappings().all()
    loose = [
        row["name"]
        for row in rows
        if not row["strict"] and not row["name"].startswith(("sqlite_", "alembic_"))
    ]
    assert loose == []


def test_history_can_only_grow(filled: Database) -> None:
    with filled.engine.connect() as connection:
        for table in APPEND_ONLY:
            column = Base.metadata.tables[table].primary_key.columns[0].name
            for statement in ("UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"):
                with pytest.raises(DBAPIError, match=f"{table} is append-only"):
                    connection.exec_driver_sql(statement.format(table, column))
                connection.rollback()


@pytest.mark.postgres
def test_no_postgresql_table_of_history_can_be_emptied(postgresql_database: Database) -> None:
    with fill(postgresql_database).engine.connect() as connection:
        for table in (*APPEND_ONLY, "calls"):
            with pytest.raises(DBAPIError, match="append-only"):
                connection.exec_driver_sql(f"TRUNCATE {table} CASCADE")
            connection.rollback()


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
def test_insert_or_replace_cannot_bypass_append_only(
    filled_sqlite: Database, recursive_triggers: str
) -> None:
    other_program = sqlite3.connect(filled_sqlite.file)
    other_program.execute(f"PRAGMA recursive_triggers = {recursive_triggers}")
    for table in (*APPEND_ONLY, "calls"):
        before = other_program.execute(f"SELECT * FROM {table}").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
            other_program.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        other_program.rollback()
        assert other_program.execute(f"SELECT * FROM {table}").fetchall() == before
    other_program.close()


def test_the_facts_of_a_call_never_change(filled: Database) -> None:
    names = ("amount", "currency", "due_at", "netting_set_id", "snapshot_id", "rule_book_hash")
    with filled.engine.connect() as connection:
        for column in names:
            with pytest.raises(DBAPIError, match="calls is append-only"):
                connection.exec_driver_sql(f"UPDATE calls SET {column} = {column}")
            connection.rollback()


@pytest.mark.parametrize("amount", ["1.5", "0", "-1", "'x'", "'NaN'", "1" + "0" * 38])
def test_no_other_program_books_less_than_a_whole_unit(filled: Database, amount: str) -> None:
    statement = (
        "INSERT INTO ledger_postings (position, line, debit, credit, asset, amount) "
        f"VALUES (1, 2, 'a:1', 'b:1', 'USD', {amount})"
    )
    with filled.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(statement)
        connection.rollback()


def test_a_strict_table_refuses_a_fraction_in_a_whole_column(sqlite_database: Database) -> None:
    with (
        sqlite_database.engine.connect() as connection,
        pytest.raises(DBAPIError, match="cannot store REAL value in INTEGER"),
    ):
        connection.exec_driver_sql("INSERT INTO ledger_assets (asset, scale) VALUES ('X', 1.5)")


@pytest.mark.parametrize("amount", ["'1,5'", "'x'", "'1-2'", "'--1'", "'1.2.3'", "''"])
def test_no_other_program_writes_an_amount_that_is_no_decimal(
    filled: Database, amount: str
) -> None:
    columns = [column.name for column in RequirementRow.__table__.columns]
    values = [
        amount if name == "call_amount" else "'NS-9'" if name == "netting_set_id" else name
        for name in columns
    ]
    with filled.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(
                f"INSERT INTO requirements ({', '.join(columns)}) "
                f"SELECT {', '.join(values)} FROM requirements"
            )
        connection.rollback()


@pytest.mark.parametrize(
    "amount",
    ["123456789.123456789012345678", "0.10", "-0.000000000000000001", "1" + "0" * 30, "0"],
)
def test_amounts_are_exact_and_keep_their_scale(database: Database, amount: str) -> None:
    run = begin(database)
    database.requirements.save(run.run_id, requirements("NS-1", amount=amount))
    found = database.requirements.of_run(run.run_id)
    assert format(found["requirement_amount"][0], "f") == amount


@pytest.mark.parametrize("value", [0.1, 1, "1.0", Decimal("NaN"), Decimal("Infinity"), True])
def test_an_amount_takes_a_finite_decimal_only(database: Database, value: object) -> None:
    with pytest.raises(ModelInputError, match="finite Decimal"):
        ExactAmount().process_bind_param(value, database.engine.dialect)


@pytest.mark.parametrize("value", [1.0, True, "1", Decimal(1), 0, -1, 10**38])
def test_minor_units_take_a_positive_integer_only(database: Database, value: object) -> None:
    with pytest.raises(LedgerError, match="positive whole number"):
        MinorUnits().process_bind_param(value, database.engine.dialect)


def test_foreign_keys_are_enforced(filled: Database) -> None:
    with filled.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(
                "INSERT INTO steps VALUES ('no-run', 's', '{}', '0', '2026-01-01T00:00:00Z')"
            )
        connection.rollback()


def test_two_open_calls_of_one_netting_set_cannot_exist(filled: Database) -> None:
    columns = [column.name for column in CallRow.__table__.columns]
    changed = {"call_id": "'other'", "sequence": "7"}
    values = [changed.get(name, name) for name in columns]
    with filled.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"uq_calls_open|UNIQUE constraint failed"):
            connection.exec_driver_sql(
                f"INSERT INTO calls ({', '.join(columns)}) SELECT {', '.join(values)} FROM calls"
            )
        connection.rollback()


def test_instants_and_dates_come_back_in_utc(filled: Database) -> None:
    with filled.reading() as connection:
        query = select(CallRow.__table__).where(CallRow.netting_set_id == "NS-1")
        call = connection.execute(query).mappings().one()
    assert call["due_at"].isoformat() == "2026-11-21T12:00:00+00:00"
    assert call["business_date"] == DAY

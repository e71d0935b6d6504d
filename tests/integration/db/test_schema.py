"""The schema holds on both engines what the program promises, also against other programs."""

from __future__ import annotations

import importlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError

from engine.errors import LedgerError, ModelInputError, StateError
from engine.transfers import TransferIntent, WhitelistEntry
from infra.alerts import AlertDesk
from infra.db import Attestation, Database, Hold, Posting, open_database
from infra.db.column_types import ExactAmount, MinorUnits
from infra.db.executions import OpeningLine, Reported, Unreadable
from infra.db.funding import FundingCheck
from infra.db.ledger import Entry
from infra.db.ledger_attestations import attest
from infra.db.reduction_records import NewReduction
from infra.db.tables import Base, CallRow, RequirementRow
from infra.db.web_tables import UserRow  # noqa: F401  (its tables are compared)
from infra.reduction import ReductionDesk
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from infra.transfers import KillSwitch
from tests.integration.db.call_facts import act, with_terms
from tests.integration.db.executions import execution
from tests.integration.db.facts import (
    CLOSE,
    DAY,
    DUE,
    begin,
    bound,
    breaks,
    calls,
    drift,
    requirements,
    venue_margins,
)
from tests.integration.db.loop_facts import batch, lead, message
from tests.integration.db.sets import recorded
from tests.processes import race
from tests.worlds.reductions import intent, policy

VERSIONS = Path(__file__).parents[3] / "infra" / "db" / "migrations" / "versions"
NEWEST = max(path.name[1:5] for path in VERSIONS.glob("v*.py"))
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


def fill(database: Database) -> Database:
    run = bound(database)
    database.runs.record_step(run.run_id, "freeze", {}, "00")
    database.requirements.save(run.run_id, requirements("NS-1"))
    issued = database.calls.issue(run.run_id, with_terms(calls({"NS-1": "100.25"})))
    database.call_actions.agree(issued["call_id"][0], act())
    with database.writing() as connection:
        database.webhooks.receive_within(connection, "client", "msg-1", DUE, b"{}")
    database.ledger.register_assets({"USD": 2})
    database.ledger.post(
        Entry("k-1", "test", DAY, run.run_id, (Posting("a:1", "b:1", "USD", 10025),))
    )
    database.ledger.hold(Hold("h-1", "a:1", "b:1", "USD", 5, DAY))
    database.ledger.void_hold("h-1", "test")
    held = Attestation(asset="USD", place="okx/a", quantity=1, as_of=CLOSE, source="venue")
    with database.writing() as connection:
        attest(connection, CLOSE, [held])
    database.breaks.update(run.run_id, breaks(("B-1", 1.0)))
    database.venue_margins.save(
        run.run_id, venue_margins("NS-1-a"), drift(("NS-1-a", 0.1, "model_only"))
    )
    one = recorded("BTCUSDT", 0.01, DAY)
    file = "venues/binance.toml"
    database.parameters.take_over("shipped", {file: "00"}, {file: [one]})
    fill_transfers(database)
    within_the_day = batch(database, lead(database), {"NS-9": "5"})
    done = database.intraday_commits.commit(replace(within_the_day, messages=[message(1)]))
    assert (len(done.issued), done.inbox_position, done.n_events) == (1, 1, 1)
    fill_order_management(database)
    fill_reductions(database)
    fill_alerts(database)
    proposal = database.proposals.propose("brackets", "alice", [one], {})
    database.proposals.shadowed(proposal.proposal_id, "alice", {"run_id": run.run_id})
    return database


def fill_reductions(database: Database) -> None:
    """Add a plan that somebody has approved."""
    desk = ReductionDesk(database, policy(), KillSwitch(Path(tempfile.mkdtemp())))
    plan = desk.propose(
        NewReduction(
            intent=intent(), mode="approval", status="restores", cost=Decimal(1), figures={},
            proposer="alice", reason="test", valid_until=database.clock() + timedelta(hours=1),
        )
    )  # fmt: skip
    desk.approve(plan.plan_id, "bob", plan.payload_hash)


def fill_alerts(database: Database) -> None:
    """Take the events there are in, and take up the alert that comes of them."""
    terms = read_house_parameters(DEFAULT_PARAMETERS, DAY)[0].quiet
    assert terms is not None
    AlertDesk(database, (), terms).round()
    assert database.alerts.acknowledge(database.alerts.latest()[0].alert_id, "alice", "seen")


def fill_order_management(database: Database) -> None:
    """Add an execution, a conflict, a bad message, an opening, a file, an event, a check."""
    for quantity in (1, 2):
        reported = Reported(
            executions=(execution("E-1", quantity=Decimal(quantity)),),
            openings=(
                OpeningLine(account_id="a", as_of=CLOSE, instrument_id="x", quantity=Decimal(1)),
            ),
            unreadable=(Unreadable(identifier="E-2", reason="no side", raw="{}"),),
        )
        database.executions.record("desk", "csv", reported)
    with database.writing() as connection:
        database.oms_channels.take_file_within(connection, "00", "desk", "a.csv", {})
    database.oms_channels.order_sequence("desk", "alice", "test", next_sender=2)
    check = FundingCheck(
        place="binance/a", instrument_id="x", asset="USDT", funded_at=CLOSE, booked=None,
        due_low=Decimal(1), due_high=Decimal(2), quantity=Decimal(1), verdict="missing", why="",
    )  # fmt: skip
    assert database.funding.record([check]) == 1
    run = database.runs.begin("reconcile", DAY, {}, "test", force=True)
    facts = {"break_id": "B-9", "owner": "risk", "scope": "funding", "evidence": "00"}
    database.breaks.update(run.run_id, pd.DataFrame([facts]))
    database.break_acceptances.accept("B-9", "alice", "seen")


def fill_transfers(database: Database) -> None:
    """Add a transfer with an approval, a listed destination and a touched kill switch."""
    entry = WhitelistEntry(
        entry_id="", destination="okx/a", asset="USD", network="", address="", memo=""
    )
    database.whitelist.propose(entry, "alice", "test")
    intent = TransferIntent(
        purpose="call-1", leg=1, source="okx/b", destination="okx/a", asset="USD", amount=1, scale=2
    )
    with database.writing() as connection:
        record, _ = database.transfers.record_within(connection, intent, "alice", "test")
        database.transfers.approve_within(connection, record, "bob")
    switch = KillSwitch(Path(tempfile.mkdtemp(prefix="plimsoll-kill-")))
    switch.arm("alice", "test")
    switch.tell(database)


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


# --- migrations -----------------------------------------------------------------------------


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

"""First schema: runs, requirements, calls, ledger, breaks and audit.

Types and rules are written out here and not taken from ``tables.py``, because a migration must
keep meaning what it meant on the day it was run.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only, keep_columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

OPEN_CALL = "state NOT IN ('settled', 'superseded', 'withdrawn')"
APPEND_ONLY = (
    "snapshots", "rule_books", "steps", "requirements", "call_events", "ledger_assets",
    "ledger_accounts", "ledger_entries", "ledger_postings", "break_events", "audit",
)  # fmt: skip
CALL_FACTS = (
    "call_id", "netting_set_id", "margin_type", "business_date", "sequence", "direction",
    "amount", "currency", "due_at", "first_due_at", "run_id", "snapshot_id", "rule_book_hash",
    "supersedes",
)  # fmt: skip


def upgrade() -> None:
    """Create all tables, then the triggers that keep history as it was written."""
    _create_inputs()
    _create_runs()
    _create_requirements()
    _create_calls()
    _create_ledger()
    _create_breaks()
    _create_audit()
    for table in APPEND_ONLY:
        add_only(table)
    keep_columns("calls", CALL_FACTS)


def _create_inputs() -> None:
    _table(
        "snapshots",
        _key("snapshot_id"),
        _column("business_date", DATE),
        _column("as_of", INSTANT),
        _column("content_hashes", TEXT),
        _column("recorded_at", INSTANT),
    )
    _table(
        "rule_books",
        _key("rule_book_hash"),
        _column("effective_date", DATE),
        _column("recorded_at", INSTANT),
        _column("source", TEXT),
        _column("content", TEXT),
    )
    op.create_index("ix_rule_books_effective", "rule_books", ["effective_date", "recorded_at"])


def _create_runs() -> None:
    known = "status IN ('running', 'completed', 'incomplete', 'failed')"
    _table(
        "runs",
        _key("run_id"),
        _column("kind", TEXT),
        _column("business_date", DATE),
        _column("sequence", POSITION),
        _column("status", TEXT),
        _column("inputs", TEXT),
        _column("code_version", TEXT),
        _column("snapshot_id", TEXT, "snapshots.snapshot_id", nullable=True),
        _column("rule_book_hash", TEXT, "rule_books.rule_book_hash", nullable=True),
        _column("supersedes", TEXT, "runs.run_id", nullable=True),
        _column("summary", TEXT, nullable=True),
        _column("started_at", INSTANT),
        _column("finished_at", INSTANT, nullable=True),
        sa.UniqueConstraint("kind", "business_date", "sequence"),
        sa.CheckConstraint("sequence > 0", name="sequence_positive"),
        sa.CheckConstraint(known, name="status_known"),
    )
    _table(
        "steps",
        _key("run_id", TEXT, "runs.run_id"),
        _key("step"),
        _column("result", TEXT),
        _column("output_hash", TEXT),
        _column("finished_at", INSTANT),
    )


def _create_requirements() -> None:
    known = "status IN ('assessed', 'held', 'failed')"
    amounts = ("requirement_amount", "collateral_amount", "call_amount")
    _table(
        "requirements",
        _key("run_id", TEXT, "runs.run_id"),
        _key("netting_set_id"),
        _column("business_date", DATE),
        _column("client_id", TEXT),
        _column("currency", TEXT),
        _column("status", TEXT),
        _column("reason", TEXT),
        *(_column(name, NUMBER, nullable=True) for name in amounts),
        _column("call_action", TEXT),
        _column("components", TEXT),
        *(_decimal(name) for name in amounts),
        sa.CheckConstraint(known, name="status_known"),
    )
    fresh = sa.text("status = 'assessed'")
    op.create_index(
        "ix_requirements_fresh",
        "requirements",
        ["netting_set_id", "business_date"],
        sqlite_where=fresh,
        postgresql_where=fresh,
    )


def _create_calls() -> None:
    sqlite_positive = "amount NOT GLOB '-*' AND amount GLOB '*[1-9]*'"
    _table(
        "calls",
        _key("call_id"),
        _column("netting_set_id", TEXT),
        _column("margin_type", TEXT),
        _column("business_date", DATE),
        _column("sequence", POSITION),
        _column("direction", TEXT),
        _column("amount", NUMBER),
        _column("currency", TEXT),
        _column("due_at", INSTANT),
        _column("first_due_at", INSTANT),
        _column("run_id", TEXT, "runs.run_id"),
        _column("snapshot_id", TEXT, "snapshots.snapshot_id"),
        _column("rule_book_hash", TEXT, "rule_books.rule_book_hash"),
        _column("supersedes", TEXT, "calls.call_id", nullable=True),
        _column("state", TEXT),
        _column("n_events", POSITION),
        sa.UniqueConstraint("netting_set_id", "margin_type", "business_date", "sequence"),
        sa.CheckConstraint("direction IN ('call', 'return')", name="direction_known"),
        sa.CheckConstraint("n_events > 0", name="n_events_positive"),
        _decimal("amount"),
        _check("positive", "sqlite", sqlite_positive),
        _check("positive", "postgresql", "amount > 0 AND amount < 1e60"),
    )
    op.create_index("ix_calls_run_id", "calls", ["run_id"])
    op.create_index("ix_calls_business_date", "calls", ["business_date"])
    op.create_index(
        "uq_calls_open",
        "calls",
        ["netting_set_id", "margin_type"],
        unique=True,
        sqlite_where=sa.text(OPEN_CALL),
        postgresql_where=sa.text(OPEN_CALL),
    )
    _table(
        "call_events",
        _key("position", POSITION),
        _column("call_id", TEXT, "calls.call_id"),
        _column("number", POSITION),
        _column("state", TEXT),
        _column("actor", TEXT),
        _column("reason", TEXT),
        _column("run_id", TEXT, "runs.run_id", nullable=True),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("call_id", "number"),
    )
    op.create_index("ix_call_events_run_id", "call_events", ["run_id"])


def _create_ledger() -> None:
    _table(
        "ledger_assets",
        _key("asset"),
        _column("scale", POSITION),
        sa.CheckConstraint("scale BETWEEN 0 AND 18", name="scale_range"),
    )
    _table(
        "ledger_accounts",
        _key("account"),
        _column("kind", TEXT),
        _column("owner", TEXT),
        _column("opened_at", INSTANT),
    )
    _table(
        "ledger_entries",
        _key("position", POSITION),
        _column("business_key", TEXT),
        _column("body_hash", TEXT),
        _column("kind", TEXT),
        _column("business_date", DATE),
        _column("run_id", TEXT, "runs.run_id", nullable=True),
        _column("corrects", POSITION, "ledger_entries.position", nullable=True),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("business_key"),
        sa.UniqueConstraint("corrects"),
    )
    op.create_index("ix_ledger_entries_run_id", "ledger_entries", ["run_id"])
    op.create_index("ix_ledger_entries_kind", "ledger_entries", ["kind", "business_date"])
    sqlite_units = "amount NOT GLOB '*[^0-9]*' AND amount GLOB '[1-9]*' AND length(amount) <= 38"
    postgresql_units = "amount > 0 AND amount = trunc(amount) AND amount < 1e38"
    _table(
        "ledger_postings",
        _key("position", POSITION, "ledger_entries.position"),
        _key("line", POSITION),
        _column("debit", TEXT, "ledger_accounts.account"),
        _column("credit", TEXT, "ledger_accounts.account"),
        _column("asset", TEXT, "ledger_assets.asset"),
        _column("amount", NUMBER),
        sa.CheckConstraint("debit <> credit", name="two_accounts"),
        _check("amount_digits", "sqlite", sqlite_units),
        _check("amount_digits", "postgresql", postgresql_units),
    )
    for side in ("debit", "credit"):
        op.create_index(f"ix_ledger_postings_{side}", "ledger_postings", [side, "asset"])


def _create_breaks() -> None:
    events = "event IN ('opened', 'persisted', 'reopened', 'closed', 'assigned')"
    _table(
        "breaks",
        _key("break_id"),
        _key("first_seen", DATE),
        _column("last_seen", DATE),
        _column("status", TEXT),
        _column("owner", TEXT),
        _column("facts", TEXT),
        _column("last_run", TEXT, "runs.run_id"),
        sa.CheckConstraint("status IN ('open', 'closed')", name="status_known"),
        sa.CheckConstraint("last_seen >= first_seen", name="dates_ordered"),
    )
    is_open = sa.text("status = 'open'")
    op.create_index(
        "uq_breaks_open",
        "breaks",
        ["break_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    _table(
        "break_events",
        _key("position", POSITION),
        _column("break_id", TEXT),
        _column("first_seen", DATE),
        _column("event", TEXT),
        _column("business_date", DATE, nullable=True),
        _column("run_id", TEXT, "runs.run_id", nullable=True),
        _column("actor", TEXT),
        _column("facts", TEXT),
        _column("recorded_at", INSTANT),
        sa.CheckConstraint(events, name="event_known"),
    )
    op.create_index("ix_break_events_break", "break_events", ["break_id", "position"])
    op.create_index("ix_break_events_run_id", "break_events", ["run_id"])


def _create_audit() -> None:
    _table(
        "audit",
        _key("position", POSITION),
        _column("recorded_at", INSTANT),
        _column("actor", TEXT),
        _column("action", TEXT),
        _column("subject", TEXT),
        _column("details", TEXT),
        _column("hash", TEXT),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: Kind, target: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=nullable)


def _decimal(column: str) -> sa.CheckConstraint:
    digits = f"ltrim({column}, '-')"
    rule = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )
    return _check(f"{column}_decimal", "sqlite", rule)


def _check(name: str, dialect: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name).ddl_if(dialect=dialect)

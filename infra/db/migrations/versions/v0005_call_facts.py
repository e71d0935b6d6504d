"""Life of calls: terms at issue, facts with who and why, messages out and in."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only, keep_columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

LEVELS = "level IS NOT NULL"
FAILED = "kind = 'failed'"
PENDING = "status = 'pending'"
KINDS = (
    "kind IN ('requested', 'agreed', 'disputed', 'dispute_withdrawn', 'pledged', "
    "'pledge_rejected', 'pledge_carried', 'settled', 'failed', 'escalated', 'reduction', "
    "'substitution_proposed', 'substitution_agreed', 'substitution_rejected', "
    "'substitution_received', 'substitution_released')"
)


def upgrade() -> None:
    """Create the tables, then the triggers that keep history as it was written."""
    _create_terms()
    _create_facts()
    _create_messages()
    for table in ("call_terms", "call_facts", "webhook_receipts"):
        add_only(table)
    keep_columns("webhook_deliveries", ("message_id", "endpoint", "event_position"))


def _create_terms() -> None:
    _table(
        "call_terms",
        _key("call_id", TEXT, "calls.call_id"),
        _column("issued_at", INSTANT),
        _column("notified_at", INSTANT),
        _column("terms", TEXT),
        sa.CheckConstraint("notified_at >= issued_at", name="notified_after_issue"),
    )


def _create_facts() -> None:
    digits = "ltrim(amount, '-')"
    decimal = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length(amount) - length({digits}) <= 1"
    )
    _table(
        "call_facts",
        _key("position", POSITION),
        _column("fact_key", TEXT),
        _column("call_id", TEXT, "calls.call_id"),
        _column("number", POSITION),
        _column("kind", TEXT),
        _column("amount", NUMBER, nullable=True),
        _column("pledge", POSITION, nullable=True),
        _column("is_last", POSITION),
        _column("level", POSITION, nullable=True),
        _column("deadline", INSTANT, nullable=True),
        *(_column(name, TEXT) for name in ("netting_set_id", "margin_type", "details")),
        *(_column(name, TEXT) for name in ("principal", "reason")),
        _column("recorded_at", INSTANT),
        _column("hash", TEXT),
        sa.UniqueConstraint("fact_key"),
        sa.UniqueConstraint("call_id", "number"),
        sa.CheckConstraint(KINDS, name="kind_known"),
        sa.CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
        sa.CheckConstraint("is_last IN (0, 1)", name="is_last_flag"),
        sa.CheckConstraint("(level IS NULL) = (deadline IS NULL)", name="level_has_deadline"),
        sa.CheckConstraint(decimal, name="amount_decimal").ddl_if(dialect="sqlite"),
    )
    deadline = ["netting_set_id", "margin_type", "deadline", "level"]
    _unique_where("uq_call_facts_level", "call_facts", deadline, LEVELS)
    _unique_where("uq_call_facts_failed", "call_facts", ["call_id"], FAILED)


def _create_messages() -> None:
    _table(
        "webhook_deliveries",
        _key("message_id"),
        _column("endpoint", TEXT),
        _column("event_position", POSITION, "call_events.position"),
        _column("status", TEXT),
        _column("n_attempts", POSITION),
        _column("next_attempt_at", INSTANT),
        _column("last_error", TEXT),
        sa.UniqueConstraint("endpoint", "event_position"),
        sa.CheckConstraint("n_attempts >= 0", name="n_attempts_counted"),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'given_up')", name="status_known"),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        sqlite_where=sa.text(PENDING),
        postgresql_where=sa.text(PENDING),
    )
    _table(
        "webhook_receipts",
        _key("source"),
        _key("message_id"),
        _column("sent_at", INSTANT),
        _column("body_hash", TEXT),
        _column("received_at", INSTANT),
    )


def _unique_where(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        table,
        columns,
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
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

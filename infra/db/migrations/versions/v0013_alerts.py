"""Alerts: notices taken in, words told, messages to channels, acknowledgements."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only, keep_columns

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
AMOUNT = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
RANKS = "rank BETWEEN 0 AND 4"
PENDING = "status = 'pending'"
HISTORY = ("alerts", "alert_members", "alert_tellings", "alert_acknowledgements")


def upgrade() -> None:
    """Create the tables; only the attempts of messages ever change."""
    _create_alerts()
    _create_words()
    for table in HISTORY:
        add_only(table)
    keep_columns("alert_deliveries", ("message_id", "channel", "telling_id"))


def _create_alerts() -> None:
    _table(
        "alerts",
        _key("alert_id"),
        *(_column(name) for name in ("kind", "dimension", "value")),
        _column("opened_at", INSTANT),
    )
    op.create_index("ix_alerts_opened_at", "alerts", ["opened_at"])
    _table(
        "alert_members",
        _key("position", POSITION),
        _column("event_id", TEXT, "intraday_events.event_id"),
        _column("alert_id", TEXT, "alerts.alert_id"),
        *(_column(name) for name in ("kind", "subject")),
        _column("rank", POSITION),
        *(_column(name) for name in ("client", "venue", "underlying", "cause", "currency")),
        _column("shortfall", AMOUNT),
        *(_column(name, INSTANT) for name in ("occurred_at", "taken_at")),
        _column("is_repeat", POSITION),
        sa.UniqueConstraint("event_id"),
        sa.CheckConstraint(RANKS, name="rank_known"),
        sa.CheckConstraint("is_repeat IN (0, 1)", name="is_repeat_flag"),
        _decimal("shortfall"),
    )
    op.create_index("ix_alert_members_alert", "alert_members", ["alert_id"])
    op.create_index("ix_alert_members_subject", "alert_members", ["subject", "taken_at"])
    _table(
        "alert_acknowledgements",
        _key("alert_id", TEXT, "alerts.alert_id"),
        _key("principal"),
        _column("reason"),
        _column("recorded_at", INSTANT),
        sa.CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
    )


def _create_words() -> None:
    _table(
        "alert_tellings",
        _key("telling_id"),
        _column("alert_id", TEXT, "alerts.alert_id"),
        *(_column(name, POSITION) for name in ("number", "rank", "n_members")),
        *(_column(name) for name in ("title", "body")),
        _column("told_at", INSTANT),
        sa.UniqueConstraint("alert_id", "number"),
        sa.CheckConstraint(RANKS, name="rank_known"),
        sa.CheckConstraint("n_members > 0", name="n_members_counted"),
    )
    op.create_index("ix_alert_tellings_told_at", "alert_tellings", ["told_at"])
    _table(
        "alert_deliveries",
        _key("message_id"),
        _column("channel"),
        _column("telling_id", TEXT, "alert_tellings.telling_id"),
        _column("status"),
        _column("n_attempts", POSITION),
        _column("next_attempt_at", INSTANT),
        _column("settled_at", INSTANT, nullable=True),
        _column("last_error"),
        sa.UniqueConstraint("channel", "telling_id"),
        sa.CheckConstraint("n_attempts >= 0", name="n_attempts_counted"),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'given_up')", name="status_known"),
    )
    op.create_index(
        "ix_alert_deliveries_due",
        "alert_deliveries",
        ["next_attempt_at"],
        sqlite_where=sa.text(PENDING),
        postgresql_where=sa.text(PENDING),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, primary_key=True, autoincrement=False, nullable=False)


def _column(
    name: str, kind: Kind = TEXT, target: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=nullable)


def _decimal(column: str) -> sa.CheckConstraint:
    digits = f"ltrim({column}, '-')"
    rule = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )
    return sa.CheckConstraint(rule, name=f"{column}_decimal").ddl_if(dialect="sqlite")

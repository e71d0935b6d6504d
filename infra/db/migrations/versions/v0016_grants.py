"""Grants: what people have said about rungs of the ladder that wait for one."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Create the table; its rows are only added."""
    op.create_table(
        "intraday_grants",
        sa.Column("position", POSITION, primary_key=True, autoincrement=False),
        _column("event_id", TEXT, "intraday_events.event_id"),
        _column("run_id", TEXT, "runs.run_id"),
        *(_column(name) for name in ("netting_set_id", "rung", "decision", "principal", "reason")),
        _column("recorded_at", INSTANT),
        _column("hash"),
        sa.CheckConstraint("rung IN ('warn', 'call', 'restrict', 'reduce')", name="rung_known"),
        sa.CheckConstraint("decision IN ('granted', 'refused')", name="decision_known"),
        sa.CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
        sqlite_strict=True,
    )
    op.create_index("ix_intraday_grants_netting_set", "intraday_grants", ["netting_set_id", "rung"])
    add_only("intraday_grants")


def _column(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=False)

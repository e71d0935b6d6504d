"""Registry of venue and house parameters: bodies, versions by date, files, proposals.

The rule books that runs rest on stay as they are; from now on they name the sets they hold.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APPEND_ONLY = (
    "parameter_bodies", "parameter_sets", "parameter_files", "rule_proposals",
    "rule_proposal_events",
)  # fmt: skip


def upgrade() -> None:
    """Create the tables, then the triggers that keep history as it was written."""
    _create_parameters()
    _create_proposals()
    for table in APPEND_ONLY:
        add_only(table)


def _create_parameters() -> None:
    _table("parameter_bodies", _key("parameters_hash"), _column("model"), _column("body"))
    _table(
        "parameter_sets",
        _key("position", POSITION),
        *(_column(name) for name in ("venue", "model", "scope")),
        _column("effective_date", DATE),
        *(_column(name) for name in ("state", "origin", "source", "evidence")),
        sa.Column(
            "parameters_hash",
            TEXT,
            sa.ForeignKey("parameter_bodies.parameters_hash"),
            nullable=True,
        ),
        _column("reference"),
        _column("recorded_at", INSTANT),
        _column("hash"),
        sa.CheckConstraint("origin IN ('shipped', 'folder', 'activated')", name="origin_known"),
        sa.CheckConstraint("state IN ('in_force', 'withdrawn', 'retracted')", name="state_known"),
        sa.CheckConstraint("(state = 'in_force') = (parameters_hash IS NOT NULL)", name="has_body"),
    )
    key = ["venue", "model", "scope", "effective_date"]
    op.create_index("ix_parameter_sets_key", "parameter_sets", key)
    _table(
        "parameter_files",
        _key("position", POSITION),
        *(_column(name) for name in ("origin", "name", "content_hash")),
        _column("recorded_at", INSTANT),
    )
    name = ["origin", "name", "position"]
    op.create_index("ix_parameter_files_name", "parameter_files", name)


def _create_proposals() -> None:
    _table(
        "rule_proposals",
        _key("proposal_id"),
        *(_column(name) for name in ("content_hash", "content", "title", "proposer")),
        _column("recorded_at", INSTANT),
    )
    _table(
        "rule_proposal_events",
        _key("position", POSITION),
        sa.Column("proposal_id", TEXT, sa.ForeignKey("rule_proposals.proposal_id"), nullable=False),
        *(_column(name) for name in ("event", "actor", "details")),
        _column("recorded_at", INSTANT),
        sa.CheckConstraint("event IN ('shadowed', 'activated', 'rejected')", name="event_known"),
    )
    proposal = ["proposal_id", "position"]
    op.create_index("ix_rule_proposal_events_proposal", "rule_proposal_events", proposal)


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)

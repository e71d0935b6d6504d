"""The board that screens show, and the events of the intraday loop."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql, sqlite

from infra.db.migrations.triggers import add_only

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
AMOUNT = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
RATIO: Kind = postgresql.DOUBLE_PRECISION().with_variant(sqlite.REAL(), "sqlite")

AMOUNTS = ("requirement", "venue_margin", "collateral_value", "excess")
SCOPES = "('venue', 'account', 'underlying', 'instrument', 'system')"


def upgrade() -> None:
    """Create the tables; events are history, the board is not."""
    _create_board()
    _create_events()
    add_only("intraday_events")


def _create_board() -> None:
    _table(
        "board_state",
        _key("one", POSITION),
        _column("version", POSITION),
        _column("published_at", INSTANT),
        sa.CheckConstraint("one = 1", name="one_row"),
    )
    _table(
        "board_rows",
        _key("netting_set_id"),
        *(_column(name) for name in ("client_id", "currency")),
        *(_column(name, AMOUNT, nullable=True) for name in AMOUNTS),
        _column("margin_ratio", RATIO, nullable=True),
        *(_column(name) for name in ("binding", "level", "status")),
        _column("as_of", INSTANT),
        *(_column(name) for name in ("run_id", "snapshot_id")),
        _column("version", POSITION),
        *(_decimal(name) for name in AMOUNTS),
    )
    op.create_index("ix_board_rows_version", "board_rows", ["version"])
    _table(
        "board_health",
        _key("scope"),
        _key("name"),
        _column("state"),
        _column("since", INSTANT),
        *(_column(name) for name in ("reason", "next_action")),
        _column("version", POSITION),
        sa.CheckConstraint(f"scope IN {SCOPES}", name="scope_known"),
        sa.CheckConstraint("state IN ('live', 'degraded', 'down', 'unknown')", name="state_known"),
        sa.CheckConstraint("state = 'live' OR next_action <> ''", name="next_action_said"),
    )
    _table(
        "board_points",
        _key("netting_set_id"),
        _key("minute", INSTANT),
        *(
            _column(name, RATIO, nullable=True)
            for name in ("requirement", "collateral_value", "margin_ratio")
        ),
    )
    op.create_index("ix_board_points_minute", "board_points", ["minute"])


def _create_events() -> None:
    _table(
        "intraday_events",
        _key("position", POSITION),
        *(_column(name) for name in ("event_id", "name", "resource")),
        _column("occurred_at", INSTANT),
        _column("payload"),
        _column("run_id", TEXT, "runs.run_id", nullable=True),
        _column("recorded_at", INSTANT),
        sa.UniqueConstraint("event_id"),
        sa.CheckConstraint("name LIKE 'plimsoll.%'", name="name_prefixed"),
        sa.CheckConstraint("resource LIKE 'plimsoll.%'", name="resource_prefixed"),
    )
    op.create_index("ix_intraday_events_resource", "intraday_events", ["resource", "position"])
    _table(
        "intraday_cursors",
        _key("consumer"),
        _column("position", POSITION),
        _column("moved_at", INSTANT),
        sa.CheckConstraint("position >= 0", name="position_counted"),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


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

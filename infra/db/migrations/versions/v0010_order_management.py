"""Order management: executions, openings, what could not be taken, its session; funding checks."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
AMOUNT = sa.Numeric().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APPEND_ONLY = (
    "oms_executions", "oms_conflicts", "oms_quarantine", "oms_openings", "oms_files",
    "oms_channel_events", "funding_checks", "break_acceptances",
)  # fmt: skip
WAY = "way IN ('fix', 'csv', 'webhook')"


def upgrade() -> None:
    """Create the tables; samples of funding and bookmarks of channels are not history."""
    _create_executions()
    _create_doubts()
    _create_openings()
    _create_channels()
    _create_funding()
    _create_acceptances()
    for table in APPEND_ONLY:
        add_only(table)


def _create_executions() -> None:
    _table(
        "oms_executions",
        _key("position", POSITION),
        *(
            _column(name)
            for name in (
                "source", "execution_id", "kind", "refers_to", "account_id", "instrument_id",
                "side",
            )
        ),
        _column("quantity", AMOUNT),
        _column("execution_price", AMOUNT),
        _column("executed_at", INSTANT),
        _column("known_since", INSTANT),
        *(_column(name) for name in ("way", "details", "body_hash")),
        _column("received_at", INSTANT),
        _column("hash"),
        sa.UniqueConstraint("source", "execution_id"),
        sa.CheckConstraint("kind IN ('trade', 'bust', 'correction')", name="kind_known"),
        sa.CheckConstraint("(kind = 'trade') = (refers_to = '')", name="later_refers"),
        sa.CheckConstraint("side IN ('buy', 'sell')", name="side_known"),
        sa.CheckConstraint(WAY, name="way_known"),
        _decimal("quantity"),
        _decimal("execution_price"),
    )  # fmt: skip
    for name in ("known_since", "refers_to"):
        op.create_index(f"ix_oms_executions_{name}", "oms_executions", [name])


def _create_doubts() -> None:
    _table(
        "oms_conflicts",
        _key("position", POSITION),
        *(_column(name) for name in ("source", "execution_id", "body_hash", "body", "way")),
        _column("received_at", INSTANT),
        sa.UniqueConstraint("source", "execution_id", "body_hash"),
        sa.CheckConstraint(WAY, name="way_known"),
    )
    _table(
        "oms_quarantine",
        _key("position", POSITION),
        *(
            _column(name)
            for name in ("source", "way", "identifier", "reason", "raw", "raw_hash")
        ),
        _column("received_at", INSTANT),
        sa.UniqueConstraint("source", "raw_hash"),
        sa.CheckConstraint(WAY, name="way_known"),
    )  # fmt: skip


def _create_openings() -> None:
    _table(
        "oms_openings",
        _key("position", POSITION),
        *(_column(name) for name in ("source", "account_id")),
        _column("as_of", INSTANT),
        _column("instrument_id"),
        _column("quantity", AMOUNT),
        _column("way"),
        _column("received_at", INSTANT),
        sa.UniqueConstraint("source", "account_id", "as_of", "instrument_id"),
        sa.CheckConstraint(WAY, name="way_known"),
        _decimal("quantity"),
    )


def _create_channels() -> None:
    _table(
        "oms_files",
        _key("content_hash"),
        *(_column(name) for name in ("source", "name", "summary")),
        _column("received_at", INSTANT),
    )
    _table(
        "oms_channel_events",
        _key("position", POSITION),
        *(_column(name) for name in ("source", "event", "details", "actor", "reason")),
        _column("happened_at", INSTANT),
        _column("recorded_at", INSTANT),
    )
    _table(
        "oms_channels",
        _key("source"),
        _column("heard_at", INSTANT),
        _column("spool"),
        _column("read_to", POSITION),
        sa.CheckConstraint("read_to >= 0", name="read_to_counted"),
    )


def _create_funding() -> None:
    seen = ("quantity", "mark_price", "funding_rate")
    _table(
        "funding_samples",
        _key("place"),
        _key("instrument_id"),
        _key("observed_at", INSTANT),
        *(_column(name, AMOUNT) for name in seen),
        *(_decimal(name) for name in seen),
    )
    op.create_index("ix_funding_samples_observed_at", "funding_samples", ["observed_at"])
    amounts = ("due_low", "due_high", "quantity")
    _table(
        "funding_checks",
        _key("position", POSITION),
        *(_column(name) for name in ("place", "instrument_id", "asset")),
        _column("funded_at", INSTANT),
        _column("booked", AMOUNT, nullable=True),
        *(_column(name, AMOUNT) for name in amounts),
        *(_column(name) for name in ("verdict", "why")),
        _column("recorded_at", INSTANT),
        sa.UniqueConstraint("place", "instrument_id", "asset", "funded_at"),
        sa.CheckConstraint(
            "verdict IN ('agreed', 'differs', 'missing', 'not_judged')", name="verdict_known"
        ),
        *(_decimal(name) for name in ("booked", *amounts)),
    )
    op.create_index("ix_funding_checks_verdict", "funding_checks", ["verdict"])


def _create_acceptances() -> None:
    _table(
        "break_acceptances",
        _key("position", POSITION),
        *(_column(name) for name in ("break_id", "evidence", "principal", "reason")),
        _column("recorded_at", INSTANT),
        sa.UniqueConstraint("break_id", "evidence"),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(name: str, kind: Kind = TEXT, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


def _decimal(column: str) -> sa.CheckConstraint:
    digits = f"ltrim({column}, '-')"
    rule = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )
    return sa.CheckConstraint(rule, name=f"{column}_decimal").ddl_if(dialect="sqlite")

"""The intraday loop: who leads, what came in, what was decided upon which marks."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
BYTES = sa.LargeBinary()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
RUN = "runs.run_id"

APPEND_ONLY = ("intraday_inbox", "intraday_decisions", "intraday_calls")
_FALLS = "NEW.epoch < OLD.epoch OR NEW.name <> OLD.name"
_WORDS = "the epoch of a loop only rises"


def upgrade() -> None:
    """Create the tables, then what keeps history and epochs from going back."""
    _create_lead()
    _create_history()
    _create_checkpoints()
    for table in APPEND_ONLY:
        add_only(table)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER loop_leases_epoch BEFORE UPDATE ON loop_leases WHEN {_FALLS} "
            f"BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION refuse_loop_leases_epoch() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {_FALLS} THEN RAISE EXCEPTION '{_WORDS}'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER loop_leases_epoch BEFORE UPDATE ON loop_leases FOR EACH ROW "
        "EXECUTE FUNCTION refuse_loop_leases_epoch()"
    )


def _create_lead() -> None:
    _table(
        "loop_leases",
        _key("name"),
        _column("epoch", POSITION),
        _column("holder"),
        _column("acquired_at", INSTANT),
        _column("renewed_at", INSTANT),
        _column("beats", POSITION),
        sa.CheckConstraint("epoch > 0", name="epoch_positive"),
    )


def _create_history() -> None:
    _table(
        "intraday_inbox",
        _key("position", POSITION),
        _column("run_id", TEXT, RUN),
        *(_column(name) for name in ("source", "message_id", "kind", "body")),
        _column("received_at", INSTANT),
        sa.UniqueConstraint("source", "message_id"),
    )
    _table(
        "intraday_decisions",
        _key("position", POSITION),
        _column("run_id", TEXT, RUN),
        _column("number", POSITION),
        _column("epoch", POSITION),
        _column("decided_at", INSTANT),
        *(_column(name, POSITION) for name in ("inbox_position", "n_calls", "n_withdrawn")),
        _column("marks", BYTES),
        _column("facts"),
        _column("hash"),
        sa.UniqueConstraint("run_id", "number"),
        sa.CheckConstraint("n_calls >= 0 AND n_withdrawn >= 0", name="counts_sound"),
    )
    _table(
        "intraday_calls",
        _key("call_id", TEXT, "calls.call_id"),
        _column("run_id", TEXT, RUN),
        _column("number", POSITION),
        *(_column(name) for name in ("netting_set_id", "client_id", "figures")),
    )


def _create_checkpoints() -> None:
    _table(
        "intraday_checkpoints",
        _key("run_id", TEXT, RUN),
        _column("taken_at", INSTANT),
        *(_column(name, POSITION) for name in ("number", "inbox_position")),
        _column("marks", BYTES),
        _column("levels", BYTES),
        _column("state_hash"),
    )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, primary_key=True, autoincrement=False, nullable=False)


def _column(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=False)

"""Transfers: intents with their state, events, approvals, writers, whitelist, kill switch.

The edges of the state graph are written out here: a trigger lets a state change only along them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only, keep_columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APPEND_ONLY = (
    "transfer_events", "transfer_approvals", "whitelist_entries", "whitelist_events",
    "kill_switch_events",
)  # fmt: skip
FACTS = (
    "transfer_key", "purpose", "leg", "source", "destination", "asset", "amount", "scale",
    "network", "address", "memo", "attempt_group", "payload_hash", "proposer", "reason",
    "business_date", "recorded_at",
)  # fmt: skip
STATES = (
    "'approved', 'cancelled', 'credited', 'done', 'new', 'proposed', 'reconciled', 'rejected', "
    "'stuck', 'unknown'"
)
EDGES = (
    "'proposed>approved', 'proposed>rejected', 'proposed>cancelled', 'approved>new', "
    "'approved>rejected', 'approved>cancelled', 'new>unknown', 'new>rejected', 'new>cancelled', "
    "'unknown>done', 'unknown>rejected', 'unknown>new', 'unknown>stuck', 'done>credited', "
    "'done>rejected', 'done>cancelled', 'done>stuck', 'credited>reconciled', 'credited>stuck', "
    "'stuck>done', 'stuck>credited', 'stuck>rejected', 'stuck>new'"
)
UNSENT = "state IN ('proposed', 'approved', 'new', 'rejected', 'cancelled')"


def upgrade() -> None:
    """Create the tables, then the triggers."""
    _create_transfers()
    _create_events()
    _create_guards()
    _create_whitelist()
    for table in APPEND_ONLY:
        add_only(table)
    keep_columns("transfers", FACTS)
    keep_columns("transfer_writers", ("source",))
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _create_transfers() -> None:
    instants = (
        "first_sent_at", "sent_at", "accepted_at", "debited_at", "credited_at", "look_at",
        "not_before",
    )  # fmt: skip
    _table(
        "transfers",
        _key("transfer_key"),
        _column("purpose"),
        _column("leg", POSITION),
        *(_column(name) for name in ("source", "destination", "asset")),
        _column("amount", NUMBER),
        _column("scale", POSITION),
        *(_column(name) for name in ("network", "address", "memo")),
        _column("attempt_group", POSITION),
        *(_column(name) for name in ("payload_hash", "proposer", "reason")),
        _column("business_date", DATE),
        _column("recorded_at", INSTANT),
        _column("state"),
        *(_column(name, POSITION) for name in ("n_events", "attempts", "n_looks", "is_exposed")),
        *(_column(name, INSTANT, nullable=True) for name in instants),
        *(_column(name, NUMBER, nullable=True) for name in ("balance_before", "fee")),
        _column("venue_transfer_id"),
        _column("refusal", nullable=True),
        _column("note"),
        sa.UniqueConstraint(
            "purpose", "leg", "source", "destination", "asset", "amount", "attempt_group"
        ),
        sa.UniqueConstraint("transfer_key", "proposer", "payload_hash"),
        *_positive("amount"),
        sa.CheckConstraint("length(transfer_key) = 32", name="key_length"),
        sa.CheckConstraint("source <> destination", name="two_places"),
        sa.CheckConstraint("scale BETWEEN 0 AND 18", name="scale_range"),
        sa.CheckConstraint(f"state IN ({STATES})", name="state_known"),
        sa.CheckConstraint("is_exposed IN (0, 1)", name="is_exposed_known"),
        sa.CheckConstraint("attempts >= 0 AND n_events > 0", name="counts_sound"),
        sa.CheckConstraint(
            f"{UNSENT} OR (attempts > 0 AND sent_at IS NOT NULL)", name="flight_was_sent"
        ),
        sa.CheckConstraint(
            "state NOT IN ('credited', 'reconciled') "
            "OR (credited_at IS NOT NULL AND debited_at IS NOT NULL)",
            name="credited_was_debited",
        ),
        _decimal("balance_before"),
        _decimal("fee"),
    )
    _create_indices()


def _create_indices() -> None:
    for name, columns in (
        ("state", ["state", "look_at"]),
        ("source", ["source", "asset", "state"]),
        ("destination", ["destination", "asset", "state"]),
        ("sent_at", ["asset", "sent_at"]),
    ):
        op.create_index(f"ix_transfers_{name}", "transfers", columns)


def _create_events() -> None:
    edge = (
        f"(previous || '>' || state) IN ({EDGES}) "
        "OR (previous = '' AND state = 'proposed' AND number = 1) "
        "OR (previous = state AND fact <> '')"
    )
    _table(
        "transfer_events",
        _key("position", POSITION),
        _column("transfer_key", TEXT, "transfers.transfer_key"),
        _column("number", POSITION),
        *(_column(name) for name in ("previous", "state", "fact", "actor", "reason", "details")),
        _column("recorded_at", INSTANT),
        _column("hash"),
        sa.UniqueConstraint("transfer_key", "number"),
        sa.CheckConstraint(edge, name="edge_allowed"),
    )


def _create_guards() -> None:
    bound = ("transfer_key", "proposer", "payload_hash")
    _table(
        "transfer_approvals",
        _key("transfer_key"),
        _key("approver"),
        _column("proposer"),
        _column("payload_hash"),
        _column("recorded_at", INSTANT),
        sa.ForeignKeyConstraint(list(bound), [f"transfers.{name}" for name in bound]),
        sa.CheckConstraint("approver <> proposer", name="second_person"),
    )
    _table(
        "transfer_writers",
        _key("source"),
        _column("epoch", POSITION),
        _column("holder"),
        _column("acquired_at", INSTANT),
        sa.CheckConstraint("epoch > 0", name="epoch_positive"),
    )
    _table(
        "kill_switch_events",
        _key("position", POSITION),
        *(_column(name) for name in ("event_id", "event", "actor", "reason")),
        _column("happened_at", INSTANT),
        _column("recorded_at", INSTANT),
        sa.CheckConstraint(
            "event IN ('armed', 'disarm_requested', 'disarmed')", name="event_known"
        ),
        sa.UniqueConstraint("event_id"),
    )


def _create_whitelist() -> None:
    _table(
        "whitelist_entries",
        _key("entry_id"),
        *(_column(name) for name in ("destination", "asset", "network", "address", "memo")),
        _column("recorded_at", INSTANT),
    )
    _table(
        "whitelist_events",
        _key("position", POSITION),
        _column("entry_id", TEXT, "whitelist_entries.entry_id"),
        _column("round", POSITION),
        *(_column(name) for name in ("event", "actor", "proposer", "reason")),
        _column("active_from", INSTANT, nullable=True),
        _column("recorded_at", INSTANT),
        sa.UniqueConstraint("entry_id", "round", "event"),
        sa.CheckConstraint("event IN ('proposed', 'approved', 'revoked')", name="event_known"),
        sa.CheckConstraint("event <> 'approved' OR actor <> proposer", name="second_person"),
        sa.CheckConstraint(
            "(event = 'approved') = (active_from IS NOT NULL)", name="approved_is_dated"
        ),
    )


_ILLEGAL = f"NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) NOT IN ({EDGES})"
_GUARDS = (
    ("edges", "UPDATE ON transfers", _ILLEGAL, "no such step of a transfer"),
    (
        "start", "INSERT ON transfers", "NEW.state <> 'proposed' OR NEW.attempts <> 0",
        "a transfer begins as proposed",
    ),
    (
        "epoch", "UPDATE ON transfer_writers", "NEW.epoch <= OLD.epoch",
        "the epoch of a writer only rises",
    ),
)  # fmt: skip


def _guard_sqlite() -> None:
    for name, event, condition, words in _GUARDS:
        op.execute(
            f"CREATE TRIGGER transfers_{name} BEFORE {event} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )


def _guard_postgresql() -> None:
    for name, event, condition, words in _GUARDS:
        op.execute(
            f"CREATE FUNCTION refuse_transfers_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {condition} THEN RAISE EXCEPTION '{words}'; END IF; RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER transfers_{name} BEFORE {event} FOR EACH ROW "
            f"EXECUTE FUNCTION refuse_transfers_{name}()"
        )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _key(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(
    name: str, kind: Kind = TEXT, target: str | None = None, *, nullable: bool = False
) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, nullable=nullable)


def _positive(column: str) -> tuple[sa.CheckConstraint, sa.CheckConstraint]:
    sqlite = f"{column} NOT GLOB '*[^0-9]*' AND {column} GLOB '[1-9]*' AND length({column}) <= 38"
    postgresql = f"{column} > 0 AND {column} = trunc({column}) AND {column} < 1e38"
    return (
        _check(f"{column}_digits", "sqlite", sqlite),
        _check(f"{column}_digits", "postgresql", postgresql),
    )


def _decimal(column: str) -> sa.CheckConstraint:
    digits = f"ltrim({column}, '-')"
    rule = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )
    return _check(f"{column}_decimal", "sqlite", rule)


def _check(name: str, dialect: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name).ddl_if(dialect=dialect)

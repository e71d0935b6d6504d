"""Reductions: plans with their legs, orders, approvals and events.

The edges of both state graphs are written out here: triggers let a state change only along them,
and keep the orders of a leg within the leg.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only, keep_columns

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
POSITION = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")

APPEND_ONLY = ("reduction_legs", "reduction_approvals", "reduction_events")
PLAN_FACTS = (
    "plan_id", "netting_set_id", "cause", "attempt", "kind", "mode", "status", "payload",
    "payload_hash", "notional", "cost", "figures", "proposer", "reason", "business_date",
    "recorded_at", "valid_until",
)  # fmt: skip
ORDER_FACTS = (
    "order_key", "plan_id", "leg", "slice", "place", "lots", "limit_price", "notional",
    "position_before", "epoch", "sent_at",
)  # fmt: skip
PLAN_STATES = (
    "'expired', 'insufficient', 'proposed', 'rejected', 'restored', 'shadow', 'stopped', "
    "'stopping', 'working'"
)
PLAN_OPEN = "'proposed', 'stopping', 'working'"
PLAN_EDGES = (
    "'proposed>working', 'proposed>rejected', 'proposed>expired', 'working>restored', "
    "'working>insufficient', 'working>stopping', 'working>stopped', 'stopping>stopped'"
)
ORDER_STATES = (
    "'cancelled', 'filled', 'not_executed', 'not_sent', 'open', 'refused', 'stuck', 'unknown'"
)
ORDER_LIVE = "'open', 'stuck', 'unknown'"
ORDER_EDGES = (
    "'unknown>open', 'unknown>filled', 'unknown>cancelled', 'unknown>refused', "
    "'unknown>not_sent', 'unknown>not_executed', 'unknown>stuck', 'open>filled', "
    "'open>cancelled', 'open>stuck', 'stuck>open', 'stuck>filled', 'stuck>cancelled', "
    "'stuck>not_executed'"
)


def upgrade() -> None:
    """Create the tables, then the triggers."""
    _create_plans()
    _create_legs()
    _create_orders()
    _create_events()
    _create_approvals()
    for table in APPEND_ONLY:
        add_only(table)
    keep_columns("reductions", PLAN_FACTS)
    keep_columns("reduction_orders", ORDER_FACTS)
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _create_plans() -> None:
    _table(
        "reductions",
        _key("plan_id"),
        *(_column(name) for name in ("netting_set_id", "cause")),
        _column("attempt", POSITION),
        *(_column(name) for name in ("kind", "mode", "status", "payload", "payload_hash")),
        *(_column(name, NUMBER) for name in ("notional", "cost")),
        *(_column(name) for name in ("figures", "proposer", "reason")),
        _column("business_date", DATE),
        *(_column(name, INSTANT) for name in ("recorded_at", "valid_until")),
        _column("state"),
        _column("n_events", POSITION),
        _column("not_before", INSTANT, nullable=True),
        _column("note"),
        sa.UniqueConstraint("netting_set_id", "cause", "attempt"),
        sa.UniqueConstraint("plan_id", "proposer", "payload_hash"),
        sa.CheckConstraint("length(plan_id) = 32", name="plan_id_length"),
        sa.CheckConstraint(f"state IN ({PLAN_STATES})", name="state_known"),
        sa.CheckConstraint("mode IN ('approval', 'automatic', 'shadow')", name="mode_known"),
        sa.CheckConstraint("mode <> 'shadow' OR state = 'shadow'", name="shadow_does_nothing"),
        sa.CheckConstraint("kind IN ('hedge_first', 'reduce_only')", name="kind_known"),
        sa.CheckConstraint("status IN ('insufficient', 'restores')", name="status_known"),
        sa.CheckConstraint("attempt > 0 AND n_events > 0", name="counts_sound"),
        sa.CheckConstraint("proposer <> '' AND reason <> ''", name="answered_for"),
        _decimal("notional"),
        _decimal("cost"),
    )
    _index("uq_reductions_open", "reductions", ["netting_set_id"], f"state IN ({PLAN_OPEN})")
    op.create_index("ix_reductions_state", "reductions", ["state", "not_before"])


def _create_legs() -> None:
    _table(
        "reduction_legs",
        _key("plan_id", TEXT, "reductions.plan_id"),
        _key("leg", POSITION),
        *(_column(name) for name in ("account_id", "instrument_id", "side")),
        *(_column(name, POSITION) for name in ("lots", "is_reduce_only")),
        sa.UniqueConstraint("plan_id", "account_id", "instrument_id"),
        sa.CheckConstraint("leg > 0 AND lots > 0", name="counts_sound"),
        sa.CheckConstraint("side IN ('buy', 'sell')", name="side_known"),
        sa.CheckConstraint("is_reduce_only IN (0, 1)", name="is_reduce_only_flag"),
    )


def _create_orders() -> None:
    amounts = ("limit_price", "notional", "position_before")
    _table(
        "reduction_orders",
        _key("order_key"),
        _column("plan_id"),
        *(_column(name, POSITION) for name in ("leg", "slice")),
        _column("place"),
        _column("lots", POSITION),
        *(_column(name, NUMBER) for name in amounts),
        _column("epoch", POSITION),
        _column("sent_at", INSTANT),
        _column("state"),
        *(_column(name, POSITION) for name in ("n_events", "filled_lots")),
        _column("average_price", NUMBER, nullable=True),
        _column("venue_order_id"),
        _column("n_looks", POSITION),
        _column("look_at", INSTANT, nullable=True),
        _column("note"),
        sa.UniqueConstraint("plan_id", "leg", "slice"),
        sa.ForeignKeyConstraint(
            ["plan_id", "leg"], ["reduction_legs.plan_id", "reduction_legs.leg"]
        ),
        sa.CheckConstraint("length(order_key) = 32", name="key_length"),
        sa.CheckConstraint("slice > 0 AND lots > 0 AND epoch > 0", name="counts_sound"),
        sa.CheckConstraint("filled_lots BETWEEN 0 AND lots", name="filled_within"),
        sa.CheckConstraint("state <> 'filled' OR filled_lots = lots", name="filled_is_whole"),
        sa.CheckConstraint(
            "state NOT IN ('not_executed', 'not_sent', 'refused') OR filled_lots = 0",
            name="failed_has_no_effect",
        ),
        sa.CheckConstraint(f"state IN ({ORDER_STATES})", name="state_known"),
        *(_decimal(name) for name in (*amounts, "average_price")),
    )
    live = f"state IN ({ORDER_LIVE})"
    _index("uq_reduction_orders_live", "reduction_orders", ["plan_id", "leg"], live)
    op.create_index("ix_reduction_orders_state", "reduction_orders", ["state", "look_at"])
    op.create_index("ix_reduction_orders_sent_at", "reduction_orders", ["sent_at"])


def _create_events() -> None:
    edge = (
        f"(order_key = '' AND (previous || '>' || state) IN ({PLAN_EDGES})) "
        f"OR (order_key <> '' AND (previous || '>' || state) IN ({ORDER_EDGES})) "
        "OR (order_key = '' AND previous = '' AND number = 1 "
        "AND state IN ('proposed', 'shadow')) "
        "OR (order_key <> '' AND previous = '' AND state = 'unknown') "
        "OR (previous = state AND fact <> '')"
    )
    _table(
        "reduction_events",
        _key("position", POSITION),
        _column("plan_id", TEXT, "reductions.plan_id"),
        _column("number", POSITION),
        *(_column(name) for name in ("order_key", "previous", "state", "fact", "actor")),
        *(_column(name) for name in ("reason", "details")),
        _column("recorded_at", INSTANT),
        _column("hash"),
        sa.UniqueConstraint("plan_id", "number"),
        sa.CheckConstraint(edge, name="edge_allowed"),
        sa.CheckConstraint("actor <> '' AND reason <> ''", name="answered_for"),
    )


def _create_approvals() -> None:
    bound = ("plan_id", "proposer", "payload_hash")
    _table(
        "reduction_approvals",
        _key("plan_id"),
        _key("approver"),
        _column("proposer"),
        _column("payload_hash"),
        _column("recorded_at", INSTANT),
        sa.ForeignKeyConstraint(list(bound), [f"reductions.{name}" for name in bound]),
        sa.CheckConstraint("approver <> proposer", name="second_person"),
    )


_PLAN_STEP = f"NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) NOT IN ({PLAN_EDGES})"
_ORDER_STEP = f"NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) NOT IN ({ORDER_EDGES})"
_OTHERS = (
    f"(SELECT COALESCE(SUM(CASE WHEN state IN ({ORDER_LIVE}) THEN lots ELSE filled_lots END), 0) "
    "FROM reduction_orders WHERE plan_id = NEW.plan_id AND leg = NEW.leg)"
)
_PARENT = "(SELECT lots FROM reduction_legs WHERE plan_id = NEW.plan_id AND leg = NEW.leg)"
_PLAN = "(SELECT state FROM reductions WHERE plan_id = NEW.plan_id)"
_GUARDS = (
    ("edges", "UPDATE ON reductions", _PLAN_STEP, "no such step of a reduction"),
    (
        "begin", "INSERT ON reductions", "NEW.state NOT IN ('proposed', 'shadow')",
        "a reduction begins as proposed or shadow",
    ),
    ("order_edges", "UPDATE ON reduction_orders", _ORDER_STEP, "no such step of an order"),
    (
        "order_begin", "INSERT ON reduction_orders",
        "NEW.state <> 'unknown' OR NEW.filled_lots <> 0", "an order begins as unknown",
    ),
    (
        "order_filled", "UPDATE ON reduction_orders", "NEW.filled_lots < OLD.filled_lots",
        "what is filled never falls",
    ),
    (
        "order_ended", "UPDATE ON reduction_orders", f"OLD.state NOT IN ({ORDER_LIVE})",
        "an order at its end never changes",
    ),
    (
        "order_parent", "INSERT ON reduction_orders", f"NEW.lots + {_OTHERS} > {_PARENT}",
        "orders of a leg are never more than the leg",
    ),
    (
        "order_plan", "INSERT ON reduction_orders", f"{_PLAN} <> 'working'",
        "only a reduction at work has orders",
    ),
)  # fmt: skip


def _guard_sqlite() -> None:
    for name, event, condition, words in _GUARDS:
        op.execute(
            f"CREATE TRIGGER reductions_{name} BEFORE {event} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )


def _guard_postgresql() -> None:
    for name, event, condition, words in _GUARDS:
        op.execute(
            f"CREATE FUNCTION refuse_reductions_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {condition} THEN RAISE EXCEPTION '{words}'; END IF; RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER reductions_{name} BEFORE {event} FOR EACH ROW "
            f"EXECUTE FUNCTION refuse_reductions_{name}()"
        )


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    # Constraints get their full names from the convention of ``tables.Base``.
    op.create_table(name, *parts, sqlite_strict=True)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition
    )


def _key(name: str, kind: Kind = TEXT, target: str | None = None) -> sa.Column[Any]:
    targets = (sa.ForeignKey(target),) if target else ()
    return sa.Column(name, kind, *targets, primary_key=True, autoincrement=False)


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

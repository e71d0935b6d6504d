"""What venues demand: one row per account and run, and which side binds in a requirement.

Requirements of runs without venue accounts keep empty cells.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from alembic import op

from infra.db.migrations.triggers import add_only

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Kind: TypeAlias = sa.types.TypeEngine[Any]
TEXT = sa.Text()
NUMBER = sa.Numeric().with_variant(sa.Text(), "sqlite")
DATE = sa.Date().with_variant(sa.Text(), "sqlite")

BINDING = "binding IN ('house', 'venue', 'unknown')"
STATUS = "status IN ('assessed', 'failed', 'unmodelled')"


def upgrade() -> None:
    """Create the table of accounts, and the columns of requirements."""
    amounts = ("initial_margin_amount", "maintenance_margin_amount")
    op.create_table(
        "venue_margins",
        sa.Column("run_id", TEXT, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("account_id", TEXT, primary_key=True),
        _column("business_date", DATE),
        *(_column(name) for name in ("venue", "client_id", "netting_set_id", "account_mode")),
        *(_column(name) for name in ("status", "reason", "currency")),
        *(sa.Column(name, NUMBER, nullable=True) for name in amounts),
        *(_column(name) for name in ("evidence", "drift_class", "figures")),
        *(
            sa.CheckConstraint(_decimal(name), name=f"{name}_decimal").ddl_if(dialect="sqlite")
            for name in amounts
        ),
        sa.CheckConstraint(STATUS, name="status_known"),
        sqlite_strict=True,
    )
    key = ["account_id", "business_date"]
    op.create_index("ix_venue_margins_account", "venue_margins", key)
    add_only("venue_margins")
    for name in ("venue_amount", "owed_amount"):
        _add("requirements", name, NUMBER, f"{name}_decimal", _decimal(name))
    _add("requirements", "binding", TEXT, "binding_known", BINDING, on_both=True)


def _add(
    table: str, name: str, kind: Kind, constraint: str, rule: str, *, on_both: bool = False
) -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite takes the check of a new column with the column alone.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN {name} TEXT "
            f"CONSTRAINT ck_{table}_{constraint} CHECK ({rule})"
        )
        return
    op.add_column(table, sa.Column(name, kind, nullable=True))
    if on_both:
        op.create_check_constraint(constraint, table, rule)


def _column(name: str, kind: Kind = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _decimal(column: str) -> str:
    digits = f"ltrim({column}, '-')"
    return (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )

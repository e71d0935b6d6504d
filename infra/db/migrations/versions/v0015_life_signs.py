"""Signs of life: what has to happen again and again, and when it last did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NUMBER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
STATES = "state IN ('live', 'degraded', 'down', 'unknown')"


def upgrade() -> None:
    """Create the table; its rows change, what they led to is in the events."""
    op.create_table(
        "life_signs",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", INSTANT, nullable=False),
        sa.Column("seconds_max", NUMBER, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("next_action", sa.Text(), nullable=False),
        sa.CheckConstraint("seconds_max > 0", name="seconds_max_positive"),
        sa.CheckConstraint(STATES, name="state_known"),
        sa.CheckConstraint("next_action <> ''", name="next_action_said"),
        sqlite_strict=True,
    )

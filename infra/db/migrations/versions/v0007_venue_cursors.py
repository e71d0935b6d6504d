"""How far each venue's own history has been read into the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    instant = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "venue_cursors",
        sa.Column("place", sa.Text(), primary_key=True, nullable=False),
        sa.Column("watermark", sa.Text(), nullable=False),
        sa.Column("read_at", instant, nullable=False),
        sqlite_strict=True,
    )

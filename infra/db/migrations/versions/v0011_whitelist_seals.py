"""Approvals of destinations bear a seal; those from before have none and are made anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("whitelist_events", sa.Column("seal", sa.Text(), nullable=True))

"""Run migrations on the connection that ``infra/db/schema.py`` hands over, in one transaction."""

from __future__ import annotations

from alembic import context

from infra.db.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    # Alembic assumes that SQLite cannot roll back DDL; it can, so a killed upgrade leaves nothing.
    transactional_ddl=True,
    compare_type=True,
)
context.run_migrations()

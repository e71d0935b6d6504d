"""Triggers that let history only grow. Used by migrations, so the meaning never changes.

On SQLite an ``INSERT OR REPLACE`` deletes the old row without its delete trigger unless the
connection has ``recursive_triggers`` on, which another program would not have. Therefore a third
trigger looks at the row before it is inserted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def add_only(table: str) -> None:
    """Refuse to change, delete, replace or truncate rows of ``table``."""
    message = f"{table} is append-only"
    if _dialect() == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN {_is_there(table)} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    _create_refusal()
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def keep_columns(table: str, columns: tuple[str, ...]) -> None:
    """Refuse to change ``columns`` of ``table`` or to delete or replace its rows."""
    message = f"{table} is append-only"
    listed = ", ".join(columns)
    if _dialect() == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE OF {listed} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN {_is_there(table)} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    _create_refusal()
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE DELETE OR UPDATE OF {listed} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _create_refusal() -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )


def _is_there(table: str) -> str:
    found = sa.inspect(op.get_bind())
    keys = [found.get_pk_constraint(table)["constrained_columns"]]
    keys += [unique["column_names"] for unique in found.get_unique_constraints(table)]
    matches = (" AND ".join(f"{column} = NEW.{column}" for column in key) for key in keys)
    return " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {match})" for match in matches)


def _dialect() -> str:
    return op.get_bind().dialect.name

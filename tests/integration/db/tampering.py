"""What an administrator of the database could do to it."""

from __future__ import annotations

from infra.db import Database


def tamper(database: Database, table: str, *statements: str) -> None:
    """Run statements on ``table`` past triggers and foreign keys, as an administrator could."""
    with database.engine.connect() as connection:
        if database.is_embedded:
            connection.rollback()
            driver = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys = OFF")
            driver.execute("PRAGMA ignore_check_constraints = ON")
            triggers = driver.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            ).fetchall()
            for (trigger,) in triggers:
                driver.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                driver.execute(statement)
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
    database.engine.dispose()

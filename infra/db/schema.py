"""Bring the schema to the revision of this code, or say in a sentence what has to be done."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from engine.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config
    from alembic.script import ScriptDirectory

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade_schema(connection: Connection) -> str:
    """Run every migration that is missing and return the revision reached.

    The connection is inside a transaction, so that a killed upgrade leaves the schema as it was.

    Raises
    ------
    StateError
        If the database is newer than this code.
    """
    from alembic import command

    config = _config(connection)
    _refuse_newer(connection, config)
    with _no_logging():
        command.upgrade(config, "head")
    revision = current_revision(connection)
    if revision is None:
        raise StateError("the upgrade left no schema behind")
    return revision


def check_schema(connection: Connection, label: str) -> None:
    """Raise StateError unless the database has exactly the schema of this code."""
    config = _config(connection)
    _refuse_newer(connection, config)
    found, needed = current_revision(connection), _scripts(config).get_current_head()
    if found is None:
        raise StateError(f"database {label} has no schema: run `plimsoll db upgrade`")
    if found != needed:
        raise StateError(
            f"database {label} is at revision {found}, this code needs {needed}: "
            "run `plimsoll db upgrade`",
            identifier=label,
            value=found,
            limit=str(needed),
        )


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or None if it has no schema of ours."""
    from alembic.runtime.migration import MigrationContext

    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision


def is_empty(connection: Connection) -> bool:
    """Return whether the database holds no table at all."""
    return not inspect(connection).get_table_names()


def _refuse_newer(connection: Connection, config: Config) -> None:
    found = current_revision(connection)
    known = {script.revision for script in _scripts(config).walk_revisions()}
    if found is not None and found not in known:
        raise StateError(
            f"the database is at revision {found}, newer than this code, which knows up to "
            f"{_scripts(config).get_current_head()}: install the newer version of plimsoll",
            value=found,
        )


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _scripts(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


@contextmanager
def _no_logging() -> Iterator[None]:
    import logging

    logger = logging.getLogger("alembic")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)

"""A copy of an embedded database while it is in use, whole or not there at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StateError

if TYPE_CHECKING:
    from infra.db.database import Database


def back_up(database: Database, target: Path) -> int:
    """Copy the database to a file that is not there yet; return its size. [bytes]

    The copy is of one instant, however many write meanwhile, and it is checked before it gets its
    name.

    Raises
    ------
    StateError
        If the database is on a server, the target is there, or the copy is damaged or not possible.
    """
    if not database.is_embedded:
        raise StateError(
            f"{database.label} is on a server: copy it with pg_dump, see infra/docs/runbook.md",
            identifier=database.label,
        )
    if target.exists():
        raise StateError(f"{target} is there already: name a new file", identifier=str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        # As nobody else may read it: it holds everything.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(database.file, temporary)
        temporary.rename(target)
    except (OSError, sqlite3.Error) as error:
        temporary.unlink(missing_ok=True)
        raise StateError(
            f"{database.file} cannot be copied to {target}: {error}; check disk and rights",
            identifier=str(target),
        ) from error
    return target.stat().st_size


def _copy(source: Path, target: Path) -> None:
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)
        (found,) = writing.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {found}")
    finally:
        writing.close()
        reading.close()

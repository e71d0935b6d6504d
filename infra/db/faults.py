"""One clear sentence for what a database driver reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.errors import InvariantBroken, MarginPlatformError, StateError, StateUnavailable

# Text of SQLite's message -> what to tell a person.
_SQLITE = (
    ("disk is full", "the disk is full: free space; nothing of this step was recorded"),
    ("disk i/o error", "the disk fails or a size limit is reached: check disk and quota"),
    ("readonly database", "it cannot be written: grant permission to the file and its folder"),
    ("unable to open", "it cannot be opened: check the path, or run `plimsoll db upgrade` once"),
    ("not a database", "the file is no SQLite database: restore it from a backup"),
    ("malformed", "the file is damaged: restore it from a backup"),
    ("no such table", "its schema is missing or old: run `plimsoll db upgrade`"),
    ("no such column", "its schema is old: run `plimsoll db upgrade`"),
)
# SQLSTATE of PostgreSQL -> what to tell a person; classes have two characters.
_POSTGRESQL = {
    "53100": "its disk is full: free space; nothing of this step was recorded",
    "42501": "the user may not do this: grant the rights in infra/db/README.md",
    "42P01": "its schema is missing or old: run `plimsoll db upgrade`",
    "42703": "its schema is old: run `plimsoll db upgrade`",
    "25006": "it is read-only: point PLIMSOLL_DATABASE_URL at the primary server",
    "3D000": "there is no such database: create it, then run `plimsoll db upgrade`",
    "28P01": "the password is wrong: check PLIMSOLL_DATABASE_URL",
    "28000": "the user is refused: check PLIMSOLL_DATABASE_URL",
}
# Lock not available, too many connections, shutdown, serialization failure, deadlock.
_PASSING = ("55P03", "53300", "57P01", "57P02", "57P03", "40001", "40P01")


@contextmanager
def database_faults(label: str, wait_seconds: float) -> Iterator[None]:
    """Turn driver errors inside the block into StateUnavailable, StateError or InvariantBroken."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _unavailable_or_wrong(error, label, wait_seconds) from error
    except PoolTimeout as error:
        raise StateUnavailable(
            f"database {label}: no connection became free in time", identifier=label
        ) from error
    except DBAPIError as error:
        raise _refused(error, label) from error
    except StatementError as error:
        # A column type refused a value before it reached the driver; its words are ours.
        if isinstance(error.orig, MarginPlatformError):
            raise error.orig from error
        raise


def _unavailable_or_wrong(
    error: OperationalError | InterfaceError, label: str, wait_seconds: float
) -> MarginPlatformError:
    text = str(error.orig).strip()
    if "database is locked" in text or "database is busy" in text:
        return StateUnavailable(
            f"database {label} is locked by another process for more than {wait_seconds:g} s: "
            "wait for it to finish or stop it",
            identifier=label,
            limit=f"{wait_seconds:g} s",
        )
    return _known_to_sqlite(error, label) or _by_state(error, label, wait_seconds)


def _known_to_sqlite(error: DBAPIError, label: str) -> StateError | None:
    text = str(error.orig).lower()
    for sign, advice in _SQLITE:
        if sign in text:
            return StateError(f"database {label}: {advice}", identifier=label, value=text)
    return None


def _by_state(error: DBAPIError, label: str, wait_seconds: float) -> MarginPlatformError:
    state = getattr(error.orig, "sqlstate", None)
    first_line = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason"
    if state == "55P03":
        return StateUnavailable(
            f"database {label} is locked by another process for more than {wait_seconds:g} s: "
            "wait for it to finish or stop it",
            identifier=label,
            limit=f"{wait_seconds:g} s",
        )
    if state in _POSTGRESQL:
        return StateError(f"database {label}: {_POSTGRESQL[state]}", identifier=label)
    for sign, advice in (
        ("password authentication failed", _POSTGRESQL["28P01"]),
        ('database "', _POSTGRESQL["3D000"]),
    ):
        if sign in first_line and "FATAL" in first_line:
            return StateError(f"database {label}: {advice}", identifier=label)
    if state is None or state in _PASSING or state.startswith("08"):
        return StateUnavailable(
            f"database {label} cannot be reached: {first_line}", identifier=label, value=first_line
        )
    return StateError(f"database {label}: {first_line}", identifier=label, value=first_line)


def _refused(error: DBAPIError, label: str) -> Exception:
    state = getattr(error.orig, "sqlstate", None)
    if state in _POSTGRESQL:
        return StateError(f"database {label}: {_POSTGRESQL[state]}", identifier=label)
    known = None if isinstance(error, IntegrityError) else _known_to_sqlite(error, label)
    if known is not None:
        return known
    # A constraint or a trigger stopped a write that our own checks had let through: a bug.
    return InvariantBroken(f"database {label} refused a write: {error.orig}")

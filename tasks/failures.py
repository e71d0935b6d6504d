"""What an error means to the person who started the work: its kind, its sentence, the next step."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum
from typing import Final

from engine.errors import (
    ContractViolation,
    LedgerError,
    MarginPlatformError,
    MissingDataError,
    ModelInputError,
    RunIncomplete,
    StaleMarkError,
    StateError,
    VenueError,
)


class FailureKind(Enum):
    """Who can do something about a failure."""

    BUG = "bug"
    INPUT = "input"
    MISSING_DATA = "missing data"
    STATE = "state"
    INCOMPLETE = "incomplete"
    INFRASTRUCTURE = "infrastructure"
    OVERDUE = "overdue"
    DIFFERENT = "different"


class InfrastructureError(MarginPlatformError):
    """A service that the run needs (Prefect, Dask) cannot be reached or did not answer in time."""

    retryable = True


class RunOverdue(MarginPlatformError):
    """The end of day that is due by now is missing, unfinished or failed."""


class ReplayDiffers(MarginPlatformError):
    """A recomputed run differs from what was stored."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, worded: ``sentence`` says what happened, ``next_step`` what to do."""

    kind: FailureKind
    sentence: str
    next_step: str


_KINDS: Final[tuple[tuple[type[Exception], FailureKind], ...]] = (
    (RunIncomplete, FailureKind.INCOMPLETE),
    (RunOverdue, FailureKind.OVERDUE),
    (ReplayDiffers, FailureKind.DIFFERENT),
    (MissingDataError, FailureKind.MISSING_DATA),
    (StaleMarkError, FailureKind.MISSING_DATA),
    (InfrastructureError, FailureKind.INFRASTRUCTURE),
    (VenueError, FailureKind.INFRASTRUCTURE),
    (StateError, FailureKind.STATE),
    (LedgerError, FailureKind.STATE),
    (ContractViolation, FailureKind.INPUT),
    (ModelInputError, FailureKind.INPUT),
    (MarginPlatformError, FailureKind.INPUT),
)

_NEXT_STEPS: Final = {
    FailureKind.BUG: "run again with --debug and report the traceback",
    FailureKind.INPUT: "correct the named value and start again",
    FailureKind.MISSING_DATA: "bring the data, or name another date or folder, and start again",
    FailureKind.STATE: "run `plimsoll doctor`; what is done is kept and the next start resumes it",
    FailureKind.INCOMPLETE: "read the report's failed netting sets, correct their data, then "
    "rerun with --force",
    FailureKind.INFRASTRUCTURE: "run `plimsoll doctor`; the next start resumes where this one "
    "stopped",
    FailureKind.OVERDUE: "start `plimsoll eod` for that date now",
    FailureKind.DIFFERENT: "compare code version and snapshot of the run before trusting either",
}

# Transport errors of the Prefect client, known by name so that its libraries need no import here.
_TRANSPORT_ERRORS: Final = frozenset(
    {
        "ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "RemoteProtocolError",
        "WriteError", "PoolTimeout", "PrefectHTTPStatusError", "HTTPStatusError",
    }
)  # fmt: skip
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def describe_failure(error: BaseException) -> Failure:
    """Return kind, sentence and next step of ``error``.

    An expected failure speaks for itself. A transport error or a full disk is worded here. All
    else is a bug, and says so.
    """
    for class_, kind in _KINDS:
        if isinstance(error, class_):
            return Failure(kind, _one_sentence(str(error)), _NEXT_STEPS[kind])
    name = type(error).__name__
    if name in _TRANSPORT_ERRORS:
        sentence = f"the Prefect API went away or refused ({name}: {error})"
        return _failure(FailureKind.INFRASTRUCTURE, sentence)
    if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError):
        return _failure(FailureKind.STATE, f"cannot use {error.filename}: {error.strerror}")
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return _failure(FailureKind.STATE, f"cannot write {error.filename}: {error.strerror}")
    return _failure(FailureKind.BUG, f"unexpected {name}: {error}")


def is_retryable(error: BaseException) -> bool:
    """Return whether trying again can help: what the error's class says, and no other guess."""
    return isinstance(error, MarginPlatformError) and type(error).retryable


def _failure(kind: FailureKind, sentence: str) -> Failure:
    return Failure(kind, _one_sentence(sentence), _NEXT_STEPS[kind])


def _one_sentence(text: str) -> str:
    return " ".join(text.split())

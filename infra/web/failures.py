"""What an error means over HTTP: its status, its sentence, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.errors import (
    ContractViolation,
    InsufficientCollateral,
    LedgerError,
    MarginPlatformError,
    MissingDataError,
    ModelInputError,
    OpenBreak,
    StaleMarkError,
    StateError,
    StateUnavailable,
    Unsupported,
    VenueError,
)

# The first class that fits; an order of the tree from leaves to root.
_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (StateUnavailable, 503),
    (MissingDataError, 404),
    (ContractViolation, 422),
    (ModelInputError, 422),
    (OpenBreak, 409),
    (StaleMarkError, 409),
    (InsufficientCollateral, 409),
    (LedgerError, 409),
    (StateError, 409),
    (Unsupported, 501),
    (VenueError, 502),
    (MarginPlatformError, 422),
)
_TITLES: Final = {
    400: "This cannot be read",
    401: "Log in first",
    403: "Not allowed",
    404: "Not there",
    405: "Not this way",
    409: "Not now",
    413: "Too large",
    422: "This cannot be answered",
    429: "Too many requests",
    501: "Not available",
    502: "The other side did not answer",
    503: "Not available now",
}


class Refused(Exception):
    """A request that is refused before anything was done."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal for people: status, title, what happened."""

    status: int
    title: str
    sentence: str


def problem_of(error: MarginPlatformError) -> Problem:
    """Return what an expected failure means to whoever asked."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return problem(status, " ".join(str(error).split()))


def problem(status: int, sentence: str) -> Problem:
    """Return a problem of a status."""
    return Problem(status, _TITLES.get(status, "Something went wrong"), sentence)

"""What Fireblocks' refusals mean.

developers.fireblocks.com, "API responses and error codes", "API idempotency". A refusal that is
not understood leaves the outcome open: the documentation itself says to look a transaction up by
its external id after an error of the kinds 4xx and 5xx.
"""

from __future__ import annotations

from typing import Final

from infra.venues.verdicts import Verdict, table

_TOKENS: Final = table(clock="-10 -12", access="-1 -2 -3 -4 -5 -6 -7 -8")
_WORDS: Final[tuple[tuple[str, Verdict], ...]] = (
    ("same idempotency key after an internal error", "duplicate_key"),
    ("externaltxid", "duplicate_key"),
    ("external tx id", "duplicate_key"),
)
_UNAUTHORISED: Final = (401, 403)
_BAD_REQUEST: Final = 400


def verdict(status: int, code: str, message: str) -> Verdict | None:
    """Return what a refusal means, None if that is not known."""
    if status in _UNAUTHORISED:
        return _TOKENS.get(code, "access")
    said = message.lower()
    if status == _BAD_REQUEST:
        for words, meaning in _WORDS:
            if words in said:
                return meaning
    return None

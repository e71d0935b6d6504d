"""A read is tried a second time, once; writes never come here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from engine.errors import BadPayload, Maintenance, Throttled, VenueUnavailable

Answer = TypeVar("Answer")
ATTEMPTS: Final = 2
_WAIT_SECONDS: Final = 0.1


async def read_twice(read: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return what ``read`` returns, after a second attempt where the first one failed for now."""
    async for attempt in stamina.retry_context(
        on=_is_worth_repeating,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=_WAIT_SECONDS,
        wait_jitter=_WAIT_SECONDS,
    ):
        with attempt:
            return await read()
    raise AssertionError("stamina raises what the last attempt raised")


def _is_worth_repeating(error: Exception) -> bool:
    # A venue that asked for silence or is closed is not asked again at once.
    if isinstance(error, Throttled | Maintenance):
        return False
    if isinstance(error, VenueUnavailable):
        return error.retry_after_seconds is None
    return isinstance(error, BadPayload)

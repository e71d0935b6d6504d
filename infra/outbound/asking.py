"""Ask a venue something, with a bound on the wait; one venue's trouble is not the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from engine.errors import InvariantBroken, VenueError, VenueUnavailable

T = TypeVar("T")


async def asked(question: Awaitable[T], seconds: float, what: str) -> T:
    """Return the answer to a read.

    Raises
    ------
    VenueError
        What the adapter raises; VenueUnavailable if it takes too long, or fails in a way that no
        adapter should: then nothing was learned, and the work on other venues goes on.
    """
    try:
        return await asyncio.wait_for(question, seconds)
    except (VenueError, InvariantBroken):
        raise
    except TimeoutError as error:
        raise VenueUnavailable(f"{what}: no answer in {seconds:g} s", identifier=what) from error
    except Exception as error:
        raise VenueUnavailable(
            f"{what}: the adapter fails with {type(error).__name__}: {error}", identifier=what
        ) from error

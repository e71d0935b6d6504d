"""Ask a gateway something, with a bound on the wait; one venue's trouble is not the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from engine.errors import InvariantBroken, MarginPlatformError, VenueError, VenueUnavailable

if TYPE_CHECKING:
    from engine.ports import RouteGuarantees, TransferGateway, TransferOrder

T = TypeVar("T")


async def asked(question: Awaitable[T], seconds: float, what: str) -> T:
    """Return the answer to a read.

    Raises
    ------
    VenueError
        What the gateway raises; VenueUnavailable if it takes too long, or fails in a way that no
        gateway should: then nothing was learned, and the work on other venues goes on.
    """
    try:
        return await asyncio.wait_for(question, seconds)
    except (VenueError, InvariantBroken):
        raise
    except TimeoutError as error:
        raise VenueUnavailable(f"{what}: no answer in {seconds:g} s", identifier=what) from error
    except Exception as error:
        raise VenueUnavailable(
            f"{what}: the gateway fails with {type(error).__name__}: {error}", identifier=what
        ) from error


def promised(gateway: TransferGateway, order: TransferOrder) -> RouteGuarantees:
    """Return what a route promises; VenueError, as with ``asked``, if there is no answer."""
    try:
        return gateway.guarantees(order)
    except (MarginPlatformError, InvariantBroken):
        raise
    except Exception as error:
        raise VenueUnavailable(
            f"{order.source}: the gateway fails with {type(error).__name__}: {error}",
            identifier=order.source,
        ) from error

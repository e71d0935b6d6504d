"""How fast one credential may ask: a leaky bucket of weights, and pauses that the venue orders.

Venues count all requests of a credential together, so its limiter is shared by whatever uses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiolimiter import AsyncLimiter

from engine.errors import NotSent
from infra.venues.pace import pace

WAIT_SECONDS_MAX: Final = 3.0


class RequestLimiter:
    """Weights per period with a bounded wait.

    Parameters
    ----------
    weight_max, period_seconds : float
        Weight that may be spent in a period; below the venue's own limit.
    wait_seconds_max : float
        Longest wait for room; beyond it a request is refused here.
    """

    def __init__(
        self,
        weight_max: float,
        period_seconds: float,
        wait_seconds_max: float = WAIT_SECONDS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._weight_max, self._period_seconds = weight_max, period_seconds / pace().times
        self._bucket = AsyncLimiter(weight_max, self._period_seconds)
        self._wait_seconds_max = wait_seconds_max
        self._monotonic = monotonic
        self._paused_until = 0.0
        self.venue_count = 0
        """Weight that the venue says was spent in its present window, where it says so."""

    @property
    def pause_seconds(self) -> float:
        """Return how long the venue still wants silence."""
        return max(self._paused_until - self._monotonic(), 0.0)

    def pause(self, seconds: float) -> None:
        """Send nothing for ``seconds``: the venue said so; a longer pause stays."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

    async def acquire(self, weight: float, name: str) -> None:
        """Wait for room for ``weight``, or raise NotSent if it would take too long."""
        left = self.pause_seconds
        if left > 0.0:
            raise NotSent(
                f"{name}: not sent, the venue ordered a pause of which {left:.1f} s are left",
                identifier=name,
                retry_after_seconds=left,
            )
        try:
            async with asyncio.timeout(self._wait_seconds_max):
                await self._bucket_of(name).acquire(weight)
        except TimeoutError:
            raise NotSent(
                f"{name}: not sent, no room within {self._wait_seconds_max:.1f} s at "
                f"{self._weight_max:g} per {self._period_seconds:g} s",
                identifier=name,
                retry_after_seconds=self._wait_seconds_max,
            ) from None

    def _bucket_of(self, name: str) -> AsyncLimiter:
        return self._bucket


class EndpointLimiter(RequestLimiter):
    """The same room for every endpoint by itself; a pause holds for all of them."""

    def __init__(
        self,
        weight_max: float,
        period_seconds: float,
        wait_seconds_max: float = WAIT_SECONDS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(weight_max, period_seconds, wait_seconds_max, monotonic)
        self._buckets: dict[str, AsyncLimiter] = {}

    def _bucket_of(self, name: str) -> AsyncLimiter:
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = AsyncLimiter(self._weight_max, self._period_seconds)
        return found

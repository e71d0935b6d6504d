"""The offset of a venue's clock from ours, measured, never guessed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from infra.clock import Clock, utc_now

MEASURED_FOR: Final = timedelta(seconds=60)
ALARM: Final = timedelta(milliseconds=250)


class VenueClock:
    """A venue's time: ours plus an offset that is at most a minute old.

    Parameters
    ----------
    ask : callable
        Reads the venue's present instant.
    """

    def __init__(self, ask: Callable[[], Awaitable[datetime]], clock: Clock = utc_now) -> None:
        self._ask, self._clock = ask, clock
        self.offset = timedelta(0)
        self.uncertainty = timedelta.max
        self._measured_at: float | None = None

    async def now(self) -> datetime:
        """Return the venue's present instant, after measuring it where that is due."""
        measured = self._measured_at
        if measured is None or time.monotonic() - measured > MEASURED_FOR.total_seconds():
            await self.measure()
        return self._clock() + self.offset

    async def measure(self) -> timedelta:
        """Ask the venue for its time and return the offset, venue's minus ours."""
        before, started = self._clock(), time.monotonic()
        said = await self._ask()
        trip = timedelta(seconds=time.monotonic() - started)
        self.offset = said - (before + trip / 2)
        self.uncertainty = trip / 2
        self._measured_at = time.monotonic()
        return self.offset

    def forget(self) -> None:
        """Measure before the next use: the venue has refused our time."""
        self._measured_at = None

    @property
    def is_alarming(self) -> bool:
        """Return whether the offset is above what a synchronised machine shows."""
        return abs(self.offset) - min(self.uncertainty, abs(self.offset)) > ALARM

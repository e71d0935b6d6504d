"""Time as the loop counts it: durations by the monotonic clock, instants that never go back.

The wall clock is read once and carried on by the monotonic one: a step of the machine's clock does
not make every venue look wrong. How far both have come apart is told, as an operator's matter.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Final

from infra.clock import Clock, utc_now
from infra.intraday.core import Instant

STEP_SECONDS: Final = 2.0
"""The machine's clock may differ from the loop's by this before it is told."""
_OFFSETS_KEPT: Final = 64
_OFFSETS_MIN: Final = 8


class LoopClock:
    """Now, by both clocks; a replay gives both of a time of its own."""

    def __init__(
        self, wall: Clock = utc_now, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall, self._monotonic_ns = wall, monotonic_ns
        self._began_ns = monotonic_ns()
        self._began = wall().astimezone(UTC)

    def now(self) -> Instant:
        """Return the present instant."""
        monotonic_ns = self._monotonic_ns()
        passed = timedelta(microseconds=(monotonic_ns - self._began_ns) // 1_000)
        return Instant(monotonic_ns, self._began + passed)

    async def sleep(self, seconds: float) -> None:
        """Return once this clock has gone on by ``seconds``."""
        await asyncio.sleep(seconds)

    def step_seconds(self) -> float:
        """Return how far the machine's clock has come away from the loop's. [s]"""
        return (self._wall().astimezone(UTC) - self.now().wall).total_seconds()


class ClockOffset:
    """How far a source's clock is ahead of ours, from the stamps of its messages.

    The median of the last stamps less their arrival: the way of a message is part of it, which
    makes a source look a little behind.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_OFFSETS_KEPT)

    def note(self, ahead_seconds: float) -> None:
        """Take the stamp of one message, as seconds ahead of its arrival."""
        self._seconds.append(ahead_seconds)

    @property
    def seconds(self) -> float | None:
        """Return the offset, None before there are enough messages. [s]"""
        if len(self._seconds) < _OFFSETS_MIN:
            return None
        return sorted(self._seconds)[len(self._seconds) // 2]

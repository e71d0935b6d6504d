"""Two times of a simulated town: wall time on the wire, town time in what moves."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from infra.clock import Clock, utc_now


class TownClock:
    """Time of all venues of a town.

    Stamps, signatures and time-outs use ``wall``, the time of real clients, so that ages are true.
    Prices, funding and the chain use ``now``, which runs ``speed`` times as fast, stands still at
    speed 0, and is moved by ``step``. A town with ``starts_at`` lives in a time of its own: both
    begin there and are one, and its clients are given ``wall`` as their clock.
    """

    def __init__(
        self, *, speed: float = 1.0, wall: Clock = utc_now, starts_at: datetime | None = None
    ) -> None:
        self._wall = wall if starts_at is None else self.now
        self._skew = timedelta(0)
        self._speed = speed
        self.started_at = wall() if starts_at is None else starts_at
        self._elapsed = 0.0
        self._anchor = time.monotonic()

    def wall(self) -> datetime:
        """Return the time that venues stamp and check signatures with."""
        return self._wall() + self._skew

    def wall_ms(self) -> int:
        """Return ``wall`` in milliseconds since the epoch."""
        return int(self.wall().timestamp() * 1000)

    def steady_ms(self) -> int:
        """Return a time by which keys and tokens age, as clients' own timers have it. [ms]

        Real time from an arbitrary beginning, whatever the town's own time does.
        """
        return time.monotonic_ns() // 1_000_000

    def elapsed(self) -> float:
        """Return town seconds since the start."""
        return self._elapsed + self._speed * (time.monotonic() - self._anchor)

    def now(self) -> datetime:
        """Return town time."""
        return self.started_at + timedelta(seconds=self.elapsed())

    def step(self, seconds: float) -> None:
        """Move town time on by ``seconds`` >= 0."""
        if seconds < 0:
            raise ValueError(f"the clock steps forward only, found {seconds}")
        self._elapsed += seconds

    def set_speed(self, speed: float) -> None:
        """Let town time run ``speed`` times as fast as wall time from now on."""
        self._elapsed, self._anchor = self.elapsed(), time.monotonic()
        self._speed = speed

    def set_skew(self, seconds: float) -> None:
        """Put the venues' own clocks ``seconds`` ahead of (+) or behind (-) ours."""
        self._skew = timedelta(seconds=seconds)

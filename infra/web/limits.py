"""What one caller may ask, and what many may ask at once: bounded, and told how long to wait."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from engine.errors import StateUnavailable

_CALLERS_KEPT: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A bucket of requests for each caller, refilled at a steady rate."""

    def __init__(
        self, per_second: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._monotonic = per_second, float(burst), monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str, cost: float = 1.0) -> float:
        """Return 0 if the caller may go on, else for how long to wait. [s]"""
        now = self._monotonic()
        with self._lock:
            bucket = self._buckets.pop(caller, None) or _Bucket(self._burst, now)
            refilled = bucket.tokens + (now - bucket.at) * self._per_second
            bucket.tokens, bucket.at = min(self._burst, refilled), now
            self._buckets[caller] = bucket
            if len(self._buckets) > _CALLERS_KEPT:
                self._buckets.popitem(last=False)
            if bucket.tokens >= cost:
                bucket.tokens -= cost
                return 0.0
            return (cost - bucket.tokens) / self._per_second


class Workbench:
    """Room for heavy questions: as many as have a place are answered, the others wait shortly."""

    def __init__(self, places: int, wait_seconds: float) -> None:
        self._places, self._wait = threading.BoundedSemaphore(places), wait_seconds

    @contextmanager
    def place(self, what: str) -> Iterator[None]:
        """Hold a place for the block; StateUnavailable if none becomes free in time."""
        if not self._places.acquire(timeout=self._wait):
            raise StateUnavailable(
                f"{what}: other questions are being answered; ask again in a few seconds",
                identifier=what,
                limit=f"{self._wait:g} s",
            )
        try:
            yield
        finally:
            self._places.release()

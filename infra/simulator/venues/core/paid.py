"""When funding was paid: at full intervals since the epoch, as venues do."""

from __future__ import annotations


def full_intervals(first_ms: int, last_ms: int, interval_ms: int) -> list[int]:
    """Return the multiples of an interval from ``first_ms`` to ``last_ms``, both included."""
    start = -(-first_ms // interval_ms) * interval_ms
    return list(range(start, last_ms + 1, interval_ms))

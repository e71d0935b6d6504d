"""What a stream is expected to repeat, and which of it is overdue."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence

from engine.ports import FeedEvent
from infra.clock import Clock


class Freshness:
    """When data of each of several channels came last."""

    def __init__(self, names: Sequence[str], stale_seconds: float) -> None:
        self._stale_seconds = stale_seconds
        self._at = dict.fromkeys(names, time.monotonic())

    def note(self, name: str) -> None:
        """Note that data of a channel came."""
        if name in self._at:
            self._at[name] = time.monotonic()

    def overdue_at(self) -> float | None:
        """Return when the first channel will be overdue."""
        return min(self._at.values()) + self._stale_seconds if self._at else None


class ExpectedMarks:
    """Marks that a venue repeats: each instrument's latest stamp, and who is not listed there.

    One that falls silent, or whose stamps stand still, is overdue although others go on.
    """

    def __init__(self, source: str, names: Sequence[str], stale_seconds: float) -> None:
        self._source, self._names, self._stale_seconds = source, names, stale_seconds
        self._missing: tuple[str, ...] = ()
        self._stamps: dict[str, int] = {}
        self._fresh = Freshness((), stale_seconds)

    @property
    def names(self) -> tuple[str, ...]:
        """Return those that are listed."""
        return tuple(self._stamps)

    def begin(self, listed: Collection[str]) -> None:
        """Expect those that the venue lists, from now on."""
        self._missing = tuple(name for name in self._names if name not in listed)
        self._stamps = dict.fromkeys((name for name in self._names if name in listed), 0)
        self.await_first()

    def await_first(self) -> None:
        """Expect the first mark of each from now on."""
        self._fresh = Freshness(self.names, self._stale_seconds)

    def unlisted(self, clock: Clock) -> Iterable[FeedEvent]:
        """Yield, once, an event that names those that are not listed."""
        if self._missing:
            told, self._missing = ", ".join(self._missing), ()
            yield FeedEvent(source=self._source, received_at=clock(), reason=f"not listed: {told}")

    def is_fresher(self, name: str, stamp: int) -> bool:
        """Return whether a stamp is newer than what is known, and know it then.

        Older or the same again: a repeat or a late frame is no fresher than what is known.
        """
        known = self._stamps.get(name)
        if known is None or stamp <= known:
            return False
        self._stamps[name] = stamp
        self._fresh.note(name)
        return True

    def overdue_at(self) -> float | None:
        """Return when the first instrument will be overdue."""
        return self._fresh.overdue_at()

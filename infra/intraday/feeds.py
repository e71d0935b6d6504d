"""Streams of all connections into the loop: prices conflated at once, reports never dropped.

Each stream is a task of its own: one that fails, stalls or talks nonsense degrades what it is about
and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

import numpy as np

from engine.acceptance.state import Ticks, Verdict
from engine.errors import VenueError
from engine.ports import FeedEvent, Mark, MarketFeed
from engine.times import to_nanoseconds
from infra.intraday.clock import ClockOffset, LoopClock
from infra.intraday.core import LoopCore
from infra.intraday.metrics import LoopMetrics
from infra.intraday.trusting import State

RETRY_SECONDS: Final = 1.0
MARKET: Final = "market"
SECOND: Final = 1_000_000_000
STATES: Final[Mapping[str, State]] = {
    "connecting": "down", "down": "down", "stale": "stale", "uncertain": "uncertain",
}  # fmt: skip


class Wake(Protocol):
    """Lets the loop's next round begin."""

    def __call__(self) -> None:
        """Return at once."""


class Follower(Protocol):
    """A feed that is followed."""

    is_healed: bool
    """Whether its first snapshot is there, or waited for enough."""

    def give_up_waiting(self, since_ns: int) -> None:
        """Let decisions begin without it."""


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What every feed needs of the loop."""

    core: LoopCore
    clock: LoopClock
    metrics: LoopMetrics
    wake: Wake
    process: str
    """Name of this process's life: it makes message ids of sources that give none."""


class MarketFollower:
    """Prices of one venue."""

    def __init__(
        self, context: FeedContext, venue: str, feed: MarketFeed, instruments: Sequence[str]
    ) -> None:
        self._context, self.venue, self._feed = context, venue, feed
        self._instruments = tuple(instruments)
        self._offset = ClockOffset()
        self.is_healed = False

    async def run(self) -> None:
        """Follow the venue's stream until cancelled."""
        healing: asyncio.Task[None] | None = None
        try:
            async for event in self._feed.stream(self._instruments):
                if event.health == "live":
                    self._take(event.marks)
                    continue
                self._degrade(event)
                if event.health == "uncertain" and (healing is None or healing.done()):
                    healing = asyncio.create_task(self._heal(), name=f"heal {self.venue} marks")
        finally:
            if healing is not None:
                healing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await healing

    async def _heal(self) -> None:
        """Read all marks anew: only a snapshot ends what may have been missed."""
        while True:
            try:
                marks = await self._feed.marks(self._instruments)
            except VenueError as error:
                self._say("uncertain", f"no snapshot: {error}")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._take(marks)
            now = self._context.clock.now().monotonic_ns
            self._context.core.trust.heal("venue", self.venue, now, MARKET)
            self.is_healed = True
            self._context.wake()
            return

    def _degrade(self, event: FeedEvent) -> None:
        if event.health == "connecting" and not self.is_healed:
            return
        self._say(STATES[event.health], event.reason or event.health)

    def _say(self, state: State, reason: str) -> None:
        if not self.is_healed:
            # Before the first snapshot the grace of the start decides.
            return
        now = self._context.clock.now().monotonic_ns
        self._context.core.trust.distrust(
            "venue",
            self.venue,
            state,
            now,
            f"marks: {reason}"[:300],
            MARKET,
        )
        self._context.wake()

    def _take(self, marks: Sequence[Mark]) -> None:
        if not marks:
            return
        core, now = self._context.core, self._context.clock.now()
        told = _Told()
        for mark in marks:
            self._add(told, mark, to_nanoseconds(now.wall))
        verdicts = core.take_ticks(told.ticks(now.monotonic_ns))
        for verdict, n in zip(*np.unique(verdicts, return_counts=True), strict=True):
            self._context.metrics.count_price(self.venue, Verdict(int(verdict)).reason, int(n))
        self._context.wake()

    def _add(self, told: _Told, mark: Mark, wall_ns: int) -> None:
        core = self._context.core
        stamp, ahead = -1, 0
        if mark.reading.venue_time is not None:
            stamp = to_nanoseconds(mark.reading.venue_time)
            self._offset.note((stamp - wall_ns) / SECOND)
            ahead = stamp - wall_ns
        told.add(
            core.market.row_of.get(mark.instrument_id, -1), mark.mark_price, mark.mark_iv,
            mark.forward_price, stamp, ahead,
        )  # fmt: skip
        if mark.index_price is not None:
            row = core.market.index_row(mark.instrument_id)
            told.add(row, mark.index_price, None, None, stamp, ahead)

    def give_up_waiting(self, since_ns: int) -> None:
        """Let decisions begin without this venue's first snapshot."""
        if not self.is_healed:
            self.is_healed = True
            self._context.core.trust.distrust(
                "venue", self.venue, "down", since_ns, "no prices since the start", MARKET
            )

    @property
    def offset_seconds(self) -> float | None:
        """Return how far the venue's clock is ahead of ours. [s]"""
        return self._offset.seconds


class _Told:
    """Prices of one frame, on their way into arrays."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._numbers: list[tuple[float, float, float]] = []
        self._stamps: list[tuple[int, int]] = []

    def add(
        self,
        row: int,
        price: Decimal,
        iv: Decimal | None,
        forward: Decimal | None,
        stamp: int,
        ahead: int,
    ) -> None:
        """Add one price."""
        nan = float("nan")
        self._rows.append(row)
        self._numbers.append(
            (
                float(price),
                nan if iv is None else float(iv),
                nan if forward is None else float(forward),
            )
        )
        self._stamps.append((stamp, ahead))

    def ticks(self, received_ns: int) -> Ticks:
        """Return them as the acceptance takes them."""
        numbers = np.array(self._numbers, dtype=np.float64)
        stamps = np.array(self._stamps, dtype=np.int64)
        return Ticks(
            row=np.array(self._rows, dtype=np.int64),
            price=np.ascontiguousarray(numbers[:, 0]),
            iv=np.ascontiguousarray(numbers[:, 1]),
            forward=np.ascontiguousarray(numbers[:, 2]),
            stamp_ns=np.ascontiguousarray(stamps[:, 0]),
            ahead_ns=np.ascontiguousarray(stamps[:, 1]),
            received_ns=received_ns,
        )


async def kept_up(
    run: Callable[[], Awaitable[None]], tell: Callable[[BaseException], None]
) -> None:
    """Run a feed again after a second whenever it ends by an error, and tell of it."""
    while True:
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  (one feed's bug must not stop the loop)
            tell(error)
        await asyncio.sleep(RETRY_SECONDS)

"""What venues say that currencies are worth in dollars, so that a depeg is heard of within the day.

Marks of linear contracts are in stablecoins and say nothing of what those are worth. A venue that
does not answer is read again with the next turn: what it said last ages, and counts no more once
it is stale.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np

from engine.acceptance.state import Ticks, Verdict
from engine.day_ports import DayFeed, UsdRate
from engine.errors import VenueError
from engine.times import to_nanoseconds
from infra.intraday.feeds import FeedContext


class RateFollower:
    """Dollar prices of currencies at one venue, read every so many seconds of the loop's clock."""

    def __init__(
        self, context: FeedContext, venue: str, feed: DayFeed, assets: Sequence[str], every: float
    ) -> None:
        self._context, self.venue, self._feed = context, venue, feed
        self._assets, self._every = tuple(assets), every

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            with contextlib.suppress(VenueError):
                self._take(await self._feed.usd_rates(self._assets))
            await self._context.clock.sleep(self._every)

    def _take(self, rates: Sequence[UsdRate]) -> None:
        if not rates:
            return
        core, now = self._context.core, self._context.clock.now()
        wall_ns = to_nanoseconds(now.wall)
        stamps = [
            -1 if one.reading.venue_time is None else to_nanoseconds(one.reading.venue_time)
            for one in rates
        ]
        stamp = np.array(stamps, dtype=np.int64)
        nothing = np.full(len(rates), np.nan)
        verdicts = core.take_ticks(
            Ticks(
                row=np.array(
                    [core.market.rate_row(self.venue, one.asset) for one in rates], dtype=np.int64
                ),
                price=np.array([float(one.usd_rate) for one in rates], dtype=np.float64),
                iv=nothing,
                forward=nothing,
                stamp_ns=stamp,
                ahead_ns=np.where(stamp < 0, 0, stamp - wall_ns),
                received_ns=now.monotonic_ns,
            )
        )
        for verdict, n in zip(*np.unique(verdicts, return_counts=True), strict=True):
            self._context.metrics.count_price(self.venue, Verdict(int(verdict)).reason, int(n))
        self._context.wake()

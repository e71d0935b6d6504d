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
from engine.intraday import AccountOwner, CollateralReport, PositionReport, VenueReport
from engine.ports import AccountFeed, FeedEvent, Mark, MarketFeed
from engine.times import to_nanoseconds
from infra.connections import AccountConnection
from infra.intraday.clock import ClockOffset, LoopClock
from infra.intraday.core import LoopCore
from infra.intraday.metrics import LoopMetrics
from infra.intraday.reports import Incoming, Report
from infra.intraday.trusting import State
from infra.venues.following import FollowedAccount, follow_account

RETRY_SECONDS: Final = 1.0
MARKET: Final = "market"
SECOND: Final = 1_000_000_000
_STATES: Final[Mapping[str, State]] = {
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
        self._say(_STATES[event.health], event.reason or event.health)

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


class AccountFollower:
    """Holdings of one account at one venue: what the venue says counts, as it stands."""

    def __init__(self, context: FeedContext, account: AccountConnection, feed: AccountFeed) -> None:
        self._context, self._account, self._feed = context, account, feed
        self._positions: dict[str, Decimal] = {}
        self._balances: dict[str, Decimal] = {}
        self._margins: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
        self._n = 0
        self.account_id = account.account_id
        self.is_healed = False

    async def run(self) -> None:
        """Follow the account until cancelled."""
        async for known in follow_account(self._feed, self._account.place):
            # Trusted again only when all of it is in the book.
            if known.health == "live":
                self._take(known)
            self._judge(known)
            self._context.wake()

    def give_up_waiting(self, since_ns: int) -> None:
        """Let decisions begin without this account's first snapshot."""
        if not self.is_healed:
            self.is_healed = True
            self._context.core.trust.distrust(
                "account", self.account_id, "down", since_ns, "no snapshot since the start", MARKET
            )

    def _judge(self, known: FollowedAccount) -> None:
        trust, now = self._context.core.trust, self._context.clock.now().monotonic_ns
        name = self._account.account_id
        if known.health == "live":
            self.is_healed = True
            trust.heal("account", name, now, MARKET)
        elif self.is_healed:
            state = _STATES[known.health]
            trust.distrust("account", name, state, now, known.reason[:300], MARKET)

    def _take(self, known: FollowedAccount) -> None:
        at = self._context.clock.now()
        now_ns = to_nanoseconds(at.wall)
        for instrument, held in known.positions.items():
            self._tell(self._positions, instrument, held.quantity, self._position)
        for instrument in sorted(self._positions.keys() - known.positions.keys()):
            self._tell(self._positions, instrument, Decimal(0), self._position)
        for asset, balance in known.balances.items():
            self._tell(self._balances, asset, balance.quantity, self._collateral)
        for bucket, margin in known.margins.items():
            told = (margin.initial_margin, margin.maintenance_margin, margin.equity)
            if self._margins.get(bucket) != told:
                report = VenueReport(
                    self._account.account_id, bucket, margin.currency,
                    float(margin.initial_margin), float(margin.maintenance_margin),
                    float(margin.equity), now_ns,
                )  # fmt: skip
                self._send(report)
                self._margins[bucket] = told

    def _tell(
        self,
        known: dict[str, Decimal],
        name: str,
        quantity: Decimal,
        make: Callable[[str, Decimal], Report],
    ) -> None:
        if known.get(name, Decimal(0)) != quantity or name not in known:
            # What the book has refused is not known there, and is told again.
            self._send(make(name, quantity))
            known[name] = quantity

    def _position(self, instrument: str, quantity: Decimal) -> Report:
        owner = AccountOwner(
            self._account.netting_set_id,
            self._account.client_id,
            self._account.place.partition("/")[0],
        )
        return PositionReport(
            self._account.account_id, instrument, float(quantity), ("venue",), owner=owner
        )

    def _collateral(self, asset: str, quantity: Decimal) -> Report:
        # What is owed to the venue is no collateral.
        return CollateralReport(
            self._account.netting_set_id, self._account.account_id, asset,
            max(float(quantity), 0.0), sources=("venue",),
        )  # fmt: skip

    def _send(self, report: Report) -> None:
        self._n += 1
        self._context.core.take_report(
            Incoming(
                source=self._account.place,
                message_id=f"{self._context.process}-{self._n}",
                report=report,
                received_at=self._context.clock.now().wall,
            )
        )


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

"""An account as it is known now: a stream's changes on top of snapshots, and whether to trust it.

Private channels of Deribit and Binance carry no number, so a lost frame cannot be seen in them.
A snapshot at an interval is compared with what the changes had added up to: a difference that a
second snapshot confirms is a gap; one that it does not was an old snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from engine.errors import VenueError
from engine.ports import (
    AccountFeed,
    AccountSnapshot,
    FeedEvent,
    FeedHealth,
    HeldBalance,
    HeldPosition,
    ReportedMargin,
    WorkingOrder,
)

_WAITING_EVENTS_MAX: Final = 1_000
_KEPT_FRAMES_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowLimits:
    """Seconds between audits of a live account, and between attempts to heal an uncertain one."""

    audit: float = 30.0
    retry: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedAccount:
    """What is known of an account.

    Attributes
    ----------
    health : FeedHealth
        Only ``live`` holdings are to be trusted as present ones; others are the last known.
    snapshot_at : datetime, optional
        When the snapshot underneath was complete; None before the first one.
    n_unreadable, n_gaps : int
        Frames that could not be read, and audits that found a difference, since the start.
    unreadable : tuple of str
        The last of those frames, as they came.
    """

    account_id: str
    health: FeedHealth = "connecting"
    reason: str = ""
    snapshot_at: datetime | None = None
    changed_at: datetime | None = None
    positions: Mapping[str, HeldPosition] = field(default_factory=dict)
    balances: Mapping[str, HeldBalance] = field(default_factory=dict)
    margins: Mapping[str, ReportedMargin] = field(default_factory=dict)
    orders: Mapping[str, WorkingOrder] = field(default_factory=dict)
    n_unreadable: int = 0
    n_gaps: int = 0
    unreadable: tuple[str, ...] = ()


async def follow_account(
    feed: AccountFeed, account_id: str, limits: FollowLimits | None = None
) -> AsyncIterator[FollowedAccount]:
    """Yield the account after every change of what is known; ends only when closed."""
    follower = _Follower(feed, account_id, limits or FollowLimits())
    pump = asyncio.create_task(follower.pump(), name=f"follow {account_id}")
    try:
        while True:
            for known in await follower.advance(pump):
                yield known
    finally:
        pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pump


class _Follower:
    def __init__(self, feed: AccountFeed, account_id: str, limits: FollowLimits) -> None:
        self._feed, self._limits = feed, limits
        self._known = FollowedAccount(account_id=account_id)
        self._events: asyncio.Queue[tuple[float, FeedEvent]] = asyncio.Queue(_WAITING_EVENTS_MAX)
        self._look_at = float("inf")
        self._looked_at = float("-inf")
        self._doubted: AccountSnapshot | None = None

    async def pump(self) -> None:
        async for event in self._feed.stream(self._known.account_id):
            await self._events.put((time.monotonic(), event))

    async def advance(self, pump: asyncio.Task[None]) -> list[FollowedAccount]:
        """Take one event, or look at the account where that is due; return what became known."""
        wait = max(self._look_at - time.monotonic(), 0.0)
        taking = asyncio.create_task(self._events.get())
        await asyncio.wait(
            {taking, pump}, timeout=min(wait, 3600.0), return_when=asyncio.FIRST_COMPLETED
        )
        if taking.done():
            return self._take(*taking.result())
        taking.cancel()
        if pump.done():
            pump.result()
            raise AssertionError(f"the stream of {self._known.account_id} ended by itself")
        return await self._look() if time.monotonic() >= self._look_at else []

    def _take(self, at: float, event: FeedEvent) -> list[FollowedAccount]:
        if event.health != "live":
            if event.raw:
                frames = (*self._known.unreadable, event.raw)[-_KEPT_FRAMES_MAX:]
                self._known = replace(
                    self._known, n_unreadable=self._known.n_unreadable + 1, unreadable=frames
                )
            self._doubted = None
            self._known = replace(self._known, health=event.health, reason=event.reason)
            # Uncertain is connected: a snapshot heals. Otherwise the stream comes back first.
            self._look_at = time.monotonic() if event.health == "uncertain" else float("inf")
            return [self._known]
        if at < self._looked_at:
            # Waited while the snapshot was read, and is part of it.
            return []
        if event.positions or event.balances or event.margins or event.orders:
            self._known = _changed(self._known, event)
            return [self._known]
        if event.reason:
            # The venue says that it acted on its own: look at once.
            self._look_at = time.monotonic()
        return []

    async def _look(self) -> list[FollowedAccount]:
        started = time.monotonic()
        try:
            found = await self._feed.snapshot(self._known.account_id)
        except VenueError as error:
            self._look_at = time.monotonic() + self._limits.retry
            self._known = replace(self._known, health="uncertain", reason=f"no snapshot: {error}")
            return [self._known]
        if not found.reading.is_complete:
            self._look_at = time.monotonic() + self._limits.retry
            self._known = replace(
                self._known, health="uncertain", reason="the snapshot is of several instants"
            )
            return [self._known]
        self._looked_at = started
        self._look_at = time.monotonic() + self._limits.audit
        waiting = self._drain()
        told = self._judge(found, waiting)
        for at, event in waiting:
            told.extend(self._take(at, event))
        return told

    def _judge(
        self, found: AccountSnapshot, waiting: list[tuple[float, FeedEvent]]
    ) -> list[FollowedAccount]:
        doubted, self._doubted = self._doubted, None
        is_compared = self._known.health == "live" or doubted is not None
        gap = self._gap(found, waiting) if is_compared else ""
        if gap and (doubted is None or _quantities(doubted) != _quantities(found)):
            # The stream may have lost a frame, or the snapshot be old: a second one decides.
            self._doubted = found
            self._look_at = time.monotonic() + self._limits.retry
            self._known = replace(self._known, health="uncertain", reason=gap)
            return [self._known]
        n_gaps = self._known.n_gaps + bool(gap)
        self._known = replace(_healed(self._known, found), n_gaps=n_gaps)
        return [self._known]

    def _drain(self) -> list[tuple[float, FeedEvent]]:
        waiting = []
        while not self._events.empty():
            waiting.append(self._events.get_nowait())
        return waiting

    def _gap(self, found: AccountSnapshot, waiting: list[tuple[float, FeedEvent]]) -> str:
        # What came while the snapshot was read explains a difference of its own positions.
        explained = {one.instrument_id for _, event in waiting for one in event.positions}
        now = _quantities(found)
        then = {name: one.quantity for name, one in self._known.positions.items() if one.quantity}
        differing = sorted(
            name for name in {*now, *then} - explained if now.get(name, 0) != then.get(name, 0)
        )
        if not differing:
            return ""
        name = differing[0]
        return (
            f"gap: {len(differing)} positions differ from the stream's, first {name}: "
            f"{then.get(name, 0)} became {now.get(name, 0)} unseen"
        )


def _quantities(found: AccountSnapshot) -> dict[str, Decimal]:
    return {one.instrument_id: one.quantity for one in found.positions if one.quantity}


def _changed(known: FollowedAccount, event: FeedEvent) -> FollowedAccount:
    return replace(
        known,
        changed_at=event.received_at,
        positions={**known.positions, **{one.instrument_id: one for one in event.positions}},
        balances={**known.balances, **{one.asset: one for one in event.balances}},
        margins={**known.margins, **{one.bucket: one for one in event.margins}},
        orders=_working({**known.orders, **{one.order_id: one for one in event.orders}}),
    )


def _working(orders: Mapping[str, WorkingOrder]) -> dict[str, WorkingOrder]:
    return {name: one for name, one in orders.items() if one.remaining_quantity > 0}


def _healed(known: FollowedAccount, found: AccountSnapshot) -> FollowedAccount:
    return replace(
        known,
        health="live",
        reason="",
        snapshot_at=found.reading.received_at,
        changed_at=found.reading.received_at,
        positions={one.instrument_id: one for one in found.positions},
        balances={one.asset: one for one in found.balances},
        margins={one.bucket: one for one in found.margins},
        # What the stream never said the end of is gone with this.
        orders=_working({one.order_id: one for one in found.orders}),
    )

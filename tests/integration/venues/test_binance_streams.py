"""Streams of Binance under faults: whatever happens is said, and healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from engine.ports import FeedEvent
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.trading import deleverage, liquidate
from tests.integration.venues.binance_town import hosted, transfer

MARKS = ["binance:BTCUSDT", "binance:ETHUSDT"]
WAIT_SECONDS = 6.0


async def until(
    events: AsyncIterator[FeedEvent], wanted: Callable[[FeedEvent], bool]
) -> list[FeedEvent]:
    seen: list[FeedEvent] = []
    async with asyncio.timeout(WAIT_SECONDS):
        async for event in events:
            seen.append(event)
            if wanted(event):
                break
    return seen


def is_data(event: FeedEvent) -> bool:
    return bool(event.marks or event.balances or event.positions)


def has_health(health: str) -> Callable[[FeedEvent], bool]:
    return lambda event: event.health == health


def test_marks_go_from_connecting_over_uncertain_to_data() -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.market.stream(MARKS)
            seen = await until(events, is_data)
            assert [event.health for event in seen] == ["connecting", "uncertain", "live"]
            await events.aclose()
            assert there.venue.streams.sessions == [] or await emptied(there.venue.streams)

    asyncio.run(run())


async def emptied(streams: object) -> bool:
    for _ in range(100):
        if getattr(streams, "sessions") == []:  # noqa: B009 - the attribute is the simulator's own
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("kind", "health"),
    [
        (FaultKind.STREAM_RESET, "down"),
        (FaultKind.FORCED_CLOSE, "down"),
        (FaultKind.TOO_SLOW, "down"),
        (FaultKind.ERROR_FRAME, "down"),
        (FaultKind.HALF_OPEN, "down"),
        (FaultKind.STALE, "stale"),
    ],
)
def test_a_mark_stream_says_that_it_failed_and_comes_back(kind: FaultKind, health: str) -> None:
    async def run() -> None:
        async with hosted(stale_seconds=1.0) as there:
            events = there.adapter.market.stream(MARKS)
            await until(events, is_data)
            number = there.inject(Fault(kind=kind, venue="binance", endpoint="stream"))
            seen = await until(events, has_health(health))
            assert seen[-1].reason
            there.town.plan.withdraw(number)
            healed = await until(events, is_data)
            assert "uncertain" in [event.health for event in healed]
            await events.aclose()

    asyncio.run(run())


def test_one_silent_contract_makes_the_feed_stale() -> None:
    """F29: heartbeats and other contracts do not hide it."""

    async def run() -> None:
        async with hosted(stale_seconds=0.4) as there:
            events = there.adapter.market.stream(MARKS)
            await until(events, is_data)
            there.inject(Fault(kind=FaultKind.STALE, venue="binance", channel="ethusdt@markPrice*"))
            seen = await until(events, has_health("stale"))
            assert any(is_data(event) for event in seen)
            await events.aclose()

    asyncio.run(run())


def test_repeated_and_late_marks_are_dropped() -> None:
    async def run() -> None:
        async with hosted() as there:
            for kind in (FaultKind.DUPLICATE, FaultKind.REORDER):
                there.inject(Fault(kind=kind, venue="binance", endpoint="stream", probability=0.4))
            events = there.adapter.market.stream(MARKS)
            stamps: dict[str, list[object]] = {}
            async with asyncio.timeout(WAIT_SECONDS):
                async for event in events:
                    for mark in event.marks:
                        stamps.setdefault(mark.instrument_id, []).append(mark.reading.venue_time)
                    if sum(map(len, stamps.values())) > 30:
                        break
            await events.aclose()
            assert there.town.plan.struck.total() > 5
            for series in stamps.values():
                assert series == sorted(set(series))

    asyncio.run(run())


def test_an_unreadable_frame_is_kept_and_makes_the_account_uncertain() -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, has_health("uncertain"))
            there.inject(
                Fault(
                    kind=FaultKind.UNREADABLE_FRAME,
                    venue="binance",
                    endpoint="stream",
                    account="alpha",
                    times=1,
                )
            )
            await there.adapter.transfers.submit(transfer())
            seen = await until(events, has_health("uncertain"))
            assert seen[-1].raw.startswith("{") and "unread" in seen[-1].reason
            await there.adapter.transfers.submit(transfer(key="e" * 32))
            assert (await until(events, is_data))[-1].balances
            await events.aclose()

    asyncio.run(run())


def test_account_changes_come_as_they_are_booked() -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, has_health("uncertain"))
            await there.adapter.transfers.submit(transfer())
            event = (await until(events, is_data))[-1]
            account = there.venue.book.account("alpha")
            assert [(one.asset, one.quantity) for one in event.balances] == [
                ("USDT", account.balance("USDT"))
            ]
            liquidate(there.venue.book, account, "ETHUSDT", Decimal(1))
            seen = await until(events, lambda one: any(p.quantity == 0 for p in one.positions))
            assert any(one.reason.startswith("NEW_INSURANCE") for one in seen)
            deleverage(there.venue.book, account, "BTCUSDT", Decimal("0.5"))
            seen = await until(events, is_data)
            assert any(one.reason.startswith("NEW_ADL") for one in seen)
            await events.aclose()

    asyncio.run(run())


def test_events_out_of_order_make_the_account_uncertain() -> None:
    """F28: a time that goes back means that the order of events is lost."""

    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, has_health("uncertain"))
            there.inject(
                Fault(
                    kind=FaultKind.REORDER,
                    venue="binance",
                    endpoint="stream",
                    account="alpha",
                    times=1,
                )
            )
            await there.adapter.transfers.submit(transfer())
            await asyncio.sleep(0.2)
            await there.adapter.transfers.submit(transfer(key="e" * 32))
            seen = await until(events, has_health("uncertain"))
            assert "after one of" in seen[-1].reason
            await until(events, has_health("connecting"))
            await events.aclose()

    asyncio.run(run())


def test_an_expired_listen_key_is_replaced() -> None:
    """F33."""

    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, has_health("uncertain"))
            (old,) = there.venue.identity.listen_keys
            there.inject(
                Fault(
                    kind=FaultKind.TOKEN_EXPIRED,
                    venue="binance",
                    endpoint="stream",
                    account="alpha",
                    times=1,
                )
            )
            seen = await until(events, has_health("down"))
            assert "expired" in seen[-1].reason
            await until(events, has_health("uncertain"))
            (new,) = there.venue.identity.listen_keys
            assert new != old
            await there.adapter.transfers.submit(transfer())
            assert (await until(events, is_data))[-1].balances
            await events.aclose()

    asyncio.run(run())


def test_a_margin_call_of_the_venue_is_passed_on() -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("beta")
            await until(events, has_health("uncertain"))
            book = there.venue.book
            account = book.account("beta")
            book.adjust(account, "USDT", Decimal(2000) - account.balance("USDT"), "deposit")
            seen = await until(events, lambda one: one.reason.startswith("MARGIN_CALL"))
            assert "BTCUSDT" in seen[-1].reason
            await events.aclose()

    asyncio.run(run())

"""Streams of OKX under faults: whatever happens is said, and healed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.trading import deleverage
from tests.integration.venues.okx_town import hosted, transfer
from tests.integration.venues.test_binance_streams import has_health, is_data, until

MARKS = ["okx:BTC-USDT-SWAP", "okx:ETH-USD-SWAP"]


@pytest.mark.parametrize(
    ("kind", "health"),
    [
        (FaultKind.STREAM_RESET, "down"),
        (FaultKind.FORCED_CLOSE, "down"),
        (FaultKind.ERROR_FRAME, "down"),
        (FaultKind.TOKEN_EXPIRED, "down"),
        (FaultKind.HALF_OPEN, "down"),
        (FaultKind.STALE, "stale"),
    ],
)
@pytest.mark.parametrize("is_private", [False, True])
def test_a_stream_says_that_it_failed_and_comes_back(
    kind: FaultKind, health: str, is_private: bool
) -> None:
    async def run() -> None:
        async with hosted(stale_seconds=1.0) as there:
            market, accounts = there.adapter.market, there.adapter.accounts
            events = accounts.stream("alpha") if is_private else market.stream(MARKS)
            first = await until(events, is_data)
            assert [event.health for event in first] == ["connecting", "uncertain", "live"]
            number = there.inject(Fault(kind=kind, venue="okx", endpoint="stream"))
            seen = await until(events, has_health(health))
            assert seen[-1].reason
            there.town.plan.withdraw(number)
            healed = await until(events, is_data)
            assert "uncertain" in [event.health for event in healed]
            await events.aclose()

    asyncio.run(run())


def test_one_silent_contract_makes_the_feed_stale() -> None:
    async def run() -> None:
        async with hosted(stale_seconds=0.4) as there:
            events = there.adapter.market.stream(MARKS)
            await until(events, is_data)
            there.inject(
                Fault(kind=FaultKind.STALE, venue="okx", channel="mark-price/ETH-USD-SWAP")
            )
            seen = await until(events, has_health("stale"))
            assert any(is_data(event) for event in seen)
            await events.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("kind", [FaultKind.UNREADABLE_FRAME, FaultKind.UNKNOWN_CHANNEL])
def test_a_frame_that_cannot_be_read_is_kept_and_makes_uncertain(kind: FaultKind) -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, is_data)
            there.inject(Fault(kind=kind, venue="okx", endpoint="stream", times=1))
            seen = await until(events, has_health("uncertain"))
            assert seen[-1].raw.startswith("{") and "unread" in seen[-1].reason
            await until(events, is_data)
            await events.aclose()

    asyncio.run(run())


def test_account_changes_come_with_margin_positions_and_the_venues_acts() -> None:
    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            account = there.venue.book.account("alpha")
            await until(events, lambda one: bool(one.margins))
            await there.adapter.transfers.submit(transfer())
            balance = account.balance("USDT")
            await until(events, lambda one: any(held.quantity == balance for held in one.balances))
            deleverage(there.venue.book, account, "ETH-USDT-SWAP", Decimal(1))
            seen = await until(events, lambda one: one.reason.startswith("adl"))
            assert "ETH-USDT-SWAP" in seen[-1].reason
            flat = await until(
                events, lambda one: all("ETH" not in p.instrument_id for p in one.positions)
                and bool(one.positions),
            )  # fmt: skip
            assert any(p.quantity == 0 for event in [*seen, *flat] for p in event.positions)
            await events.aclose()

    asyncio.run(run())


def test_changes_out_of_order_make_the_account_uncertain() -> None:
    """F28."""

    async def run() -> None:
        async with hosted() as there:
            events = there.adapter.accounts.stream("alpha")
            await until(events, is_data)
            there.inject(
                Fault(kind=FaultKind.REORDER, venue="okx", channel="balance_and_position", times=1)
            )
            # Both in one step of the town, so that their pushes follow each other.
            book = there.venue.book
            for quantity in (1, 2):
                book.adjust(book.account("alpha"), "USDT", Decimal(quantity), "funding")
            seen = await until(events, has_health("uncertain"))
            assert "after one of" in seen[-1].reason
            await events.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("skew", [90.0, -90.0])
def test_a_login_survives_a_clock_that_is_off(skew: float) -> None:
    async def run() -> None:
        async with hosted() as there:
            there.town.clock.set_skew(skew)
            events = there.adapter.accounts.stream("alpha")
            assert (await until(events, is_data))[-1].balances
            there.town.clock.set_skew(-skew)
            there.inject(Fault(kind=FaultKind.STREAM_RESET, venue="okx", times=1))
            await until(events, has_health("down"))
            await until(events, is_data)
            await events.aclose()

    asyncio.run(run())

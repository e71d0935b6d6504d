"""Accounts of Binance and OKX followed through faults: never trusted wrongly, always healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues.following import FollowedAccount, FollowLimits, follow_account
from tests.integration.venues import binance_town, okx_town

LIMITS = FollowLimits(audit=0.4, retry=0.1)
TOWNS: dict[str, tuple[Any, str]] = {
    "binance": (binance_town, "BTCUSDT"),
    "okx": (okx_town, "BTC-USDT-SWAP"),
}


async def until(
    known: AsyncIterator[FollowedAccount], wanted: Callable[[FollowedAccount], bool]
) -> list[FollowedAccount]:
    seen: list[FollowedAccount] = []
    async with asyncio.timeout(30):
        async for one in known:
            seen.append(one)
            if wanted(one):
                break
    return seen


@pytest.mark.parametrize("venue", sorted(TOWNS))
@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.STREAM_RESET,
        FaultKind.UNREADABLE_FRAME,
        FaultKind.GAP,
        FaultKind.HALF_OPEN,
        FaultKind.FORCED_CLOSE,
    ],
)
def test_an_account_heals_to_the_venues_own_book(venue: str, kind: FaultKind) -> None:
    module, symbol = TOWNS[venue]

    async def run() -> None:
        async with module.hosted(stale_seconds=1.0) as there:
            book = there.venue.book
            account = book.account("alpha")
            known = follow_account(there.adapter.accounts, "alpha", LIMITS)
            await until(known, lambda one: one.health == "live")
            number = there.inject(
                Fault(kind=kind, venue=venue, endpoint="stream", account="alpha", times=3)
            )
            for _ in range(6):
                mark = book.quote(symbol).mark_price
                book.fill(account, symbol, Decimal("-1"), mark)
                await asyncio.sleep(0.1)
            there.town.plan.withdraw(number)
            held = account.positions[symbol].quantity
            name = f"{venue}:{symbol}"
            seen = await until(
                known,
                lambda one: one.health == "live" and one.positions[name].quantity == held,
            )
            if kind is FaultKind.UNREADABLE_FRAME:
                assert seen[-1].n_unreadable >= 1 and seen[-1].unreadable
            last = (await until(known, lambda one: one.health == "live"))[-1]
            assert {k: p.quantity for k, p in last.positions.items() if p.quantity} == {
                f"{venue}:{one.symbol}": one.quantity for one in account.open_positions()
            }
            await known.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("venue", sorted(TOWNS))
def test_one_instrument_that_is_gone_silences_itself_alone(venue: str) -> None:
    """F40."""
    module, symbol = TOWNS[venue]

    async def run() -> None:
        async with module.hosted(stale_seconds=1.0) as there:
            wanted = [f"{venue}:{symbol}", f"{venue}:NO-SUCH-SWAP"]
            events = there.adapter.market.stream(wanted)
            healths: list[str] = []
            reasons: list[str] = []
            async with asyncio.timeout(30):
                async for event in events:
                    healths.append(event.health)
                    reasons.append(event.reason)
                    if healths.count("live") > 25:
                        break
            assert "stale" not in healths and "down" not in healths
            assert "not listed: NO-SUCH-SWAP" in reasons
            await events.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("venue", sorted(TOWNS))
def test_a_mark_of_zero_is_no_mark(venue: str) -> None:
    """F41."""
    module, symbol = TOWNS[venue]

    async def run() -> None:
        async with module.hosted() as there:
            events = there.adapter.market.stream([f"{venue}:{symbol}"])
            number = 0
            async with asyncio.timeout(30):
                async for event in events:
                    assert all(mark.mark_price > 0 for mark in event.marks)
                    if event.marks and not number:
                        number = there.inject(
                            Fault(kind=FaultKind.MARK_ZERO, venue=venue, channel=symbol)
                        )
                    elif number and event.health == "uncertain":
                        assert "not above 0" in event.reason and event.raw
                        break
            await events.aclose()

    asyncio.run(run())

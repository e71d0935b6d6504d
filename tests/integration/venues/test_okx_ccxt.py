"""The unmodified ccxt clients take the simulated OKX for the real one."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from tests.integration.venues.okx_town import credentials

BTC = "BTC/USDT:USDT"


def configuration(town: VenueTown, account: str) -> dict[str, Any]:
    told, rest = credentials(town)[account], town.address("okx")
    return {
        "apiKey": told["api_key"],
        "secret": told["api_secret"],
        "password": told["passphrase"],
        "enableRateLimit": False,
        "urls": {"api": {"rest": rest, "ws": rest.replace("http", "ws") + "/ws/v5"}},
    }


def town() -> VenueTown:
    return build_town(["okx"], TownParameters(seed=3, tick_seconds=0.05))


def test_async_client_reads_markets_positions_and_balances() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.okx(configuration(hosted, "alpha"))
            try:
                markets = await client.load_markets()
                positions = {one["symbol"]: one for one in await client.fetch_positions()}
                balance = await client.fetch_balance()
                ledger = await client.fetch_ledger()
                rate = await client.fetch_funding_rate(BTC)
                tiers = await client.fetch_market_leverage_tiers(BTC)
            finally:
                await client.close()
        assert markets[BTC]["linear"] and markets[BTC]["contractSize"] == 0.01
        assert markets["BTC/USD:BTC"]["inverse"]
        assert any(market["option"] for market in markets.values())
        assert positions[BTC]["side"] == "long" and positions[BTC]["contracts"] == 850
        assert positions["BTC/USD:BTC"]["side"] == "short"
        assert balance["USDT"]["total"] == 350_000 and balance["BTC"]["total"] == 4
        assert ledger and rate["fundingRate"] == 0.0001
        assert tiers[0]["maintenanceMarginRate"] == 0.004

    asyncio.run(run())


def test_async_client_moves_money_and_reduces() -> None:
    async def run() -> None:
        async with town() as hosted:
            book = hosted.venues["okx"].book
            main = ccxt.async_support.okx(configuration(hosted, "main"))
            alpha = ccxt.async_support.okx(configuration(hosted, "alpha"))
            try:
                inside = await main.transfer("USDT", 12.5, "funding", "trading")
                down = await main.transfer("USDT", 7.5, "master", "alpha", {"clientId": "once"})
                order = await alpha.create_order(
                    BTC, "market", "sell", 50, None, {"reduceOnly": True}
                )
                told = await alpha.fetch_order(order["id"], BTC)
            finally:
                await main.close()
                await alpha.close()
            assert inside["id"] and down["id"]
            assert float(book.account("main").balance("USDT")) == 200_012.5
            assert float(book.account("alpha").balance("USDT", "funding")) == 7.5
            assert told["status"] == "closed" and told["filled"] == 50
            assert float(book.account("alpha").positions["BTC-USDT-SWAP"].quantity) == 800

    asyncio.run(run())


def test_sync_client_reads_as_the_others_do() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.okx(configuration(hosted, "beta"))

            def read() -> tuple[int, float]:
                client.load_markets()
                return len(client.fetch_positions()), client.fetch_balance()["ETH"]["total"]

            n_positions, total = await asyncio.to_thread(read)
            assert n_positions == 3 and total == pytest.approx(40.0, rel=0.01)

    asyncio.run(run())


def test_pro_client_watches_marks_positions_and_balance() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.pro.okx(configuration(hosted, "alpha"))
            try:
                await client.load_markets()
                mark = await asyncio.wait_for(client.watch_mark_price(BTC), 30)
                ticker = await asyncio.wait_for(client.watch_ticker(BTC), 30)
                positions = await asyncio.wait_for(client.watch_positions(), 30)
                balance = await asyncio.wait_for(client.watch_balance(), 30)
            finally:
                await client.close()
        assert mark["markPrice"] > 0 and ticker["ask"] > ticker["bid"]
        assert {one["symbol"]: one["contracts"] for one in positions}[BTC] == 850
        assert balance["USDT"]["total"] > 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "wrong"}, "50113"),
        ({"apiKey": "unknown"}, "50111"),
        ({"password": "wrong"}, "50105"),
    ],
)
def test_wrong_credentials_are_refused(change: dict[str, str], code: str) -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.okx({**configuration(hosted, "alpha"), **change})
            try:
                with pytest.raises(ccxt.AuthenticationError, match=code):
                    await client.privateGetAccountBalance()
            finally:
                await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("skew", [60.0, -60.0])
def test_a_clock_that_is_off_is_refused_until_it_is_corrected(skew: float) -> None:
    async def run() -> None:
        async with town() as hosted:
            hosted.clock.set_skew(skew)
            client = ccxt.async_support.okx(configuration(hosted, "alpha"))
            try:
                with pytest.raises(ccxt.InvalidNonce, match="50102"):
                    await client.privateGetAccountBalance()
                await client.load_time_difference()
                assert (await client.privateGetAccountBalance())["data"]
            finally:
                await client.close()

    asyncio.run(run())


def test_too_many_requests_are_refused() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.okx(configuration(hosted, "alpha"))
            try:
                with pytest.raises(ccxt.RateLimitExceeded, match="50011"):
                    for _ in range(25):
                        await client.privateGetAccountPositions()
            finally:
                await client.close()

    asyncio.run(run())


def test_the_dead_mans_switch_cancels_what_is_open() -> None:
    async def run() -> None:
        async with town() as hosted:
            account = hosted.venues["okx"].book.account("alpha")
            client = ccxt.async_support.okx(configuration(hosted, "alpha"))
            try:
                await client.create_order(BTC, "limit", "buy", 1, 20_000)
                assert len(account.open_orders()) == 1
                await client.privatePostTradeCancelAllAfter({"timeOut": "1"})
                await asyncio.sleep(1.3)
            finally:
                await client.close()
            assert account.open_orders() == []

    asyncio.run(run())

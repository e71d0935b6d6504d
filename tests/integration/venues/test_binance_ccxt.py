"""The unmodified ccxt clients take the simulated Binance for the real one."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from tests.integration.venues.binance_town import credentials

BTC = "BTC/USDT:USDT"


def at_the_simulator(client: Any, town: VenueTown) -> Any:
    rest = town.address("binance")

    def moved(url: Any) -> Any:
        if isinstance(url, dict):
            return {name: moved(one) for name, one in url.items()}
        scheme, _, rest_of_it = url.partition("://")
        path = rest_of_it.partition("/")[2]
        return f"{rest.replace('http', 'ws') if scheme == 'wss' else rest}/{path}"

    client.urls["api"] = moved(client.urls["api"])
    return client


def configuration(town: VenueTown, account: str) -> dict[str, Any]:
    told = credentials(town)[account]
    return {"apiKey": told["api_key"], "secret": told["api_secret"], "enableRateLimit": False}


def town() -> VenueTown:
    return build_town(["binance"], TownParameters(seed=3, tick_seconds=0.05))


def test_async_client_reads_markets_positions_and_balances() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "alpha")), hosted
            )
            try:
                markets = await client.load_markets()
                positions = {one["symbol"]: one for one in await client.fetch_positions()}
                balance = await client.fetch_balance()
                ledger = await client.fetch_ledger("USDT")
                rate = await client.fetch_funding_rate(BTC)
            finally:
                await client.close()
        assert markets[BTC]["linear"] and markets[BTC]["contractSize"] == 1
        assert positions[BTC]["side"] == "long" and positions[BTC]["contracts"] == 10
        assert positions["ETH/USDT:USDT"]["side"] == "short"
        assert balance["USDT"]["total"] == 400_000 and ledger
        assert rate["fundingRate"] == 0.0001

    asyncio.run(run())


def test_async_client_moves_money_and_reduces() -> None:
    async def run() -> None:
        async with town() as hosted:
            book = hosted.venues["binance"].book
            main = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "main")), hosted
            )
            alpha = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "alpha")), hosted
            )
            try:
                moved = await main.transfer("USDT", 12.5, "spot", "linear")
                sent = await main.sapiPostSubAccountUniversalTransfer(
                    {
                        "toEmail": credentials(hosted)["alpha"]["email"],
                        "fromAccountType": "SPOT", "toAccountType": "USDT_FUTURE",
                        "asset": "USDT", "amount": "7.5", "clientTranId": "once",
                    }
                )  # fmt: skip
                order = await alpha.create_order(
                    BTC, "market", "sell", 2.5, None, {"reduceOnly": True}
                )
            finally:
                await main.close()
                await alpha.close()
            assert moved["id"] and sent["clientTranId"] == "once"
            assert float(book.account("main").balance("USDT")) == 250_012.5
            assert order["status"] == "closed" and order["filled"] == 2.5
            assert float(book.account("alpha").positions["BTCUSDT"].quantity) == 7.5

    asyncio.run(run())


def test_sync_client_reads_as_the_others_do() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(ccxt.binanceusdm(configuration(hosted, "alpha")), hosted)

            def read() -> tuple[int, float]:
                client.load_markets()
                return len(client.fetch_positions()), client.fetch_balance()["USDC"]["total"]

            assert await asyncio.to_thread(read) == (3, 50_000.0)

    asyncio.run(run())


def test_pro_client_watches_marks_positions_and_balance() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(ccxt.pro.binanceusdm(configuration(hosted, "alpha")), hosted)
            try:
                await client.load_markets()
                mark = await client.watch_mark_price(BTC)
                watching = asyncio.create_task(client.watch_positions())
                balance = asyncio.create_task(client.watch_balance())
                await asyncio.sleep(0.5)
                await client.create_order(BTC, "market", "sell", 1, None, {"reduceOnly": True})
                positions = {one["symbol"]: one for one in await asyncio.wait_for(watching, 30)}
                told = await asyncio.wait_for(balance, 30)
            finally:
                await client.close()
        assert mark["markPrice"] > 0
        assert positions[BTC]["contracts"] in (9, 10)
        assert told["USDT"]["total"] > 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "wrong"}, "-1022"),
        ({"apiKey": "unknown"}, "-2015"),
        ({"apiKey": ""}, ""),
    ],
)
def test_wrong_credentials_are_refused(change: dict[str, str], code: str) -> None:
    async def run() -> None:
        async with town() as hosted:
            settings = {**configuration(hosted, "alpha"), **change}
            client = at_the_simulator(ccxt.async_support.binanceusdm(settings), hosted)
            try:
                with pytest.raises(ccxt.AuthenticationError) as caught:
                    await client.fapiPrivateV3GetAccount()
            finally:
                await client.close()
            assert code in str(caught.value)

    asyncio.run(run())


@pytest.mark.parametrize("skew", [30.0, -30.0])
def test_a_clock_that_is_off_is_refused_until_it_is_corrected(skew: float) -> None:
    async def run() -> None:
        async with town() as hosted:
            hosted.clock.set_skew(skew)
            client = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "alpha")), hosted
            )
            try:
                with pytest.raises(ccxt.InvalidNonce, match="-1021"):
                    await client.fapiPrivateV3GetAccount()
                await client.load_time_difference()
                assert (await client.fapiPrivateV3GetAccount())["assets"]
            finally:
                await client.close()

    asyncio.run(run())


def test_a_repeated_transfer_key_is_refused_with_its_code() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "main")), hosted
            )
            wanted = {
                "toEmail": credentials(hosted)["beta"]["email"], "fromAccountType": "SPOT",
                "toAccountType": "USDT_FUTURE", "asset": "USDT", "amount": "1",
                "clientTranId": "twice",
            }  # fmt: skip
            try:
                await client.sapiPostSubAccountUniversalTransfer(wanted)
                with pytest.raises(ccxt.ExchangeError, match="-4115"):
                    await client.sapiPostSubAccountUniversalTransfer(wanted)
            finally:
                await client.close()
            assert hosted.venues["binance"].book.times_executed("twice") == 1

    asyncio.run(run())


def test_weights_are_counted_and_refused_above_the_limit() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "alpha")), hosted
            )
            try:
                await client.fapiPublicGetTime()
                assert client.last_response_headers["X-MBX-USED-WEIGHT-1M"] == "1"
                with pytest.raises(ccxt.DDoSProtection, match="-1003"):
                    # A minute may turn in between, hence twice the limit.
                    for _ in range(2 * 2400 // 40 + 1):
                        await client.fapiPublicGetTicker24hr()
            finally:
                await client.close()

    asyncio.run(run())


def test_unmodified_ccxt_calls_a_ban_what_it_is() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = at_the_simulator(
                ccxt.async_support.binanceusdm(configuration(hosted, "alpha")), hosted
            )
            hosted.plan.inject(
                Fault(kind=FaultKind.BANNED, venue="binance", endpoint="/fapi/v1/time")
            )
            try:
                with pytest.raises(ccxt.DDoSProtection):
                    await client.fapiPublicGetTime()
            finally:
                await client.close()

    asyncio.run(run())

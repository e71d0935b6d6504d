"""The unmodified ccxt clients take the simulated Deribit for the real one."""

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

BTC = "BTC/USD:BTC"


def configuration(town: VenueTown, n_credential: int) -> dict[str, Any]:
    told: Any = town.describe()["deribit"]
    credential = told["credentials"][n_credential]
    rest = told["address"]
    return {
        "apiKey": credential["client_id"],
        "secret": credential["client_secret"],
        "urls": {"api": {"rest": rest, "ws": rest.replace("http", "ws") + "/ws/api/v2"}},
    }


def town() -> VenueTown:
    return build_town(["deribit"], TownParameters(seed=3, speed=0.0, tick_seconds=0.05))


def test_async_client_reads_markets_positions_and_balances() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.deribit(configuration(hosted, 1))
            try:
                markets = await client.load_markets()
                positions = {p["symbol"]: p for p in await client.fetch_positions()}
                balance = await client.fetch_balance()
            finally:
                await client.close()
        assert markets[BTC]["inverse"] and markets[BTC]["contractSize"] == 10
        assert positions[BTC]["side"] == "long" and positions[BTC]["contracts"] == 120_000
        assert positions["ETH/USD:ETH"]["side"] == "short"
        assert balance["BTC"]["total"] == 12.0

    asyncio.run(run())


def test_pro_client_transfers_and_watches() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.pro.deribit(configuration(hosted, 0))
            try:
                done = await client.transfer("BTC", 0.5, "1001", "1002")
                ticker = await client.watch_ticker(BTC)
                watched = await client.watch_balance()
            finally:
                await client.close()
            book = hosted.venues["deribit"].book
            assert done["status"] == "ok"
            assert float(book.accounts["1002"].balance("BTC")) == 12.5
        assert ticker["markPrice"] > 0
        assert watched["BTC"]["BTC"]["total"] == 49.5  # ccxt nests it once more

    asyncio.run(run())


def test_sync_client_reads_as_the_others_do() -> None:
    async def run() -> None:
        async with town() as hosted:
            settings = configuration(hosted, 1)

            def read() -> tuple[int, float]:
                client = ccxt.deribit(settings)
                client.load_markets()
                return len(client.fetch_positions()), client.fetch_balance()["BTC"]["total"]

            assert await asyncio.to_thread(read) == (3, 12.0)

    asyncio.run(run())


def test_a_wrong_secret_is_refused() -> None:
    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.deribit({**configuration(hosted, 1), "secret": "wrong"})
            try:
                with pytest.raises(ccxt.AuthenticationError):
                    await client.fetch_balance()
            finally:
                await client.close()

    asyncio.run(run())


def test_the_trap_is_real_an_unhardened_client_sends_a_get_transfer_twice() -> None:
    """Why writes do not go through ccxt: aiohttp replays a GET whose connection drops."""

    async def run() -> None:
        async with town() as hosted:
            client = ccxt.async_support.deribit(configuration(hosted, 0))
            try:
                await client.load_markets()
                hosted.plan.inject(
                    Fault(
                        kind=FaultKind.RESET_AFTER,
                        endpoint="private/submit_transfer_to_subaccount",
                        times=1,
                    )
                )
                await client.transfer("BTC", 0.5, "1001", "1002")
            finally:
                await client.close()
            book = hosted.venues["deribit"].book
            assert [done.kind for done in book.executed] == ["transfer", "transfer"]

    asyncio.run(run())

"""A town as a process and its admin endpoint."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from decimal import Decimal
from typing import Any, cast

import aiohttp
import pytest

from engine.ports import TransferOrder
from infra.simulator.venues.binance.wallet import SPOT
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import VENUES, build_town
from infra.venues.deribit import Deribit, DeribitConfiguration
from tests.integration.venues.deribit_town import (
    MAIN,
    MARGIN_A,
    PERPETUAL,
    credential,
    hosts,
    scene,
)


class Admin:
    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self._address + path, json=body, headers=headers) as response,
        ):
            return response.status, await response.json()


def test_the_admin_endpoint_moves_the_market_and_tells_what_was_executed() -> None:
    async def run() -> None:
        async with scene(admin_token="secret", speed=0.0) as s:
            admin = Admin(s.town.address("admin"), "secret")
            await admin.ask("POST", "/price", {"asset": "BTC", "price": "50000"})
            _, state = await admin.ask("GET", "/state")
            assert state["prices"]["BTC"] == "50000"
            await admin.ask("POST", "/move", {"asset": "BTC", "fraction": -0.2, "over_seconds": 10})
            await admin.ask("POST", "/step", {"seconds": 11})
            _, state = await admin.ask("GET", "/state")
            assert float(state["prices"]["BTC"]) == pytest.approx(40_000, rel=1e-2)
            act = {
                "venue": "deribit", "account": "1002", "act": "liquidate",
                "symbol": "BTC-PERPETUAL", "share": "0.5",
            }  # fmt: skip
            assert await admin.ask("POST", "/act", act) == (200, {"closed": "-6000"})
            held = await s.adapter.accounts.snapshot(MARGIN_A)
            assert {p.instrument_id: p.quantity for p in held.positions}[PERPETUAL] == 6000
            status, injected = await admin.ask("POST", "/faults", {"kind": "gap", "times": 1})
            assert status == 200 and injected["number"] == 1
            _, faults = await admin.ask("GET", "/faults")
            assert faults["in_force"][0]["kind"] == "gap"
            assert (await admin.ask("DELETE", "/faults/1"))[0] == 200
            _, done = await admin.ask("GET", "/executed?key=none")
            assert done == {"executed": []}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "no such"}), ("/faults", {"kind": "gap", "colour": 1}),
        ("/step", {"seconds": -1}), ("/price", {"asset": "NONE", "price": 1}), ("/act", {}),
    ],
)  # fmt: skip
def test_a_wrong_order_to_the_admin_endpoint_is_refused(path: str, body: Any) -> None:
    async def run() -> None:
        async with scene(admin_token="secret") as s:
            admin = Admin(s.town.address("admin"), "secret")
            status, answer = await admin.ask("POST", path, body)
            assert status == 400 and answer["error"]

    asyncio.run(run())


def test_the_admin_endpoint_needs_its_token() -> None:
    async def run() -> None:
        async with scene(admin_token="secret") as s:
            status, _ = await Admin(s.town.address("admin"), "wrong").ask("GET", "/state")
            assert status == 401

    asyncio.run(run())


def test_an_unknown_venue_is_named() -> None:
    with pytest.raises(ValueError, match="no simulated venue 'nasdaq'"):
        build_town(["nasdaq"])


def test_the_same_seed_gives_the_same_prices_and_keys() -> None:
    async def told(seed: int) -> tuple[object, object]:
        town = build_town(["deribit"], TownParameters(seed=seed, speed=0.0, tick_seconds=0.0))
        async with town:
            await town.step(3600.0)
            keys = town.venues["deribit"].describe()["credentials"]
            return town.market.usd_price("BTC"), keys

    async def run() -> None:
        assert await told(5) == await told(5)
        assert await told(5) != await told(6)

    asyncio.run(run())


def test_a_market_that_breaks_down_is_no_quiet_market() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            async with scene() as s:

                async def broken() -> None:
                    raise ZeroDivisionError

                s.venue.tick = broken  # type: ignore[method-assign]
                await asyncio.sleep(0.2)

    asyncio.run(run())


def test_funding_moves_from_longs_to_shorts() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            before = s.balance(MARGIN_A, "BTC")
            await s.town.step(8 * 3600.0)
            line = s.venue.book.accounts["1002"].lines[-1]
            assert line.kind == "funding"
            assert s.balance(MARGIN_A, "BTC") < before

    asyncio.run(run())


def test_a_crash_liquidates_where_the_venue_does_so_by_itself() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0, is_liquidating=True) as s:
            held = s.venue.book.accounts["1002"].positions["BTC-PERPETUAL"]
            s.town.market.paths["BTC"].set_price(s.town.market.usd_price("BTC") / 10, 0.0)
            await s.town.tick()
            assert 0 < held.quantity < 12_000

    asyncio.run(run())


def test_a_town_starts_as_a_process_and_stops_when_told() -> None:
    command = [sys.executable, "-m", "infra.simulator.venues", "--venues", *VENUES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert set(told) == {*VENUES, "admin"}
    assert all(one["address"].startswith("http://127.0.0.1:") for one in told.values())


def test_what_leaves_one_venue_reaches_another_less_its_fee() -> None:
    """I-11 and conservation over two venues and the chain between them."""

    async def run() -> None:
        parameters = TownParameters(speed=0.0, tick_seconds=0.0, confirmation_seconds=10.0)
        async with build_town(["deribit", "binance"], parameters) as town:
            deribit, binance = cast(Any, town.venues["deribit"]), cast(Any, town.venues["binance"])
            target = next(iter(binance.book.accounts.values()))
            address = binance.rails.deposit_address(target, "ETH", wallet=SPOT).address
            configuration = DeribitConfiguration(
                hosts=hosts(town), credential=credential(town), main_account="1001"
            )
            held = target.balance("USDC", SPOT)
            async with Deribit(configuration) as adapter:
                away = TransferOrder(
                    key="a" * 32, source=MAIN, destination=f"binance/{target.account_id}",
                    asset="USDC", quantity=Decimal(1000), address=address, network="ETH",
                )  # fmt: skip
                sent = await adapter.transfers.submit(away)
                source = deribit.book.accounts["1001"].balance("USDC")
                assert source == 2_000_000 - 1000
                (moving,) = town.chain.transfers.values()
                assert (moving.state, target.balance("USDC", SPOT)) == ("pending", held)
                await town.step(11.0)
                assert target.balance("USDC", SPOT) == held + 1000 - sent.fee
                await town.step(11.0)
                assert target.balance("USDC", SPOT) == held + 1000 - sent.fee
                found = await adapter.transfers.find(away)
                assert found is not None and found.status == "done"

    asyncio.run(run())

"""The ledger beside real sockets: opened once, booked line by line, and every difference found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from infra.connections import Connections, open_connections
from infra.db import Database, open_database
from infra.reconciling import look_at
from infra.settings import Settings
from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.core.trading import pay_funding
from infra.simulator.venues.streets import build_town
from tests.integration.connections.town_home import write_home

STILL = TownParameters(seed=3, tick_seconds=0.0, speed=0.0)


@asynccontextmanager
async def scene(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[VenueTown, Database, Connections]]:
    async with build_town(["deribit", "binance"], STILL) as town:
        for name, value in write_home(home, town).items():
            monkeypatch.setenv(name, value)
        settings = Settings(home=home)
        database = open_database(settings.database_address, actor="test")
        database.prepare()
        async with open_connections(settings) as connections:
            yield town, database, connections
        database.close()


def test_the_first_round_opens_every_place_and_the_second_agrees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            first = await look_at(database, connections)
            assert first.differences == ()
            assert first.n_items > 3
            held = town.venues["deribit"].book.accounts["1001"].balance("BTC")
            assert database.ledger.balance("location:deribit/1001", "BTC").amount == held
            second = await look_at(database, connections)
            assert second.differences == ()
            assert all(each.booked.n_booked == 0 for each in second.places)

    asyncio.run(act())


def test_funding_at_the_venue_is_booked_line_by_line_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            await look_at(database, connections)
            pay_funding(town.venues["binance"].book, Decimal(8))
            round_two = await look_at(database, connections)
            booked = {each.place: each.booked.n_booked for each in round_two.places}
            assert booked["binance/alpha"] >= 1
            assert round_two.differences == ()
            assert (await look_at(database, connections)).differences == ()
            database.ledger.verify()

    asyncio.run(act())


def test_money_that_vanishes_without_a_line_is_a_break_by_its_amount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            await look_at(database, connections)
            wallet = town.venues["deribit"].book.accounts["1001"]
            wallet.balances[TRADING, "BTC"] -= Decimal("0.25")
            found = await look_at(database, connections)
            (difference,) = found.breaks
            assert difference.item == ("deribit/1001", "BTC")
            assert difference.difference == Decimal("-0.25")

    asyncio.run(act())


def test_a_venue_that_does_not_answer_leaves_the_others_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            await look_at(database, connections)
            town.plan.inject(Fault(kind=FaultKind.BAD_GATEWAY, venue="deribit"))
            found = await look_at(database, connections)
            stale = {each.item[0] for each in found.breaks}
            assert stale == {"deribit/1001", "deribit/1002"}
            assert {each.kind for each in found.breaks} == {"stale_side"}
            failed = [each.place for each in found.places if each.failure]
            assert failed == ["deribit/1001", "deribit/1002"]

    asyncio.run(act())

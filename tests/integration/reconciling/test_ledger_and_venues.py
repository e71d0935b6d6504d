"""The ledger beside real sockets: opened once, booked line by line, and every difference found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from infra.connections import Connections, open_connections
from infra.db import Database, open_database
from infra.db.tables import PostingRow
from infra.reconciling import look_at
from infra.settings import Settings
from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.core.trading import claw_back, pay_funding
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


def postings(database: Database) -> list[tuple[object, ...]]:
    query = select(PostingRow.__table__).order_by(PostingRow.position)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_f45_i46_funding_that_is_restated_is_booked_beside_what_was_booked_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            await look_at(database, connections)
            book = town.venues["binance"].book
            pay_funding(book, Decimal(8))
            await look_at(database, connections)
            entries = postings(database)
            alpha = book.accounts["alpha"]
            paid = next(line for line in reversed(alpha.lines) if line.kind == "funding")
            # Taken back and paid anew at another rate: two more lines, nothing is rewritten.
            restated = (-paid.change, (paid.change / 2).quantize(Decimal("0.01")))
            for change in restated:
                book.adjust(alpha, paid.asset, change, "funding", details=paid.details)
            found = await look_at(database, connections)
            booked = {each.place: each.booked.n_booked for each in found.places}
            assert booked["binance/alpha"] == 2
            # The balance is explained line by line; that the rate is another one is for a person.
            assert {(one.scope, one.kind, one.item[0]) for one in found.differences} == {
                ("funding", "funding", "binance/alpha")
            }
            later = postings(database)
            assert len(later) == len(entries) + 2
            assert later[: len(entries)] == entries
            database.ledger.verify()

    asyncio.run(act())


def test_f50_i45_a_loss_that_the_venue_shares_out_is_booked_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        async with scene(tmp_path, monkeypatch) as (town, database, connections):
            await look_at(database, connections)
            before = database.ledger.balance("location:deribit/1001", "USDC").amount
            book = town.venues["deribit"].book
            claw_back(book, book.accounts["1001"], "USDC", Decimal("1250.25"))
            found = await look_at(database, connections)
            assert found.differences == ()
            after = database.ledger.balance("location:deribit/1001", "USDC").amount
            assert before - after == Decimal("1250.25")
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

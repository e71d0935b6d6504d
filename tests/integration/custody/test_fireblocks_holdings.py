"""A vault's history explains its balance to the last digit, line by line, each once."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import pytest

from engine.errors import BadPayload, VenueError
from engine.ports import VenueLedgerLine
from infra.custody.fireblocks import holdings
from infra.simulator.venues.core.faults import FaultKind
from tests.integration.custody.fireblocks_town import MARGIN, VAULT, Scene, scene


async def lived(s: Scene) -> None:
    """Transfers of every kind: to a venue, between vaults, a token, one refused, one dropped."""
    account = s.deribit_venue.book.accounts["1002"]
    address = s.deribit_venue.rails.deposit_address(account, "USDC").address
    s.venue.whitelist("Deribit USDC", "USDC", address)
    send = s.adapter.transfers.submit
    await send(s.order("1.5", "a" * 32))
    await send(s.order("3", "b" * 32, destination="fireblocks/1", address=""))
    await send(s.order("2500.25", "c" * 32, asset="USDC", network="ETH", address=address))
    await send(s.order("900", "d" * 32))
    await s.complete()
    await send(s.order("0.7", "e" * 32))
    await s.go(5)
    (dropped,) = [one for one in s.town.chain.transfers.values() if one.key == "e" * 32]
    s.town.chain.reorganise(dropped.tx_hash, is_dropped=True)
    await s.go()
    home = s.venue.deposit_address("0", "BTC")
    s.town.chain.send("outside/x", "BTC", Decimal("0.25"), home, network="BTC", key="in")
    await s.complete()


async def read(s: Scene, place: str, cursor: str = "") -> tuple[list[VenueLedgerLine], str]:
    page = await s.adapter.accounts.history(place, cursor)
    assert page.reading.is_complete and page.next_cursor == ""
    return list(page.lines), page.reading.watermark


def sums(lines: list[VenueLedgerLine]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for line in lines:
        found[line.asset] = found.get(line.asset, Decimal(0)) + line.change
    return {asset: change for asset, change in found.items() if change}


async def held(s: Scene, place: str) -> dict[str, Decimal]:
    snapshot = await s.adapter.accounts.snapshot(place)
    assert snapshot.reading.is_complete
    assert (snapshot.positions, snapshot.orders, snapshot.margins) == ((), (), ())
    return {one.asset: one.quantity for one in snapshot.balances}


def test_every_change_of_a_vault_has_its_line() -> None:
    async def run() -> None:
        async with scene() as s:
            before = {place: await held(s, place) for place in (VAULT, "fireblocks/1")}
            await lived(s)
            for place, first in before.items():
                lines, _ = await read(s, place)
                now = await held(s, place)
                changed = {a: now[a] - first[a] for a in now if now[a] != first[a]}
                assert sums(lines) == changed
            lines, _ = await read(s, VAULT)
            fees = [line for line in lines if line.kind == "network fee"]
            assert [(line.asset, line.change) for line in fees] == [("ETH", Decimal("-0.0009"))]
            assert len({line.line_id for line in lines}) == len(lines)
            assert {line.reference for line in lines} >= {"a" * 32, "b" * 32, "c" * 32, "e" * 32}

    asyncio.run(run())


def test_read_step_by_step_the_history_is_the_same_and_nothing_comes_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holdings, "_PAGE", 4)

    async def run() -> None:
        async with scene() as s:
            seen: list[VenueLedgerLine] = []
            cursor = ""
            work = asyncio.create_task(lived(s))
            while not work.done():
                page = await s.adapter.accounts.history(VAULT, cursor)
                if page.reading.is_complete:
                    seen, cursor = [*seen, *page.lines], page.reading.watermark
            await work
            lines, cursor = await read(s, VAULT, cursor)
            seen += lines
            whole, _ = await read(s, VAULT)
            assert max(Counter(line.line_id for line in seen).values()) == 1
            assert sums(seen) == sums(whole)
            assert (await read(s, VAULT, cursor))[0] == []

    asyncio.run(run())


def test_a_history_that_cannot_be_read_is_no_empty_one() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            await s.go(5)
            with pytest.raises(BadPayload, match="no cursor"):
                await s.adapter.accounts.history(VAULT, "yesterday")
            s.inject(FaultKind.BROKEN_BODY, "/v1/transactions", form="truncated")
            with pytest.raises(VenueError):
                await s.adapter.accounts.history(VAULT)
            with pytest.raises(VenueError):
                await s.adapter.accounts.snapshot(MARGIN)

    asyncio.run(run())

"""Open orders at venues are in the book as the venues have them, from frame to frame."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from infra.connections import Connections, open_connections
from infra.db import Database
from infra.intraday.base import Base
from infra.intraday.core import LoopCore
from infra.intraday.process import LoopOptions, LoopProcess
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.accounts import Order
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.core.trading import OrderRequest, cancel_all, match_all, place
from infra.simulator.venues.streets import build_town
from tests.integration.intraday.stage import Closes
from tests.worlds import small
from tests.worlds.loop import base

SYMBOLS = {"binance": "BTCUSDT", "deribit": "BTC-PERPETUAL", "okx": "BTC-USD-SWAP"}
PLACES = {"binance": "beta", "deribit": "1003", "okx": "beta"}
LOTS = {"binance": Decimal("0.5"), "deribit": Decimal(40), "okx": Decimal(50)}
GHOST = "ghost-1"
PATIENCE = 60.0


async def street_base(connections: Connections) -> Base:
    """Return a close of every perpetual and future, with an order and a position long gone."""
    tables, marks = [], []
    for adapter in connections.venues.values():
        listed = await adapter.catalog.instruments()
        wanted = listed[listed["kind"].isin(["perpetual", "future"])]
        tables.append(wanted)
        marks += await adapter.market.marks(list(wanted["instrument_id"]))
    table = pd.concat(tables, ignore_index=True).sort_values("instrument_id", ignore_index=True)
    found = small.marks(table).set_index("instrument_id")
    for mark in marks:
        found.loc[mark.instrument_id, "mark_price"] = float(mark.mark_price)
    made = base({"A": 5e7, "B": 1e7})
    held = small.positions(("A", "binance:BTCUSDT", 1.0), ("B", "binance:BTCUSDT", 1.0))
    gone = held[(held["source"] == "venue") & (held["netting_set_id"] == "A")].assign(
        account_id="A-okx", venue="okx", instrument_id="okx:ETH-USDT-SWAP", quantity=50_000.0
    )
    held = pd.concat([held, gone], ignore_index=True)
    held["settled_price"] = held["instrument_id"].map(found["mark_price"])
    orders = pd.DataFrame(
        [
            {
                "netting_set_id": "A", "client_id": "client-A", "account_id": "A-okx",
                "venue": "okx", "order_id": GHOST, "instrument_id": "okx:BTC-USDT-SWAP",
                "side": "buy", "remaining_quantity": 9_000.0, "limit_price": 1_000.0,
            }
        ]
    )  # fmt: skip
    snapshot = small.snapshot(instruments=table, marks=found.reset_index())
    return replace(made, snapshot=snapshot, positions=small.PositionSet(held, orders))


def orders_of(core: LoopCore) -> set[tuple[str, str, str, float]]:
    """Return account, instrument, side and what remains of every order in the book."""
    # Not by `inputs()`, which lays out every frame: this is asked again and again.
    return {
        (one.account_id, one.instrument_id, one.side, one.remaining_quantity)
        for orders in core.book._book.holdings.orders.values()
        for one in orders.values()
    }


def orders_at(town: VenueTown) -> set[tuple[str, str, str, float]]:
    """Return the same of every order that works at a venue."""
    return {
        (f"A-{venue}", f"{venue}:{one.symbol}", one.side, float(one.remaining))
        for venue, name in PLACES.items()
        for one in town.venues[venue].book.accounts[name].open_orders()
    }


def owed(core: LoopCore) -> float:
    """Return what netting set A owes, after holding it against a full assessment of the inputs."""
    rows = np.array([0], dtype=np.int64)
    figures = core.book.figures(rows)
    whole = assess(*core.book.inputs(), core.base.rules, core.base.last_fresh).requirements
    expected = whole.set_index("netting_set_id").loc["A"]
    assert figures.requirement[0] == expected["requirement"]
    assert figures.collateral_value[0] == expected["collateral_value"]
    return float(figures.requirement[0])


class Street:
    """A loop on the three venues, and what its clients do there."""

    def __init__(self, town: VenueTown, core: LoopCore, task: asyncio.Task[None]) -> None:
        self.town, self.core, self._task = town, core, task

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait in the loop's own thread: nobody else may look into a book that is at work."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._task.done():
                self._task.result()
            assert time.monotonic() < deadline, f"waited for {what}"
            await asyncio.sleep(0.1)

    async def in_book(self, what: str) -> float:
        def is_there() -> bool:
            # What a slow machine lets grow stale costs more, and rightly so: it heals by itself.
            return orders_of(self.core) == orders_at(self.town) and not self.core.trust.current()

        await self.until(is_there, what)
        return owed(self.core)

    def place(self, venue: str, side: str, share: str) -> Order:
        """Place an order far from the market, so that it rests."""
        book = self.town.venues[venue].book
        mark = book.quote(SYMBOLS[venue]).mark_price
        request = OrderRequest(
            symbol=SYMBOLS[venue], side=side, quantity=LOTS[venue] * 100,
            limit_price=(mark * Decimal(share)).quantize(Decimal(1)),
        )  # fmt: skip
        return place(book, book.accounts[PLACES[venue]], request)


async def live(street: Street) -> None:
    core, town = street.core, street.town
    # What the close knew and the venue does not is gone with the first snapshot.
    await street.in_book("an end of the ghost")
    held = core.book.inputs()[1].positions
    ghost = held[(held["account_id"] == "A-okx") & (held["instrument_id"] == "okx:ETH-USDT-SWAP")]
    assert ghost["quantity"].tolist() == [0.0] * len(ghost)
    for venue in SYMBOLS:
        book = town.venues[venue].book
        account = book.accounts[PLACES[venue]]
        sign = 1 if account.positions[SYMBOLS[venue]].quantity > 0 else -1
        more = street.place(venue, "buy" if sign > 0 else "sell", "0.5" if sign > 0 else "2")
        resting = await street.in_book(f"the order at {venue}")
        # Half of it finds somebody, once; the rest stands where it stood.
        fault = town.plan.inject(Fault(kind=FaultKind.PARTIAL_FILL, venue=venue))
        limit, more.limit_price = more.limit_price, None
        match_all(book)
        more.limit_price = limit
        town.plan.withdraw(fault)
        assert more.state == "open" and 0 < more.filled < more.quantity
        await street.in_book(f"the partial fill at {venue}")
        # Replaced: one is taken off, another one comes.
        cancel_all(book, account)
        street.place(venue, "sell" if sign > 0 else "buy", "2" if sign > 0 else "0.5")
        await street.in_book(f"the replacement at {venue}")
        cancel_all(book, account)
        without = await street.in_book(f"the cancel at {venue}")
        # The worse side counts while it rests.
        assert resting > without
    assert orders_of(core) == set()


@pytest.mark.slow
def test_orders_are_followed_from_placing_to_their_end_and_ghosts_are_removed_i45(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        parameters = TownParameters(seed=3, tick_seconds=0.05, speed=0.0)
        async with build_town(list(SYMBOLS), parameters) as town:
            owners = [
                TownAccount(
                    place=f"{venue}/{name}", account_id=f"A-{venue}", client_id="client-A",
                    netting_set_id="A",
                )
                for venue, name in PLACES.items()
            ]  # fmt: skip
            for name, value in connect_home(tmp_path, town.describe(), owners).items():
                monkeypatch.setenv(name, value)
            async with open_connections(Settings(home=tmp_path)) as connections:
                close = await street_base(connections)
                # The close is of another year: its own clock stands still.
                options = LoopOptions(
                    home=tmp_path, code_version="1.0", grace=10.0, board=0.5, advance=1e6
                )
                process = LoopProcess(sqlite_database, Closes([close]), connections, options)
                cores: list[LoopCore] = []
                process.on_decided = lambda core, *_: cores.append(core)
                task = asyncio.create_task(process.run())
                street = Street(town, None, task)  # type: ignore[arg-type]
                await street.until(lambda: cores, "the core")
                street.core = cores[0]
                await live(street)
                process.stop()
                await asyncio.wait({task}, timeout=PATIENCE)
                task.result()

    asyncio.run(play())

"""The loop over the real adapters and the simulated venues' own protocols."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from infra.connections import Connections, open_connections
from infra.db import Database
from infra.intraday.base import Base
from infra.intraday.process import LoopOptions, LoopProcess
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from tests.integration.intraday.stage import Closes, Relay, Stage
from tests.worlds import small
from tests.worlds.loop import base

VENUES = ["binance", "deribit", "okx"]
PLACE, ACCOUNT = "binance/alpha", "A-a"


async def town_base(connections: Connections) -> Base:
    """Return a close of Bitcoin perpetuals as the town's venues list and price them."""
    tables, marks = [], []
    for adapter in connections.venues.values():
        listed = await adapter.catalog.instruments()
        is_wanted = (listed["kind"] == "perpetual") & (listed["underlying"] == "BTC")
        tables.append(listed[is_wanted])
        marks += await adapter.market.marks(list(listed.loc[is_wanted, "instrument_id"]))
    table = pd.concat(tables, ignore_index=True).sort_values("instrument_id", ignore_index=True)
    found = small.marks(table).set_index("instrument_id")
    for mark in marks:
        found.loc[mark.instrument_id, "mark_price"] = float(mark.mark_price)
    made = base({"A": 1e7, "B": 1e7})
    held = next(name for name in table["instrument_id"] if name.startswith("binance:BTCUSDT"))
    positions = small.position_set(("A", held, 1.0), ("B", held, 1.0))
    prices = found["mark_price"]
    positions.positions["settled_price"] = positions.positions["instrument_id"].map(prices)
    snapshot = small.snapshot(instruments=table, marks=found.reset_index())
    return replace(made, snapshot=snapshot, positions=positions)


def test_a_venue_that_vanishes_is_degraded_and_healed_by_a_snapshot_i31_i39(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        parameters = TownParameters(seed=3, tick_seconds=0.05)
        async with build_town(VENUES, parameters) as town:
            owner = TownAccount(
                place=PLACE, account_id=ACCOUNT, client_id="client-A", netting_set_id="A"
            )
            for name, value in connect_home(tmp_path, town.describe(), [owner]).items():
                monkeypatch.setenv(name, value)
            async with open_connections(Settings(home=tmp_path)) as connections:
                close = await town_base(connections)
                options = LoopOptions(
                    home=tmp_path, code_version="1.0", grace=5.0, board=0.1, checkpoint=1.0
                )
                process = LoopProcess(sqlite_database, Closes([close]), connections, options)
                task = asyncio.create_task(process.run())
                stage = Stage(sqlite_database, Relay(), process, task, tmp_path)
                await stage.until(lambda: stage.status().get("is_deciding"), "decisions")
                for name in VENUES:
                    await stage.until(
                        lambda name=name: stage.health().get(("venue", name)) == "live", name
                    )
                await stage.until(lambda: stage.status()["changes"] > 20, "prices")
                # What the account holds at the venue is in the inbox, hence in the book.
                run = sqlite_database.runs.list(limit=1, kind="intraday")[0].run_id
                messages = await stage.until(
                    lambda: sqlite_database.intraday_journal.messages(run), "reports"
                )
                assert {one.source for one in messages} == {PLACE}
                number = town.plan.inject(Fault(kind=FaultKind.REFUSE, venue="okx"))
                cut = town.plan.inject(
                    Fault(kind=FaultKind.FORCED_CLOSE, venue="okx", duration_seconds=1.0)
                )
                await stage.until(
                    lambda: stage.health().get(("venue", "okx")) in ("down", "degraded"), "the loss"
                )
                assert stage.health()["venue", "deribit"] == "live"
                town.plan.withdraw(number)
                town.plan.withdraw(cut)
                await stage.until(lambda: stage.health().get(("venue", "okx")) == "live", "healing")
                process.stop()
                await asyncio.wait({task}, timeout=20.0)
                task.result()

    asyncio.run(play())
    names = [one.name for one in sqlite_database.intraday_events.after(0)]
    assert {"plimsoll.degraded", "plimsoll.restored"} <= set(names)

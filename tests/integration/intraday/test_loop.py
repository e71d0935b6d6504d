"""From a frame on a real socket to a durable call, on both engines."""

from __future__ import annotations

import asyncio
from pathlib import Path

from infra.db import Database
from tests.integration.intraday.stage import Relay, playing, quiet
from tests.worlds.loop import base

# Ten long Bitcoin at 60,000 need 134,425 dollars.
NEAR = 140_000.0


def test_a_tick_becomes_a_breach_and_a_durable_call(database: Database, tmp_path: Path) -> None:
    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet())
            async with playing(database, base({"A": NEAR, "B": 1e7}), tmp_path, relay) as stage:
                assert stage.called() == {}
                await relay.send(quiet(57_000.0))
                called = await stage.until(stage.called, "a call")
                assert list(called) == ["A"]
                assert called["A"].state == "issued"
                events = stage.database.intraday_events.after(0)
                assert [(one.resource, one.payload["level"]) for one in events] == [
                    ("plimsoll.netting-set.A", "warn"),
                    ("plimsoll.netting-set.A", "call"),
                ]
                rows = await stage.until(
                    lambda: stage.database.board.rows().query("level == 'call'").shape[0], "a row"
                )
                assert rows == 1
                assert stage.health()["system", "loop"] == "live"
        database.audit.verify()

    asyncio.run(play())

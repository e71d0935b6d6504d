"""Ten thousand breaches in one instant: all are called, in few transactions (I-21)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.db import Database
from tests.integration.intraday.stage import Relay, playing, quiet
from tests.worlds.loop import base

N = 10_000


@pytest.mark.slow
def test_ten_thousand_breaches_at_once_are_all_durable_i21(
    database: Database, tmp_path: Path
) -> None:
    close = base({"A": 140_000.0}, n_sets=N - 1)

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(database, close, tmp_path, relay, patience=180.0) as stage:
                await relay.send(quiet(57_000.0))
                await stage.until(lambda: len(stage.called()) == N, "the calls", 120.0)
                status = await stage.until(
                    lambda: stage.status() if stage.status()["waiting"] == 0 else None,
                    "the rest",
                    120.0,
                )
                # Group commit: far fewer transactions than calls.
                assert status["decisions"] < 100
                # One alert a breach is for others to group; here each is recorded once.
                found = stage.database.intraday_events.after(0, limit=10 * N)
                last = {one.resource for one in found if one.name == "plimsoll.breach"}
                assert len(last) == N

    asyncio.run(play())
    database.audit.verify()

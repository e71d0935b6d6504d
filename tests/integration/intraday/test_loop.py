"""From a frame on a real socket to a durable call, and what bad input does on the way."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from infra.connections import Connections
from infra.db import Database
from infra.intraday.process import LoopOptions, LoopProcess
from infra.intraday.recomputing import recompute
from infra.intraday.status import read_metrics
from tests.integration.intraday.stage import Closes, Relay, Stage, playing, quiet
from tests.worlds.loop import base

# Ten long Bitcoin at 60,000 need 134,425 dollars.
NEAR = 140_000.0


def test_a_tick_becomes_a_breach_and_a_durable_call(database: Database, tmp_path: Path) -> None:
    close = base({"A": NEAR, "B": 1e7})

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(database, close, tmp_path, relay) as stage:
                assert stage.called() == {}
                await relay.send(quiet(58_500.0))
                called = await stage.until(stage.called, "a call")
                assert list(called) == ["A"]
                assert called["A"].state == "issued"
                events = stage.database.intraday_events.after(0)
                assert [(one.resource, one.payload["level"]) for one in events] == [
                    ("plimsoll.netting-set.A", "warn"),
                    ("plimsoll.netting-set.A", "call"),
                ]
                await stage.until(
                    lambda: stage.database.board.rows().query("level == 'call'").shape[0] == 1,
                    "the board",
                )
                assert stage.health()["system", "loop"] == "live"
                await stage.until(
                    lambda: (
                        b"plimsoll_loop_frame_to_durable_seconds_count 1.0"
                        in read_metrics(tmp_path)
                    ),
                    "the metrics",
                )

    asyncio.run(play())
    database.audit.verify()
    run = database.runs.list(limit=1, kind="intraday")[0]
    for decision in database.intraday_journal.decisions(run.run_id):
        verdict = recompute(database, close, run.run_id, decision.number)
        assert verdict.is_sound, verdict.as_json()
        assert [one.verdict for one in verdict.calls] == ["equal"] * decision.n_calls


def test_a_second_process_stands_by_and_takes_over_from_a_dead_one_i43(
    sqlite_database: Database, tmp_path: Path
) -> None:
    close = base({"A": NEAR, "B": 1e7})

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, close, tmp_path / "one", relay) as first:
                options = LoopOptions(
                    home=tmp_path / "two", code_version="1.0", grace=1.0, board=0.1, lease=1.0,
                    relays=(relay.url,),
                )  # fmt: skip
                second = LoopProcess(sqlite_database, Closes([close]), Connections(), options)
                standby = asyncio.create_task(second.run())
                waiting = Stage(sqlite_database, relay, second, standby, tmp_path / "two")
                path = tmp_path / "two" / "intraday" / "standby.json"
                await waiting.until(path.exists, "the standby")
                await relay.send(quiet(58_500.0))
                await first.until(first.called, "a call")
                lead = sqlite_database.loop_leases.look("intraday")
                assert lead is not None
                assert lead.epoch == 1
                # Dead: no sign of life any more, and no word of farewell.
                first.task.cancel()
                await asyncio.wait({first.task})
                await waiting.until(lambda: waiting.status().get("is_deciding"), "the takeover")
                assert waiting.status()["epoch"] == 2
                assert len(waiting.called()) == 1
                second.stop()
                await standby

    asyncio.run(play())


BAD_FRAMES = (
    "this is no JSON",
    '{"s": "okx"}',
    "[]",
    '{"s": "okx", "t": NaN, "n": 5, "p": []}',
    '{"s": "okx", "t": 1, "n": 5, "p": [["okx:BTC-USDT-SWAP", "60000", null, null]]}',
)


def test_bad_frames_degrade_their_source_and_move_nothing_i25_i32_i39(
    sqlite_database: Database, tmp_path: Path
) -> None:
    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            close = base({"A": 1e7, "B": 1e7})
            async with playing(sqlite_database, close, tmp_path, relay) as stage:
                rows = await _rows(stage)
                for text in BAD_FRAMES:
                    await relay.raw(text)
                await _state(stage, "venue", "okx", "degraded")
                for bad in (0.0, -60_000.0, 1e300):
                    await relay.send({"okx:BTC-USDT-SWAP": bad}, full=True)
                await _state(stage, "venue", "okx", "live")
                await relay.send(quiet(), full=True)
                await _equal(stage, rows)
                # A frame is missing: uncertain until a whole one, and more is required meanwhile.
                relay.number["binance"] += 5
                await relay.send({"binance:BTCUSDT": 60_000.0})
                await _state(stage, "venue", "binance", "degraded")
                assert (await _rows(stage))["A"] > rows["A"]
                await relay.send(quiet(), full=True)
                await _state(stage, "venue", "binance", "live")
                await _equal(stage, rows)
                # One venue spikes again and again: its mark moves by the band, nobody is called.
                for _ in range(10):
                    await relay.send({"binance:BTCUSDT": 6_000.0})
                await asyncio.sleep(0.2)
                assert stage.called() == {}
                await relay.cut()
                await _state(stage, "venue", "deribit", "down")
                await _state(stage, "venue", "deribit", "live")
                text = (tmp_path / "intraday" / "metrics.prom").read_text()
                assert 'verdict="outside the domain of the product"' in text

    asyncio.run(play())


def test_a_database_that_does_not_answer_is_seen_and_loses_nothing_i44(
    sqlite_database: Database, tmp_path: Path
) -> None:
    sqlite_database.wait_seconds = 0.1

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            close = base({"A": NEAR, "B": 1e7})
            async with playing(sqlite_database, close, tmp_path, relay) as stage:
                blocker = sqlite3.connect(sqlite_database.file, isolation_level=None)
                blocker.execute("BEGIN IMMEDIATE")
                began = time.monotonic()
                await relay.send(quiet(58_500.0))
                await stage.until(lambda: _own(stage, "database") == "down", "the state")
                assert time.monotonic() - began < 5.0
                found = next(row for row in stage.status()["health"] if row["name"] == "database")
                assert "decisions go on" in found["next_action"]
                before = stage.status()["changes"]
                await relay.send(quiet(58_400.0))
                await stage.until(lambda: stage.status()["changes"] > before, "decisions")
                blocker.execute("ROLLBACK")
                await stage.until(stage.called, "the call")
                await stage.until(lambda: _own(stage, "database") != "down", "the healing")

    asyncio.run(play())


def test_a_later_close_is_built_upon_at_once(sqlite_database: Database, tmp_path: Path) -> None:
    from dataclasses import replace

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            close = base({"A": NEAR, "B": 1e7})
            async with playing(sqlite_database, close, tmp_path, relay) as stage:
                later = replace(close, close_id="eod-2026-03-10-2")
                stage.closes.found.append(later)
                await stage.until(lambda: stage.status().get("close") == later.close_id, "it")
                runs = sqlite_database.runs.list(limit=5, kind="intraday")
                assert sorted(run.status for run in runs) == ["completed", "running"]
                await stage.until(lambda: stage.status()["is_deciding"], "decisions")
                await relay.send(quiet(58_500.0))
                await stage.until(stage.called, "a call")

    asyncio.run(play())


def test_the_loop_imports_neither_prefect_nor_dask() -> None:
    program = (
        "import sys, tasks.intraday, infra.intraday.session, infra.intraday.recomputing\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} "
        "& {'prefect', 'dask', 'distributed'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def _rows(stage: Stage) -> dict[str, Any]:
    # Twice the interval of publication: what was decided is on the board.
    await asyncio.sleep(0.3)
    shown = await asyncio.to_thread(stage.database.board.rows)
    return dict(zip(shown["netting_set_id"], shown["requirement"], strict=True))


async def _equal(stage: Stage, rows: dict[str, Any]) -> None:
    def found() -> bool:
        shown = stage.database.board.rows()
        return dict(zip(shown["netting_set_id"], shown["requirement"], strict=True)) == rows

    await stage.until(found, "the figures from before")


async def _state(stage: Stage, scope: str, name: str, state: str) -> None:
    began = time.monotonic()
    await stage.until(lambda: stage.health().get((scope, name)) == state, f"{name} {state}")
    # Loopback, and a publication each tenth of a second: five seconds are for a loaded machine.
    assert time.monotonic() - began < 5.0
    if state != "live":
        shown = stage.database.board.health()
        assert (shown.loc[shown["name"] == name, "next_action"] != "").all()


def _own(stage: Stage, name: str) -> str:
    rows = stage.status().get("health", [])
    return next((str(row["state"]) for row in rows if row["name"] == name), "live")

"""A loop that was killed decides again within five seconds, with the state that it had."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infra.clock import utc_now
from infra.db import Database
from infra.intraday.restarting import restart
from infra.intraday.status import read_status
from infra.intraday.warming import small_base, warm_up
from tests.integration.intraday.stage import Relay, quiet
from tests.integration.intraday.test_killed_loop import NEAR, ended, is_deciding, start, until
from tests.worlds.loop import base

RESTART_SECONDS_MAX = 5.0
COMPILED = """
import gc, sys
from infra.intraday.warming import warm_up
warm_up()
from numba.core.dispatcher import Dispatcher
from tests.worlds import live
from tests.worlds.loop import bitcoin, core, instant, ticks
loop = core()
for second, price in enumerate((60_000.0, 57_000.0, 70_000.0)):
    loop.take_ticks(ticks(loop, bitcoin(price), float(second)))
    loop.decide(instant(float(second)))
loop.book.save()
book, _ = live.opened()
book.apply_marks(live.ticked(book, {"binance:BTCUSDT": 58_000.0}))
book.figures()
live.opened_with_accounts()[0].figures()
found = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
print(sorted(one.__name__ for one in found if one.stats.cache_misses))
"""


def test_what_makes_a_loop_ready_is_a_market_that_is_margined() -> None:
    close = small_base()
    assert warm_up() >= 0.0
    assert warm_up() < 1.0
    assert set(close.positions.positions["netting_set_id"]) == set(close.rules.agreements)


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_a_killed_loop_decides_again_within_five_seconds_where_code_was_made_ready_i38(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cache of its own, as in a fresh clone or image: compiled once, then only read."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    command = [sys.executable, "-c", "from infra.intraday.warming import warm_up; warm_up()"]
    began = time.monotonic()
    subprocess.run(command, check=True)
    cold = time.monotonic() - began
    again = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert again.stdout.strip() == "[]", again.stderr
    close, home = base({"A": NEAR, "B": 1e7}), tmp_path / "home"

    async def play() -> float:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            first = start(sqlite_database, home, relay)
            await until(lambda: is_deciding(home), "decisions", 300.0)
            await relay.send(quiet(58_500.0), full=True)
            await until(sqlite_database.intraday_journal.open_calls, "the call")
            await asyncio.sleep(1.0)
            first.kill()
            assert await ended(first) == -signal.SIGKILL
            run = sqlite_database.runs.list(limit=1, kind="intraday")[0].run_id
            point = sqlite_database.intraday_journal.checkpoint(run)
            assert point is not None
            taken = restart(sqlite_database, close, run)
            assert taken.core.book.state_hash() == point.state_hash
            began = time.monotonic()
            second = start(sqlite_database, home, relay)
            await until(lambda: _epoch(home) > 1 and is_deciding(home), "decisions again", 300.0)
            seconds = time.monotonic() - began
            spent = psutil.Process(second.pid).cpu_times()
            print(f"restart: {spent.user + spent.system:.1f} s of a core")
            second.send_signal(signal.SIGTERM)
            assert await ended(second) == 0
            return seconds

    seconds = asyncio.run(play())
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"compiling {cold:.1f} s, restart {seconds:.1f} s, load {load:.1f} per core")
    assert seconds <= RESTART_SECONDS_MAX


def _epoch(home: Path) -> int:
    found = read_status(home, utc_now())
    return 0 if found is None else int(found.content.get("epoch", 0))

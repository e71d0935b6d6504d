"""Kill −9 anywhere: what was acknowledged is there, once, and the next loop decides at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.clock import utc_now
from infra.crashpoints import VARIABLE
from infra.db import Database, open_database
from infra.intraday.status import read_status
from tests.integration.intraday.life import Life
from tests.integration.intraday.stage import Relay, quiet
from tests.processes import until_killed

NEAR = 140_000.0
POINTS = ("loop:commit:start", "loop:commit:before-commit", "loop:commit:after-commit")


def start(database: Database, home: Path, relay: Relay, point: str = "") -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if point:
        environment[VARIABLE] = point
    address = database.url.render_as_string(hide_password=False)
    arguments = (address, str(home), relay.url, str(NEAR), "0")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.intraday.victim", *arguments], env=environment
    )


async def ended(victim: subprocess.Popen[bytes], seconds: float = 30.0) -> int:
    return await asyncio.to_thread(victim.wait, seconds)


async def until(condition, what: str, seconds: float = 30.0) -> float:
    began = time.monotonic()
    while not await asyncio.to_thread(condition):
        assert time.monotonic() - began < seconds, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def is_deciding(home: Path) -> bool:
    found = read_status(home, utc_now())
    return found is not None and found.is_alive and bool(found.content.get("is_deciding"))


async def lives(database: Database, folder: Path, points: tuple[str, ...]) -> None:
    """Kill a loop at each point, then let one live; whatever was durable is there once."""
    async with Relay() as relay:
        await relay.send(quiet(), full=True)
        for number, point in enumerate(points):
            home = folder / str(number)
            victim = start(database, home, relay, point)
            # The first sign of something durable is the price that brings a breach.
            if point.startswith("loop"):
                await relay.send(quiet(58_500.0 - 100 * number), full=True)
                assert await ended(victim) == -signal.SIGKILL
            else:
                await until(lambda home=home: is_deciding(home), "decisions")
                await relay.send(quiet(58_500.0 - 100 * number), full=True)
                await asyncio.sleep(float(point))
                victim.kill()
                await ended(victim)
            before = database.intraday_journal.open_calls()
            database.audit.verify()
            for name, call in before.items():
                assert database.calls.history(call.call_id)["state"].tolist()[0] == "computed", name
        home = folder / "last"
        last = start(database, home, relay)
        try:
            await until(lambda: is_deciding(home), "decisions")
            await until(database.intraday_journal.open_calls, "the call")
            found = database.intraday_journal.open_calls()
            assert list(found) == ["A"]
            if before:
                assert found["A"].amount >= before["A"].amount
        finally:
            last.send_signal(signal.SIGTERM)
            assert await ended(last) == 0
    database.audit.verify()
    events = [one.event_id for one in database.intraday_events.after(0)]
    assert len(events) == len(set(events))


def doomed(report: Callable[[object], None], address: str, point: str) -> None:
    """Bring a breach and die at a point of its commit; says first whether it would be durable."""
    life = Life(open_database(address))
    os.environ[VARIABLE] = point
    life.tick(58_500.0, 1)
    report("alive")


@pytest.mark.parametrize(
    ("point", "n_calls"), [("loop:commit:before-commit", 0), ("loop:commit:after-commit", 1)]
)
def test_a_loop_killed_at_its_commit_leaves_all_or_nothing_i40_i44(
    sqlite_database: Database, point: str, n_calls: int
) -> None:
    address = sqlite_database.url.render_as_string(hide_password=False)
    seen, code = until_killed(doomed, address, point)
    assert (seen, code) == ([], -signal.SIGKILL)
    assert len(sqlite_database.calls.open_calls()) == n_calls
    assert len(sqlite_database.intraday_events.after(0)) == n_calls
    life = Life(sqlite_database, "next")
    life.tick(58_500.0, 2)
    assert sqlite_database.calls.open_calls()["netting_set_id"].tolist() == ["A"]
    sqlite_database.audit.verify()


@pytest.mark.fault
@pytest.mark.parametrize("point", POINTS)
def test_a_loop_killed_at_every_point_loses_and_doubles_nothing_i40_i44(
    database: Database, tmp_path: Path, point: str
) -> None:
    asyncio.run(lives(database, tmp_path, (point, point)))


@pytest.mark.fault
def test_a_loop_killed_at_any_instant_loses_and_doubles_nothing_i38_i40(
    database: Database, tmp_path: Path
) -> None:
    asyncio.run(lives(database, tmp_path, ("0.0", "0.01", "0.03", "0.1", "0.3")))


@pytest.mark.fault
def test_a_leader_that_stood_still_never_acts_again_i43(
    sqlite_database: Database, tmp_path: Path
) -> None:
    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            first = start(sqlite_database, tmp_path / "one", relay)
            await until(lambda: is_deciding(tmp_path / "one"), "the first")
            second = start(sqlite_database, tmp_path / "two", relay)
            first.send_signal(signal.SIGSTOP)
            await until(lambda: is_deciding(tmp_path / "two"), "the takeover")
            await relay.send(quiet(58_500.0), full=True)
            await until(sqlite_database.intraday_journal.open_calls, "the call")
            calls = len(sqlite_database.calls.open_calls())
            first.send_signal(signal.SIGCONT)
            # It hears of the crash late, wants to call, and is fenced.
            assert await ended(first) != 0
            assert len(sqlite_database.calls.open_calls()) == calls
            run = sqlite_database.runs.list(limit=1, kind="intraday")[0]
            epochs = [one.epoch for one in sqlite_database.intraday_journal.decisions(run.run_id)]
            assert epochs == sorted(epochs)
            second.send_signal(signal.SIGTERM)
            await ended(second)

    asyncio.run(play())

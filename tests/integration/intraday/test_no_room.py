"""A full disk, a slow database, a server that stops: the loop decides on, and loses nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.clock import utc_now
from infra.db import Database, open_database
from infra.intraday.core import LoopCore
from infra.intraday.status import read_status
from tests.integration.intraday.stage import Relay, Stage, playing, quiet
from tests.integration.intraday.test_killed_loop import ended, is_deciding, start, until
from tests.soak.servers import PostgresqlServer, running
from tests.worlds.loop import base, bitcoin, core, instant, ticks

NEAR = 140_000.0
N_SETS = 300
MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path, sqlite_template: Path) -> Iterator[Path]:
    """Mount a file system of twelve megabytes with a database on it."""
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", mount], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system needs root")
    try:
        shutil.copy(sqlite_template, mount / "plimsoll.db")
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left, and the log's own; return what has to go to free it."""
    with closing(sqlite3.connect(disk / "plimsoll.db", timeout=10.0)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (MEGABYTE, 4_096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return ballast


def own(stage_status: dict[str, Any]) -> dict[str, str]:
    """Return what the loop says of database and disk that is not live."""
    rows = stage_status.get("health", [])
    names = ("database", "disk")
    return {row["name"]: row["state"] for row in rows if row["name"] in names}


def twin(close: Any, *prices: float) -> LoopCore:
    """Return a loop without database or disk that has seen the same prices."""
    found = core(close)
    for second, price in enumerate(prices):
        found.take_ticks(ticks(found, bitcoin(price), float(second)))
        found.decide(instant(float(second)))
    return found


Standing = tuple[np.ndarray, np.ndarray, np.ndarray]


def standing(found: LoopCore) -> Standing:
    """Return what is owed, what covers it, and the level of every netting set."""
    figures = found.book.figures()
    return figures.owed.copy(), figures.cover.copy(), found.ladder.level.copy()


def in_order(database: Database) -> None:
    """Require that what was decided first was recorded first, each thing once."""
    run = database.runs.list(limit=1, kind="intraday")[0].run_id
    decisions = database.intraday_journal.decisions(run)
    assert [one.number for one in decisions] == list(range(1, len(decisions) + 1))
    assert [one.decided_at for one in decisions] == sorted(one.decided_at for one in decisions)
    events = database.intraday_events.after(0, 10_000)
    assert [one.occurred_at for one in events] == sorted(one.occurred_at for one in events)
    assert len({one.event_id for one in events}) == len(events)
    database.audit.verify()


@asynccontextmanager
async def beating(relay: Relay) -> AsyncIterator[None]:
    """Let the feed handler repeat itself: a silence would be a fault of another kind."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.5)
            every = {name: price for told in relay.last.values() for name, price in told.items()}
            await relay.send(every, full=True)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


async def decides_on(stage: Stage, close: Any, fault_seen: Callable[[], bool]) -> None:
    """Let prices crash in two steps under a fault; every figure is to the bit as without it."""
    async with beating(stage.relay):
        last: list[Standing] = []
        # Heard in the loop's own thread: nobody else may look into a book that is at work.
        stage.process.on_decided = lambda found, *_: last.append(standing(found))
        await stage.relay.send(quiet(58_500.0), full=True)
        await stage.until(fault_seen, "the fault on record")
        await stage.relay.send(quiet(55_000.0), full=True)
        expected = standing(twin(close, 60_000.0, 58_500.0, 55_000.0))

        def is_equal() -> bool:
            return bool(last) and all(map(np.array_equal, last[-1], expected))

        await stage.until(is_equal, "the figures and levels of a loop without the fault")
    stage.process.on_decided = None
    assert (expected[2] == 0).sum() == 1


def test_on_a_full_disk_it_decides_on_says_so_and_loses_nothing_i30_i44(
    small_disk: Path,
) -> None:
    close = base({"A": NEAR, "B": 1e7}, n_sets=N_SETS)
    database = open_database(f"sqlite:///{small_disk / 'plimsoll.db'}")

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(database, close, small_disk, relay) as stage:
                ballast = fill(small_disk)

                def is_full() -> bool:
                    told = stage.status()
                    return own(told) == {"database": "down", "disk": "down"} and told["waiting"] > 0

                await decides_on(stage, close, is_full)
                found = read_status(small_disk, utc_now())
                assert found is not None and found.is_alive
                rows = {row["name"]: row for row in found.content["health"]}
                assert "the disk is full" in rows["database"]["reason"]
                assert all(rows[name]["next_action"] for name in ("database", "disk"))
                assert database.calls.open_calls().empty
                ballast.unlink()
                await stage.until(lambda: len(stage.called()) == N_SETS + 1, "every call")
                await stage.until(lambda: not own(stage.status()), "an end of it", 60.0)
                await stage.until(lambda: not stage.status()["waiting"], "nothing that waits")

    asyncio.run(play())
    in_order(database)
    told = [(one.name, one.resource) for one in database.intraday_events.after(0, 10_000)]
    for name in ("database", "disk"):
        assert ("plimsoll.degraded", f"plimsoll.system.{name}") in told
        assert ("plimsoll.restored", f"plimsoll.system.{name}") in told
    database.close()


@pytest.mark.fault
def test_a_loop_killed_on_a_full_disk_has_what_it_acknowledged_i40_i44(
    small_disk: Path, tmp_path: Path
) -> None:
    database = open_database(f"sqlite:///{small_disk / 'plimsoll.db'}")

    def calls() -> dict[str, Any]:
        return database.intraday_journal.open_calls()

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            first = start(database, small_disk, relay)
            await until(lambda: is_deciding(small_disk), "decisions", 120.0)
            await relay.send(quiet(58_500.0), full=True)
            await until(calls, "an acknowledged call")
            acknowledged = calls()
            ballast = fill(small_disk)
            await relay.send(quiet(50_000.0), full=True)
            await until(
                lambda: read_status(small_disk, utc_now()).content["waiting"] > 0,  # type: ignore[union-attr]
                "what waits",
            )
            first.kill()
            assert await ended(first) == -signal.SIGKILL
            assert calls() == acknowledged
            ballast.unlink()
            second = start(database, small_disk, relay)
            try:
                # What was lost with the process had been told to nobody, and is decided anew.
                await until(
                    lambda: calls() and calls()["A"].amount > acknowledged["A"].amount,
                    "the call",
                    120.0,
                )
            finally:
                second.send_signal(signal.SIGTERM)
                assert await ended(second) == 0
            history = database.calls.history(acknowledged["A"].call_id)
            assert history["state"].tolist()[-1] == "superseded"

    asyncio.run(play())
    in_order(database)
    database.close()


@contextmanager
def slowed(file: Path, seconds: float) -> Iterator[None]:
    """Let every write wait for so long: somebody else holds the lock, again and again."""
    stop = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(file, timeout=60.0, isolation_level=None)) as connection:
            while not stop.is_set():
                connection.execute("BEGIN IMMEDIATE")
                stop.wait(seconds)
                connection.execute("ROLLBACK")
                time.sleep(0.05)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_while_every_commit_takes_two_seconds_it_decides_on_i30_i44(
    sqlite_database: Database, tmp_path: Path
) -> None:
    close = base({"A": NEAR, "B": 1e7}, n_sets=20)

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, close, tmp_path, relay) as stage:
                with slowed(sqlite_database.file, 2.0):
                    await decides_on(stage, close, lambda: stage.status()["waiting"] > 0)
                    await stage.until(lambda: len(stage.called()) == 21, "every call")
                await stage.until(lambda: not stage.status()["waiting"], "nothing that waits")

    asyncio.run(play())
    in_order(sqlite_database)


@pytest.mark.fault
@pytest.mark.postgres
def test_a_server_that_stops_and_starts_has_every_decision_in_order_i30_i44(
    tmp_path: Path,
) -> None:
    close = base({"A": NEAR, "B": 1e7}, n_sets=50)
    with running("postgresql", tmp_path) as server:
        assert isinstance(server, PostgresqlServer)
        database = open_database(server.address, wait_seconds=2.0)
        database.upgrade()

        async def play() -> None:
            async with Relay() as relay:
                await relay.send(quiet(), full=True)
                async with playing(database, close, tmp_path, relay) as stage:
                    await asyncio.to_thread(server.stop)

                    def is_down() -> bool:
                        told = stage.status()
                        return own(told) == {"database": "down"} and told["waiting"] > 0

                    await decides_on(stage, close, is_down)
                    await asyncio.to_thread(server.start)
                    await stage.until(lambda: len(stage.called()) == 51, "every call", 60.0)
                    await stage.until(lambda: not own(stage.status()), "an end of it", 60.0)

        asyncio.run(play())
        in_order(database)
        database.close()


def test_what_does_not_fit_into_the_old_file_is_left_out_and_a_half_written_one_is_read_again(
    tmp_path: Path,
) -> None:
    from infra.intraday.status import write_in_place, write_status

    now = utc_now()
    rows = [{"scope": "venue", "name": f"v{n}", "reason": "x" * 300} for n in range(2_000)]
    assert not write_in_place(tmp_path, {"at": now.isoformat()})
    assert write_status(tmp_path, {"at": now.isoformat(), "health": []}, b"")
    path = tmp_path / "intraday" / "status.json"
    size, node = path.stat().st_size, path.stat().st_ino
    assert write_in_place(tmp_path, {"at": now.isoformat(), "health": rows})
    assert (path.stat().st_size, path.stat().st_ino) == (size, node)
    found = read_status(tmp_path, now)
    assert found is not None
    assert 0 < len(found.content["health"]) < 2_000
    assert found.content["health"][0] == rows[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: size // 8])
    threading.Timer(0.005, lambda: path.write_bytes(whole)).start()
    assert read_status(tmp_path, now) == found
    os.truncate(path, 10)
    assert read_status(tmp_path, now) is None

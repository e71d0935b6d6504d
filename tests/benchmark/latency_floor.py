"""The floor under the loop, in its run: the way of a frame, and one durable commit of one row."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

import aiohttp
import numpy as np

from infra.db import Database
from tests.benchmark.latency_loads import DOWN, START
from tests.benchmark.latency_loop import quantiles, sending

_BODY: Final = "x" * 200


def floors(database: Database, n: int = 400) -> dict[str, Any]:
    """Return the way of a frame over a WebSocket, a durable commit of one row, and both. [s]"""
    wire, commit = _wire(n), _commits(database, n)
    return {
        "wire": quantiles(wire),
        "commit": quantiles(commit),
        # One after the other, as a call would have to take them.
        "both": quantiles(wire[: len(commit)] + commit[: len(wire)]),
    }


def _wire(n: int) -> np.ndarray:
    import uvloop

    steps = {
        "whole": {}, "sources": {"binance": "binance:BTCUSDT"}, "start": START, "down": DOWN,
        "n_steps": n, "pause": 0.005, "n_background": 0, "background": [],
    }  # fmt: skip

    async def listen(port: int) -> list[int]:
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

    with sending(steps) as (port, sent):
        came = uvloop.run(listen(port))
        return (np.array(came) - np.array(sent())) / 1e9


def _commits(database: Database, n: int) -> np.ndarray:
    seconds = []
    plain, mark = _plain(database)
    with suppress(Exception):
        plain.execute("CREATE TABLE floor (position integer primary key, body text)")
    for number in range(n):
        # At the pace of the frames, so that the disk rests between commits as it does there.
        time.sleep(0.005)
        began = time.perf_counter()
        plain.execute("BEGIN")
        plain.execute(f"INSERT INTO floor VALUES ({mark}, {mark})", (number, _BODY))
        plain.execute("COMMIT")
        seconds.append(time.perf_counter() - began)
    plain.close()
    return np.array(seconds)


def _plain(database: Database) -> tuple[Any, str]:
    """Return a connection of the driver alone, and its mark for a parameter."""
    if database.is_embedded:
        path = database.file.with_name(f"{database.file.stem}-floor.db")
        embedded = sqlite3.connect(path, isolation_level=None)
        embedded.execute("PRAGMA journal_mode = WAL")
        embedded.execute("PRAGMA synchronous = FULL")
        return embedded, "?"
    import psycopg

    address = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True), "%s"

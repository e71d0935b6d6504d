"""A house's feed handlers, in a process of its own: ``python -m tests.soak.sender``.

The plan comes as one line of JSON; the answer names the port. Each venue has a socket of its own,
``ws://127.0.0.1:<port>/<venue>``. Faults begin and end by further lines; each second a line says
what was sent. Prices are those of ``market.Paths`` at the instant of their stamp, except where a
fault spoils them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from aiohttp import WSMsgType, web

from tests.soak.market import VENUES, Crash, Paths

STEP = 0.04
FRAME_PRICES = 400
BEHIND_FRAMES = 800
"""A reader that is so many frames behind is cut, as venues do."""
HOUR_NS = 3_600_000_000_000
SPOILT = {"zero": 0.0, "negative": -1.0}
QUIET = ("silent", "vanish")


@dataclass
class Spoiling:
    """A fault in force."""

    kind: str
    venue: str
    until: float
    fields: dict[str, Any]
    begun: float
    n: int = 0


@dataclass(eq=False)
class Reader:
    """One connection of one venue."""

    request: web.Request
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(BEHIND_FRAMES))

    def cut(self) -> None:
        """Reset the connection: the other side gets no orderly end."""
        transport = self.request.transport
        if transport is None:
            return
        found = transport.get_extra_info("socket")
        if found is not None:
            linger = struct.pack("ii", 1, 0)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


class Sender:
    """Serves prices at a rate, spoilt as told."""

    def __init__(self, plan: dict[str, Any]) -> None:
        market = {
            name: pd.read_parquet(f"{plan['market']}/{name}.parquet")
            for name in ("instruments", "marks")
        }
        self.paths = Paths(market["instruments"], market["marks"], plan["seed"])
        self.epoch_ns: int = plan["epoch_ns"]
        self.rate: float = plan["rate"]
        self.pause: float = plan.get("pause", STEP)
        self.chance = random.Random(plan["seed"])
        names = np.array(self.paths.instrument_id)
        rows = {venue: np.flatnonzero(self.paths.venue == venue) for venue in VENUES}
        self.rows = {venue: found for venue, found in rows.items() if found.size}
        self.names = {venue: names[found].tolist() for venue, found in self.rows.items()}
        self.readers: dict[str, set[Reader]] = {venue: set() for venue in self.rows}
        self.number = dict.fromkeys(self.rows, 0)
        self.next = dict.fromkeys(self.rows, 0)
        self.owing = dict.fromkeys(self.rows, 0.0)
        self.faults: dict[int, Spoiling] = {}
        self.n_prices = self.n_frames = self.n_missed = self.n_cut = 0

    def seconds(self) -> float:
        """Return how long it is since the beginning. [s]"""
        return (time.time_ns() - self.epoch_ns) / 1e9

    def full(self, venue: str) -> bytes:
        """Return a frame of all prices of a venue, as a handler sends it that has recovered."""
        return self._frame(venue, self.rows[venue], self.seconds(), full=True)

    def step(self, passed: float) -> None:
        """Send what is due after so many seconds."""
        at = self.seconds()
        for venue, rows in self.rows.items():
            share = self.rate * rows.size / len(self.paths.instrument_id)
            active = self.spoilings(venue, at)
            kinds = {one.kind for one in active}
            factor = 4.0 if "flood" in kinds else 1.0
            self.owing[venue] = min(self.owing[venue] + share * passed * factor, share)
            while self.owing[venue] >= 1.0:
                n = min(int(self.owing[venue]), FRAME_PRICES)
                self.owing[venue] -= n
                begin = self.next[venue]
                self.next[venue] = (begin + n) % rows.size
                chosen = rows[(begin + np.arange(min(n, rows.size))) % rows.size]
                if "stale" in kinds:
                    chosen = chosen[chosen % 2 == 0]
                for frame in self._spoilt(venue, chosen, at, active):
                    self.put(venue, frame)

    def put(self, venue: str, frame: bytes) -> None:
        """Hand a frame to all readers of a venue."""
        self.n_frames += 1
        for reader in list(self.readers[venue]):
            try:
                reader.queue.put_nowait(frame)
            except asyncio.QueueFull:
                self.n_cut += 1
                self.readers[venue].discard(reader)
                reader.cut()

    def begin(self, number: int, told: dict[str, Any]) -> None:
        """Let a fault begin."""
        now = self.seconds()
        venue, kind = told["venue"], told["kind"]
        self.faults[number] = Spoiling(
            kind, venue, now + told["seconds"], told.get("fields", {}), now
        )
        if kind in ("reset", "vanish"):
            for reader in list(self.readers[venue]):
                self.readers[venue].discard(reader)
                reader.cut()

    def spoilings(self, venue: str, at: float) -> list[Spoiling]:
        """Return the faults of a venue that are in force; those that end heal by a full frame."""
        for number, one in list(self.faults.items()):
            if at >= one.until:
                del self.faults[number]
                if one.venue in self.rows:
                    self.put(one.venue, self.full(one.venue))
        return [one for one in self.faults.values() if one.venue == venue]

    def refuses(self, venue: str) -> bool:
        """Return whether a venue takes no connection now."""
        at = self.seconds()
        return any(one.kind == "vanish" for one in self.spoilings(venue, at))

    def _spoilt(
        self, venue: str, rows: np.ndarray, at: float, active: list[Spoiling]
    ) -> Iterator[bytes]:
        kinds = {one.kind: one for one in active}
        if kinds.keys() & set(QUIET):
            return
        told, stamp = at, 0
        if "frozen" in kinds:
            told, stamp = kinds["frozen"].begun, round((at - kinds["frozen"].begun) * 1e9)
        if "late" in kinds and self.chance.random() < 0.5:
            told -= self.chance.uniform(0.5, 5.0)
        stamp += HOUR_NS * (("ahead" in kinds) - ("behind" in kinds))
        if "gap" in kinds and self.chance.random() < 0.2:
            self.number[venue] += self.chance.randint(1, 5)
        if "disorder" in kinds and self.chance.random() < 0.3:
            first = self._frame(venue, rows, told, shift_ns=stamp)
            yield self._frame(venue, rows, told + 1e-4, shift_ns=stamp)
            yield first
            return
        if "nonsense" in kinds and self.chance.random() < 0.3:
            yield self._nonsense(venue)
        frame = self._frame(venue, rows, told, shift_ns=stamp, kinds=kinds)
        yield frame
        if "duplicate" in kinds:
            yield frame

    def _frame(
        self,
        venue: str,
        rows: np.ndarray,
        seconds: float,
        *,
        shift_ns: int = 0,
        kinds: dict[str, Spoiling] | None = None,
        full: bool = False,
    ) -> bytes:
        mark, iv, forward = self.paths.prices(seconds, rows)
        mark, extra = self._spoil(mark, kinds or {})
        self.number[venue] += 1
        self.n_prices += len(rows)
        offset = int(self.rows[venue][0])
        names, known = self.names[venue], np.isfinite(iv)
        is_block = self.rows[venue][-1] - offset + 1 == self.rows[venue].size
        places = rows - offset if is_block else np.searchsorted(self.rows[venue], rows)
        told = [
            (names[place], price, volatility if has else None, ahead if has else None)
            for place, price, volatility, ahead, has in zip(
                places.tolist(), mark.tolist(), iv.tolist(), forward.tolist(), known.tolist(),
                strict=True,
            )
        ]  # fmt: skip
        if "unknown" in (kinds or {}):
            told.append((f"{venue}:NOBODY-KNOWS-IT", 1.0, None, None))
        frame = {
            "s": venue, "t": self.epoch_ns + round(seconds * 1e9) + shift_ns,
            "n": self.number[venue], "p": told, "full": full,
        }  # fmt: skip
        found = msgspec.json.encode(frame)
        for before, after in extra:
            found = found.replace(before, after)
        return found

    def _spoil(
        self, mark: np.ndarray, kinds: dict[str, Spoiling]
    ) -> tuple[np.ndarray, list[tuple[bytes, bytes]]]:
        extra: list[tuple[bytes, bytes]] = []
        for name, value in SPOILT.items():
            if name in kinds:
                mark = np.where(np.arange(mark.size) % 2 == 0, mark * value, mark)
        for name, word in (("nan", b"NaN"), ("infinite", b"1e400")):
            if name in kinds:
                mark = mark.copy()
                mark[::2] = 7.25e77
                extra.append((b"7.25e77", word))
        if "spike" in kinds:
            mark = mark * float(kinds["spike"].fields.get("factor", 3.0))
        return mark, extra

    def _nonsense(self, venue: str) -> bytes:
        choice = self.chance.randrange(4)
        if choice == 0:
            return json.dumps({"s": venue, "t": "now", "n": 1, "p": {}}).encode()
        if choice == 1:
            return b'{"s": "' + venue.encode() + b'", "t": 1, "n": 2, "p": [["x", "y"]]}'
        if choice == 2:
            return b"<html>502 Bad Gateway</html>"
        return json.dumps(
            "".join(chr(self.chance.randrange(32, 1_000)) for _ in range(200))
        ).encode()


async def listen(sender: Sender, request: web.Request) -> web.StreamResponse:
    """Serve one reader of one venue until it leaves or is cut."""
    venue = request.match_info["venue"]
    if venue not in sender.rows or sender.refuses(venue):
        return web.Response(status=503)
    answer = web.WebSocketResponse()
    await answer.prepare(request)
    reader = Reader(request)
    reader.queue.put_nowait(sender.full(venue))
    sender.readers[venue].add(reader)
    writing = asyncio.create_task(_write(answer, reader))
    try:
        async for message in answer:
            if message.type is WSMsgType.ERROR:
                break
    finally:
        sender.readers[venue].discard(reader)
        writing.cancel()
    return answer


async def _write(answer: web.WebSocketResponse, reader: Reader) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await answer.send_str((await reader.queue.get()).decode())


async def serve(sender: Sender, commands: asyncio.StreamReader) -> None:
    """Serve until the commands end."""

    runner = web.AppRunner(application_of(sender), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say({"port": runner.addresses[0][1]})
    pacing = asyncio.create_task(pace(sender, say))
    while line := await commands.readline():
        told = json.loads(line)
        if "crash" in told:
            sender.paths.add_crash(Crash(**told["crash"]))
        else:
            sender.begin(told["number"], told)
    pacing.cancel()
    await runner.cleanup()


def application_of(sender: Sender) -> web.Application:
    """Return the application that serves a sender's prices."""

    async def taken(request: web.Request) -> web.StreamResponse:
        return await listen(sender, request)

    application = web.Application()
    application.router.add_get("/{venue}", taken)
    return application


def counts_of(sender: Sender) -> dict[str, Any]:
    """Return what was sent so far."""
    readers = {venue: len(found) for venue, found in sender.readers.items()}
    return {
        "prices": sender.n_prices, "frames": sender.n_frames, "cut": sender.n_cut,
        "missed": sender.n_missed, "readers": readers,
    }  # fmt: skip


async def pace(sender: Sender, say: Callable[[dict[str, Any]], None]) -> None:
    """Take a step each pause and say each second what was sent."""
    before = due = said = time.monotonic()
    while True:
        now = time.monotonic()
        sender.step(now - before)
        before = now
        if now - said >= 1.0:
            say(counts_of(sender))
            said = now
        due += sender.pause
        if due < now:
            sender.n_missed += 1
            due = now
        await asyncio.sleep(max(due - time.monotonic(), 0.0))


def say(content: dict[str, Any]) -> None:
    """Write a line for the conductor."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Read the plan and serve."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await serve(Sender(json.loads(await reader.readline())), reader)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())

"""A loop over real sockets and a real database, small enough for every test run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from infra.clock import utc_now
from infra.connections import Connections
from infra.db import Database
from infra.intraday.base import Base
from infra.intraday.process import LoopOptions, LoopProcess
from infra.intraday.status import read_status
from tests.worlds.loop import BITCOIN

PATIENCE = 20.0


@dataclass
class Closes:
    """Closes as the loop asks for them; tests add later ones."""

    found: list[Base]

    def latest(self) -> Base:
        return self.found[-1]

    def latest_id(self) -> str | None:
        return self.found[-1].close_id

    def load(self, close_id: str) -> Base:
        return next(base for base in self.found if base.close_id == close_id)


class Relay:
    """One's own feed handler: serves frames that a test sends, to everybody who listens."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.number: dict[str, int] = {}
        self.last: dict[str, dict[str, float]] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Relay:
        application = web.Application()
        application.router.add_get("/", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def send(self, prices: Mapping[str, float], *, full: bool = False, **fields: Any) -> None:
        """Send prices, a frame for each source."""
        by_source: dict[str, dict[str, float]] = {}
        for name, price in prices.items():
            by_source.setdefault(name.split(":")[0], {})[name] = price
        for source, told in by_source.items():
            self.last.setdefault(source, {}).update(told)
            await self.raw(self._frame(source, told, full, fields))

    async def raw(self, text: str) -> None:
        for socket in list(self._sockets):
            await socket.send_str(text)

    async def cut(self) -> None:
        """Close every connection; the next one is served again."""
        for socket in list(self._sockets):
            await socket.close()

    def _frame(
        self, source: str, told: Mapping[str, float], full: bool, fields: Mapping[str, Any]
    ) -> str:
        number = self.number[source] = self.number.get(source, 0) + 1
        frame = {
            "s": source,
            "t": time.time_ns(),
            "n": number,
            "p": [[name, price, None, None] for name, price in told.items()],
            "full": full,
            **fields,
        }
        return json.dumps(frame)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for source, told in self.last.items():
            await socket.send_str(self._frame(source, told, True, {}))
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            self._sockets.discard(socket)
        return socket


@dataclass
class Stage:
    """A running loop and what a test acts on."""

    database: Database
    relay: Relay
    process: LoopProcess
    task: asyncio.Task[None]
    home: Path
    closes: Closes = field(default_factory=lambda: Closes([]))

    async def until(
        self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE
    ) -> Any:
        """Wait until a condition holds and return what it gave."""
        deadline = time.monotonic() + seconds
        while not (found := await asyncio.to_thread(condition)):
            if self.task.done():
                self.task.result()
                raise AssertionError(f"the loop ended while waiting for {what}")
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            await asyncio.sleep(0.02)
        return found

    def called(self) -> dict[str, Any]:
        """Return the open calls by netting set."""
        return self.database.intraday_journal.open_calls()

    def status(self) -> dict[str, Any]:
        """Return what the loop says of itself."""
        found = read_status(self.home, utc_now())
        return {} if found is None else dict(found.content)

    def health(self) -> dict[tuple[str, str], str]:
        """Return states of the board by scope and name."""
        shown = self.database.board.health()
        return {
            (row["scope"], row["name"]): row["state"] for row in shown.to_dict(orient="records")
        }


@asynccontextmanager
async def playing(
    database: Database,
    base: Base,
    home: Path,
    relay: Relay,
    *,
    patience: float = PATIENCE,
    **changes: Any,
) -> AsyncIterator[Stage]:
    """Run a loop on a base whose prices a relay serves."""
    closes = Closes([base])
    options = replace(
        LoopOptions(
            home=home, code_version="1.0", grace=1.0, round=0.02, board=0.1, checkpoint=0.3,
            lease=1.0, relays=(relay.url,),
        ),
        **changes,
    )  # fmt: skip
    process = LoopProcess(database, closes, Connections(), options)
    task = asyncio.create_task(process.run())
    stage = Stage(database, relay, process, task, home, closes)
    try:
        await stage.until(lambda: stage.status().get("is_deciding"), "the loop to decide", patience)
        yield stage
    finally:
        process.stop()
        await asyncio.wait({task}, timeout=PATIENCE)
        task.cancel()


def quiet(price: float = 60_000.0) -> dict[str, float]:
    """Return Bitcoin on every venue."""
    return dict.fromkeys(BITCOIN, price)

"""A real loop in a thread, feeding a real dashboard: tests inject, and look at the screen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.db import open_database
from tests.integration.intraday.stage import Relay, Stage, playing, quiet
from tests.worlds.house import Clock, House, build_house
from tests.worlds.loop import base

WAIT_SECONDS = 120.0


@dataclass
class Theatre:
    """A house, its loop, and the feed that a test drives."""

    house: House
    home: Path
    stage: Stage
    relay: Relay
    loop: asyncio.AbstractEventLoop
    _beating: list[asyncio.Task[None]] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something where the loop runs, and return what it gave."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_SECONDS)

    async def beat(self) -> None:
        """Send prices again and again, as venues do, but for sources that are paused."""
        step = 0
        while True:
            step += 1
            prices = {
                name: price
                for name, price in quiet(60_000.0 + step % 2).items()
                if name.split(":")[0] not in self.paused
            }
            await self.relay.send(prices, full=step % 20 == 0)
            await asyncio.sleep(0.25)


@contextmanager
def theatre(folder: Path) -> Iterator[Theatre]:
    """Play a loop over a house in ``folder`` until the block ends."""
    house = build_house(folder / "plimsoll.db", Clock(timedelta(0)))
    # The loop has a connection pool of its own, as in a process of its own.
    apart = open_database(f"sqlite:///{folder / 'plimsoll.db'}", wait_seconds=1.0, actor="loop")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def begin() -> Theatre:
        relay = await stack.enter_async_context(Relay())
        await relay.send(quiet(), full=True)
        close = base({"A": 1e7, "B": 1e7})
        stage = await stack.enter_async_context(
            playing(apart, close, folder, relay, patience=WAIT_SECONDS, board=0.5)
        )
        found = Theatre(house, folder, stage, relay, loop)
        found._beating.append(asyncio.create_task(found.beat()))
        return found

    async def end(found: Theatre) -> None:
        for task in found._beating:
            task.cancel()
        await stack.aclose()

    found = asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT_SECONDS)
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(end(found), loop).result(WAIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_SECONDS)
        house.database.close()
        apart.close()

"""The other end of the wire, in a process of its own: ``python -m tests.benchmark.latency_sender``.

Serves frames of prices over a WebSocket on loopback and prints, as JSON, the monotonic instant at
which each was handed to its socket. Instants of both processes are of one clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Any

from aiohttp import web


async def serve(plan: dict[str, Any]) -> None:
    """Serve one listener: a whole frame first, then the plan's frames at their pace."""
    sent: list[int] = []
    over = asyncio.Event()

    async def listen(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        numbers: dict[str, int] = {}
        for source, prices in plan["whole"].items():
            numbers[source] = 1
            await socket.send_str(_frame(source, 1, prices, full=True))
        # Read all along, so that pings are answered. The first word means: the loop decides now.
        words: asyncio.Queue[object] = asyncio.Queue()
        reading = asyncio.create_task(_read(socket, words))
        if await words.get() is None:
            # It comes again: a start may take longer than a socket waits.
            return socket
        # Whoever has seen enough may hang up.
        with suppress(ConnectionResetError):
            for step in range(plan["n_steps"]):
                price = plan["start"] - step * plan["down"]
                # The first source is the one that is held: its frame brings the breach.
                sent.append(time.monotonic_ns())
                for source in plan["sources"]:
                    numbers[source] = numbers.get(source, 0) + 1
                    prices = {plan["sources"][source]: price}
                    await socket.send_str(_frame(source, numbers[source], prices))
                n_background = plan["n_background"]
                for number in range(n_background):
                    await asyncio.sleep(plan["pause"] / (n_background + 1))
                    frame = plan["background"][(step + number) % len(plan["background"])]
                    await socket.send_str(frame.replace("@", str(time.time_ns())))
                await asyncio.sleep(plan["pause"] / (n_background + 1))
        await words.get()
        over.set()
        await reading
        return socket

    application = web.Application()
    application.router.add_get("/", listen)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await over.wait()
    print(json.dumps({"sent": sent}), flush=True)
    await runner.cleanup()


async def _read(socket: web.WebSocketResponse, words: asyncio.Queue[object]) -> None:
    async for message in socket:
        words.put_nowait(message.data)
    words.put_nowait(None)


def _frame(source: str, number: int, prices: dict[str, float], *, full: bool = False) -> str:
    return json.dumps(
        {
            "s": source,
            "t": time.time_ns(),
            "n": number,
            "p": [[name, price, None, None] for name, price in prices.items()],
            "full": full,
        }
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(json.loads(sys.stdin.readline())))

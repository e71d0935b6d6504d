"""The processes of the product that a soak runs, each by its own command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from tests.soak.crew import Member
from tests.soak.market import VENUES
from tests.soak.place import Place

if TYPE_CHECKING:
    from tests.soak.conductor import Conductor


def make_members(
    place: Place, folder: Path, port: int, plant: str
) -> tuple[list[Member], list[Member]]:
    """Return two loops, one to lead and one to stand by, and the web and the alerts beside them."""

    def member(name: str, command: list[str]) -> Member:
        return Member(name, command, place.environment, folder / f"{name}.log")

    relays = [word for venue in VENUES for word in ("--relay", f"ws://127.0.0.1:{port}/{venue}")]
    words = ["intraday", *relays]
    command = place.command(*words)
    if plant:
        command = [sys.executable, "-m", "tests.soak.planted", plant, *words]
    loops = [member(f"loop-{number}", command) for number in (1, 2)]
    others = [
        member("web", place.command("web", "--web-port", str(place.web_port))),
        member("alerts", place.command("alerts", "send", "--watch", "1")),
    ]
    return loops, others


async def make_sink(conductor: Conductor) -> None:
    """Serve where alerts are posted to, until cancelled."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        conductor.n_alerts += 1
        return web.Response(status=200)

    application = web.Application()
    application.router.add_post("/alerts", take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", conductor.place.sink_port).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()

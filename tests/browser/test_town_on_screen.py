"""Simulated venues that misbehave, real adapters, a real loop: what the screen says of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from infra.connections import open_connections
from infra.db import open_database
from infra.intraday.process import LoopOptions, LoopProcess
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from tests.browser.conftest import cookies_of, seats, served
from tests.integration.intraday.stage import Closes, Relay, Stage
from tests.integration.intraday.test_town import ACCOUNT, PLACE, VENUES, town_base
from tests.worlds.house import Clock, House, build_house

pytestmark = pytest.mark.slow
WAIT_SECONDS = 120.0
FAULTS = {
    "vanishes": (FaultKind.REFUSE, FaultKind.FORCED_CLOSE),
    "goes silent": (FaultKind.STALE,),
    "talks nonsense": (FaultKind.UNREADABLE_FRAME,),
    "says zero": (FaultKind.MARK_ZERO,),
    "spikes": (FaultKind.MARK_SPIKED,),
    "sends no heartbeat and no data": (FaultKind.HALF_OPEN,),
}

SILENT = ("goes silent", "sends no heartbeat and no data")


@dataclass
class Place:
    """A town, a loop that follows it, and the dashboard over both."""

    town: Any
    stage: Stage
    house: House
    loop: asyncio.AbstractEventLoop

    def do(self, function: Any, *given: Any) -> Any:
        """Run a function where the town runs."""

        async def within() -> Any:
            return function(*given)

        return asyncio.run_coroutine_threadsafe(within(), self.loop).result(WAIT_SECONDS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("town")
    house = build_house(folder / "plimsoll.db", Clock(timedelta(0)))
    apart = open_database(f"sqlite:///{folder / 'plimsoll.db'}", wait_seconds=5.0, actor="loop")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    patch, stack = pytest.MonkeyPatch(), AsyncExitStack()
    running: list[tuple[LoopProcess, asyncio.Task[None]]] = []

    async def begin() -> Place:
        town = await stack.enter_async_context(
            build_town(VENUES, TownParameters(seed=3, tick_seconds=0.1))
        )
        owner = TownAccount(
            place=PLACE, account_id=ACCOUNT, client_id="client-A", netting_set_id="A"
        )
        for name, value in connect_home(folder, town.describe(), [owner]).items():
            patch.setenv(name, value)
        connections = await stack.enter_async_context(open_connections(Settings(home=folder)))
        options = LoopOptions(home=folder, code_version="1.0", grace=20.0, board=0.5)
        close = await town_base(connections)
        process = LoopProcess(apart, Closes([close]), connections, options)
        task = asyncio.create_task(process.run())
        running.append((process, task))
        stage = Stage(apart, Relay(), process, task, folder)
        await stage.until(lambda: stage.status().get("is_deciding"), "decisions", WAIT_SECONDS)
        return Place(town, stage, house, loop)

    async def end() -> None:
        for process, task in running:
            process.stop()
            await asyncio.wait({task}, timeout=20.0)
            task.cancel()
        await stack.aclose()

    try:
        yield asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(WAIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        patch.undo()
        house.database.close()
        apart.close()


def test_a_venue_that_misbehaves_is_on_screen_within_five_seconds(
    browser: Browser, place: Place, tmp_path: Path
) -> None:
    """Scope, age, what is known and what to do, from the fault to the row, for each of them."""
    found = {}
    with ExitStack() as stack:
        address = stack.enter_context(served(place.house.app(place.stage.home)))
        cookies = cookies_of(browser, address, ("vera",))
        page = stack.enter_context(seats(browser, address, cookies))("vera").go("/health")
        venue = page.locator("tr[id^='health-venue-okx']")
        trouble = venue.filter(has_text="degraded").or_(venue.filter(has_text="down"))
        for name, kinds in FAULTS.items():
            page.locator("#health-venue-okx", has_text="✓ live").wait_for()
            page.evaluate(_WATCH)
            began = page.evaluate("Date.now()")
            numbers = [
                place.do(place.town.plan.inject, Fault(kind=kind, venue="okx")) for kind in kinds
            ]
            page.locator("body[data-told]").wait_for()
            told = int(page.get_attribute("body", "data-told") or 0)
            if name in SILENT:
                # What was under way still arrives: silence begins with the last price.
                since = trouble.first.locator("time").get_attribute("datetime")
                began = max(began, datetime.fromisoformat(since or "").timestamp() * 1000)
            found[name] = (told - began) / 1000
            cells = trouble.first.locator("td, th").all_inner_texts()
            print(f"{name}: {found[name]:.2f} s: {cells}")
            assert cells[1] == "venue" and cells[3] and cells[4] and cells[5]
            for number in numbers:
                place.do(place.town.plan.withdraw, number)
            # What was refused is told for a minute: the next fault has to be told beside it.
            page.locator("#health-venue-okx", has_text="✓ live").wait_for()
    assert max(found.values()) <= 5.0, found


# When a row of the venue says something else than before, and not that all is well.
_WATCH = """
() => {
  delete document.body.dataset.told;
  const rows = () => Array.from(document.querySelectorAll("tr[id^='health-venue-okx']"));
  const said = row => `${row.cells[0].textContent} ${row.cells[4].textContent}`;
  const before = new Set(rows().map(said));
  const watch = new MutationObserver(() => {
    const isBad = row => /down|degraded/.test(row.cells[0].textContent);
    const news = rows().filter(row => isBad(row) && !before.has(said(row)));
    if (!news.length) return;
    document.body.dataset.told = String(Date.now());
    watch.disconnect();
  });
  watch.observe(document.body, { childList: true, subtree: true, characterData: true });
}
"""

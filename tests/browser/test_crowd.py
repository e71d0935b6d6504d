"""Fifty thousand netting sets: first paint, updates, and a browser that stays small."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import cookies_of, seats, served
from tests.worlds.crowd import crowd, name_of, publish_crowd
from tests.worlds.house import Clock, House, build_house

pytestmark = pytest.mark.benchmark
N = 50_000
N_MOVED = 2_000
"""Netting sets of one publication, as many as a loop publishes at once."""
N_UPDATES = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    found = build_house(tmp_path_factory.mktemp("crowd") / "plimsoll.db", Clock(timedelta(0)))
    publish_crowd(found.database, N, found.run.run_id)
    yield found
    found.database.close()


def heap(page: Page) -> dict[str, float]:
    """Return what the browser holds, after it has thrown away what it can."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = session.send("Performance.getMetrics")["metrics"]
    wanted = ("JSHeapUsedSize", "Nodes", "JSEventListeners")
    return {one["name"]: one["value"] for one in found if one["name"] in wanted}


def test_a_board_of_fifty_thousand(browser: Browser, house: House, tmp_path: Path) -> None:
    app = house.app(tmp_path)
    with (
        served(app) as address,
        seats(browser, address, cookies_of(browser, address, ("vera",))) as sit,
    ):
        one = sit("vera")
        paints = []
        for _ in range(5):
            page = one.go("/")
            paints.append(page.evaluate(_PAINT))
        assert page.locator("#sets-tally").inner_text() == f"{N:,}"
        assert page.locator("#sets-rows tr").count() == 50
        random, before, seen = np.random.default_rng(2), {}, []
        for step in range(N_UPDATES):
            if step == 5:
                before = heap(page)
            seen.append(_update(page, house, random, step))
        after = heap(page)
        result = {
            "netting_sets": N,
            "moved_each_time": N_MOVED,
            "first_contentful_paint_ms": float(np.median(paints)),
            "publication_to_screen_ms_p50": float(np.quantile(seen, 0.5)),
            "publication_to_screen_ms_max": float(max(seen)),
            "heap_mb_before_after": [
                round(one["JSHeapUsedSize"] / 1e6, 2) for one in (before, after)
            ],
            "nodes_before_after": [one["Nodes"] for one in (before, after)],
        }
        print(json.dumps(result))
        assert after["Nodes"] <= before["Nodes"] * 1.1 + 200
        assert after["JSHeapUsedSize"] <= before["JSHeapUsedSize"] * 1.2 + 2e6
        assert max(seen) <= 5_000.0


def _update(page: Page, house: House, random: np.random.Generator, step: int) -> float:
    """Publish what moved, the first row with it; return until when it was on screen. [ms]"""
    numbers = random.choice(N, N_MOVED, replace=False)
    used = random.uniform(0.05, 0.98, N_MOVED)
    used[0] = 1.5 + step / 1000
    rows = crowd(numbers, used, house.clock(), house.run.run_id)
    name = name_of(int(numbers[0]))
    page.evaluate(_FIRST, name)
    house.database.board.publish(rows, pd.DataFrame())
    published = time.time() * 1000
    page.locator(f"#sets-rows tr:first-child#set-{name}").wait_for()
    return float(page.locator("body").get_attribute("data-first") or 0) - published


# When the browser painted the page's content, from the navigation on.
_PAINT = """
() => new Promise(done => {
  const look = () => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    paint ? done(paint.startTime) : setTimeout(look, 20);
  };
  look();
})
"""
_FIRST = """
name => {
  delete document.body.dataset.first;
  const body = document.getElementById("sets-rows");
  const watch = new MutationObserver(() => {
    if (body.rows[0]?.id !== `set-${name}`) return;
    document.body.dataset.first = String(Date.now());
    watch.disconnect();
  });
  watch.observe(body, { childList: true, subtree: true });
}
"""

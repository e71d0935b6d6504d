"""Every degraded state is on screen with its scope, its age and what to do next."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from infra.db.intraday_events import IntradayEvent
from infra.web.views.signs import DiskRoom
from tests.browser.conftest import PATIENCE_MS, Seat, cookies_of, seats, served
from tests.browser.theatre import Theatre, theatre
from tests.integration.intraday.stage import quiet
from tests.worlds.house import SmallServices

OKX = "okx:BTC-USDT-SWAP"
AGE = re.compile(r"^(\d+ s|\d+ min \d\d s)$")


@dataclass(frozen=True)
class Played:
    """A theatre whose dashboard is served."""

    theatre: Theatre
    services: SmallServices
    address: str
    cookies: dict[str, list]


@pytest.fixture(scope="module")
def played(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with theatre(tmp_path_factory.mktemp("theatre")) as found:
        app = found.house.app(found.home)
        with served(app) as address:
            yield Played(
                found, app.state.web.services, address, cookies_of(browser, address, ("vera",))
            )


@pytest.fixture
def seat(browser: Browser, played: Played) -> Iterator[Callable[..., Seat]]:
    with seats(browser, played.address, played.cookies) as sit:
        yield sit


async def zero(play: Theatre) -> None:
    await play.relay.send({OKX: 0.0})


async def not_a_number(play: Theatre) -> None:
    number = play.relay.number["deribit"] = play.relay.number["deribit"] + 1
    price = '["deribit:BTC-PERPETUAL", NaN, null, null]'
    await play.relay.raw(f'{{"s": "deribit", "t": 1, "n": {number}, "p": [{price}]}}')


async def spike(play: Theatre) -> None:
    play.paused.add("bybit")
    await play.relay.send({"bybit:BTCUSDT": 90_000.0})


async def duplicate(play: Theatre) -> None:
    await play.relay.send({"binance:BTCUSDT": 60_000.0}, t=1)


async def ahead(play: Theatre) -> None:
    stamp = time.time_ns() + 3_600_000_000_000
    await play.relay.send({"deribit:BTC-PERPETUAL": 60_000.0}, t=stamp)


async def gap(play: Theatre) -> None:
    play.paused.add("binance")
    play.relay.number["binance"] += 5
    await play.relay.send({"binance:BTCUSDT": 60_000.0})


async def freeze(play: Theatre) -> None:
    play.paused.add("bybit")


async def vanish(play: Theatre) -> None:
    play.paused.update(("binance", "bybit", "deribit", "okx"))
    # Whoever connects again hears nothing.
    play.relay.last.clear()
    await play.relay.cut()


async def calm(play: Theatre) -> None:
    """Let all venues be well again."""
    play.paused.clear()
    await play.relay.send(quiet(), full=True)


@dataclass(frozen=True)
class Case:
    """What is done, and the row that has to say so."""

    do: Callable[[Theatre], Awaitable[None]]
    name: str
    state: str
    known: str
    action: str
    scope: str = "venue"


CASES = {
    "zero": Case(zero, "okx prices", "degraded", "outside the domain", "compare with the venue"),
    "not a number": Case(not_a_number, "deribit", "degraded", "frame unread", "snapshot by itself"),
    "spike": Case(spike, "bybit prices", "degraded", "says 90,000", "band's edge"),
    "duplicate": Case(duplicate, "binance prices", "live", "older than what is known", "nothing"),
    "clock step": Case(ahead, "deribit prices", "degraded", "ahead of the clock", "compare"),
    "gap": Case(gap, "binance", "degraded", "uncertain", "snapshot by itself"),
    "freeze": Case(freeze, "bybit", "degraded", "no price since", "wait for new prices"),
    "vanish": Case(vanish, "okx", "down", "connection lost", "connects again by itself"),
}


def row(page: Page, scope: str, name: str) -> Locator:
    """Return a row of the page of feeds."""
    return page.locator(f"[id='health-{scope}-{name}']".replace(" ", "-"))


def require_told(page: Page, case: Case) -> None:
    """Fail unless the row says state, scope, age, what is known, and what to do."""
    found = row(page, case.scope, case.name)
    found.filter(has_text=case.known).filter(has_text=case.state).wait_for()
    cells = found.locator("td, th").all_inner_texts()
    assert case.state in cells[0] and (cells[1], cells[2]) == (case.scope, case.name)
    assert AGE.match(cells[3]), cells
    assert case.known in cells[4] and case.action in cells[5]


@pytest.mark.slow
def test_what_is_wrong_with_venues_is_on_screen_and_goes_away_again(
    played: Played, seat: Callable[..., Seat]
) -> None:
    play = played.theatre
    page = seat("vera").go("/health")
    row(page, "system", "intraday loop").filter(has_text="live").wait_for()
    for name in ("zero", "gap", "not a number", "spike"):
        play.do(CASES[name].do(play))
        require_told(page, CASES[name])
    # The overview says the same, worst first, and the navigation how much.
    strip = seat("vera").go("/").locator("#troubles")
    told = strip.locator("li", has_text="okx prices")
    told.wait_for()
    assert "compare with the venue" in told.inner_text() and "venue, " in told.inner_text()
    assert int(page.locator("#tally-n_troubled").inner_text().split()[0]) >= 3
    play.do(calm(play))
    row(page, "venue", "binance").filter(has_text="✓ live").wait_for()
    row(page, "venue", "deribit").filter(has_text="✓ live").wait_for()


@pytest.mark.slow
def test_a_database_that_the_loop_cannot_write_is_told_from_the_loops_own_file(
    played: Played, seat: Callable[..., Seat]
) -> None:
    play = played.theatre
    page = seat("vera").go("/health")
    blocker = sqlite3.connect(play.house.database.file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        found = row(page, "system", "intraday loop").filter(has_text="degraded")
        found.wait_for()
        assert "does not reach the record" in found.inner_text()
        assert "bring the database back" in found.inner_text()
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    row(page, "system", "intraday loop").filter(has_text="✓ live").wait_for()


def test_a_lost_record_leaves_pages_readable_and_says_what_they_are(
    played: Played, seat: Callable[..., Seat]
) -> None:
    house = played.theatre.house
    file = house.database.file
    one = seat("vera")
    page = one.go("/")
    away = file.with_name("away.db")
    page.locator("#set-A").wait_for()
    file.rename(away)
    house.database.close()
    try:
        banner = page.locator("#banners .banner", has_text="The record cannot be read")
        banner.wait_for()
        assert "read before" in banner.inner_text()
        page.reload()
        assert page.locator("#set-A").count() == 1
        page.goto(played.address + "/health")
        told = row(page, "system", "record")
        told.wait_for()
        assert "bring it back" in told.inner_text() and "down" in told.inner_text()
        # What only the record has is not made up; the loop's own word stands in its place.
        page.goto(played.address + "/transfers")
        assert "What the loop says of itself" in page.locator("main").inner_text()
    finally:
        away.rename(file)
        house.database.close()
    page.goto(played.address + "/")
    page.locator("#banners .banner").wait_for(state="detached")
    one.errors.clear()


def test_a_full_disk_and_a_missed_sign_of_life_are_told(
    played: Played, seat: Callable[..., Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = seat("vera").go("/health")
    monkeypatch.setattr(played.services, "disk", lambda: DiskRoom(free=1 << 20, total=1 << 40))
    played.theatre.house.database.life_signs.say(
        "round calls", by="service", seconds_max=1, next_action="start `plimsoll serve`"
    )
    for name, known, action in (
        ("disk of the home", "1 MiB free", "free space"),
        ("round calls", "no sign of life since", "start plimsoll serve"),
    ):
        found = row(page, "system", name).filter(has_text=known)
        found.wait_for()
        cells = found.locator("td, th").all_inner_texts()
        assert "down" in cells[0] and AGE.match(cells[3]) and action in cells[5]
    played.theatre.house.database.life_signs.withdraw(["round calls"])


def test_ten_thousand_breaches_at_once_are_one_line(
    played: Played, seat: Callable[..., Seat]
) -> None:
    database, now = played.theatre.house.database, played.theatre.house.clock()
    page = seat("vera").go("/alerts")
    database.intraday_events.record(
        [
            IntradayEvent(
                kind="breach",
                resource=f"plimsoll.netting-set.N{n:06d}",
                subject=str(n),
                occurred_at=now,
                payload={
                    "level": "call", "from_level": "warn", "cause": "BTC", "currency": "USD",
                    "shortfall": f"{n}.00",
                },
            )
            for n in range(10_000)
        ]
    )  # fmt: skip
    line = page.locator("#alerts li", has_text="10,000 netting sets")
    line.wait_for()
    assert "cause BTC" in line.inner_text() and "N009999 9,999 USD" in line.inner_text()
    assert page.locator("#alerts li").count() <= 100


def test_a_dead_loop_is_told_and_figures_are_said_to_be_its_last(
    browser: Browser, tmp_path: Path
) -> None:
    with theatre(tmp_path) as play, served(play.house.app(play.home)) as address:
        cookies = cookies_of(browser, address, ("vera",))
        with seats(browser, address, cookies) as sit:
            page = sit("vera").go("/")
            page.locator("#state .badge.live").wait_for()
            play.do(_die(play))
            page.locator("#banners", has_text="The loop is silent").wait_for()
            page.locator("#state", has_text="stale").wait_for()
            page = sit("vera").go("/health")
            told = row(page, "system", "intraday loop").filter(has_text="down")
            told.wait_for()
            assert "start it again" in told.inner_text()


async def _die(play: Theatre) -> None:
    play.stage.task.cancel()
    await asyncio.wait({play.stage.task})


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_each_state_is_on_screen_within_five_seconds(
    played: Played, seat: Callable[..., Seat], name: str
) -> None:
    """From the injection to the first paint of the row, by the browser's own clock."""
    play, case = played.theatre, CASES[name]
    page = seat("vera").go("/health")
    play.do(calm(play))
    # No venue is in doubt any more; what was refused is told for another minute.
    venues = page.locator("tr[id^='health-venue-']:not([id$='-prices'])")
    expect(venues.locator(".badge.act, .badge.watch")).to_have_count(0, timeout=PATIENCE_MS)
    identifier = f"health-{case.scope}-{case.name}".replace(" ", "-")
    page.evaluate(_WATCH, [identifier, case.known])
    began = page.evaluate("Date.now()")
    play.do(case.do(play))
    page.locator("body[data-seen]").wait_for()
    require_told(page, case)
    seconds = (int(page.locator("body").get_attribute("data-seen") or 0) - began) / 1000
    play.do(calm(play))
    print(f"{name}: on screen after {seconds:.2f} s")
    assert seconds <= 5.0


_WATCH = """
([id, words]) => {
  const look = () => {
    const row = document.getElementById(id), seen = document.body.dataset;
    if (!seen.seen && row && row.textContent.includes(words)) seen.seen = String(Date.now());
  };
  const all = { subtree: true, childList: true, characterData: true };
  new MutationObserver(look).observe(document.body, all);
}
"""

"""What people see and do in a browser: the record's figures, live, by keyboard, in both lights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser
from sqlalchemy import text

from infra.report.amounts import exact
from tests.browser.conftest import Seat, cookies_of, seats, served
from tests.worlds.house import SCRIPT, House, build_house

ROLES = {"vera": "viewer", "olga": "operator", "abe": "approver", "ada": "admin", "cora": "viewer"}
PAGES = (
    "/", "/netting-sets/amber-1", "/calls", "/transfers", "/breaks", "/health", "/alerts",
    "/stress", "/runs", "/whitelist", "/kill-switch", "/account",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Yield the house that all pages of this module show."""
    found = build_house(tmp_path_factory.mktemp("house") / "plimsoll.db")
    yield found
    found.database.close()


@pytest.fixture(scope="module")
def address(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the pages on a free port and yield their address."""
    with served(house.app(tmp_path_factory.mktemp("home"))) as found:
        yield found


@pytest.fixture(scope="module")
def cookies(browser: Browser, address: str) -> dict[str, list]:
    """Log everybody in once and keep their cookies."""
    return cookies_of(browser, address, tuple(ROLES))


@pytest.fixture
def seat(browser: Browser, address: str, cookies: dict[str, list]) -> Iterator[Callable[..., Seat]]:
    """Return seats of people who have logged in; nothing may go wrong on them."""
    with seats(browser, address, cookies) as sit:
        yield sit


@pytest.mark.parametrize(
    "name",
    [
        "ada",
        "cora",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("vera", "olga", "abe")),
    ],
)
def test_every_page_that_a_role_may_open_opens_whole(seat: Callable[..., Seat], name: str) -> None:
    one = seat(name)
    page = one.go("/")
    offered = page.eval_on_selector_all(
        "nav.side a", "links => links.map(a => a.getAttribute('href'))"
    )
    offered = [path for path in offered if path.startswith("/")]
    assert ("/users" in offered) == (name == "ada")
    assert ("/kill-switch" in offered) == (name != "cora")
    for path in [path for path in offered if path != "/"]:
        page = one.go(path)
        assert page.locator("main h1").count() == 1, path
        assert page.locator("header.top, nav[aria-label], main").count() == 3, path
        assert page.evaluate(_UNNAMED) == [], path


def test_figures_on_screen_equal_the_records(seat: Callable[..., Seat], house: House) -> None:
    """I-50."""
    page = seat("vera").go("/")
    recorded = house.database.requirements.of_run(house.run.run_id).set_index("netting_set_id")
    for name, known in recorded.iterrows():
        shown = page.locator(f"#set-{name} data")
        values = [shown.nth(i).get_attribute("value") for i in range(shown.count())]
        owed, held = known["requirement_amount"], known["collateral_amount"]
        assert [Decimal(value) for value in values] == [held - owed, owed, owed, held]
        texts = shown.all_inner_texts()
        assert texts == [exact(held - owed), exact(owed), exact(owed), exact(held)]
    page = seat("vera").go("/calls")
    for name, call_id in house.calls.items():
        call = house.database.calls.record(call_id).call
        if call["direction"] == "call":
            assert exact(call["amount"]) in page.locator(f"#row-{call_id}").inner_text(), name


def test_heads_sort_by_keyboard_and_say_so(seat: Callable[..., Seat]) -> None:
    page = seat("vera").go("/")
    head = page.locator("#sort-sets-owed")
    for direction in ("descending", "ascending"):
        head.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"th[aria-sort={direction}] #sort-sets-owed")
        owed = page.locator("#sets tbody tr td:nth-child(7) data").all()
        values = [Decimal(one.get_attribute("value") or "0") for one in owed]
        assert values == sorted(values, reverse=direction == "descending")
        assert page.evaluate("document.activeElement.id") == "sort-sets-owed"
    assert "sort=owed" in page.url


def publish(house: House, required: str) -> None:
    """Publish the book as a loop does, with another requirement of birch-2."""
    rows = house.assessment.requirements
    needs = rows["requirement_amount"].where(rows["netting_set_id"] != "birch-2", Decimal(required))
    now = house.clock()
    board = pd.DataFrame(
        {
            **{name: rows[name] for name in ("netting_set_id", "client_id", "currency", "status")},
            "requirement": needs,
            "venue_margin": None,
            "collateral_value": rows["collateral_amount"],
            "excess": rows["collateral_amount"] - needs,
            "margin_ratio": (needs / rows["collateral_amount"]).astype(float),
            "binding": "house",
            "level": "warn",
            "as_of": now,
            "run_id": house.run.run_id,
            "snapshot_id": "small",
        }
    )
    health = pd.DataFrame(
        {
            "scope": ["venue"],
            "name": ["deribit"],
            "state": ["degraded"],
            "since": [now],
            "reason": ["no frame"],
            "next_action": ["wait for the stream"],
        }
    )
    house.database.board.publish(board, health)


def test_what_changes_on_record_changes_on_screen_without_a_reload(
    seat: Callable[..., Seat], house: House, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: clear_board(house))
    page = seat("vera").go("/")
    row = page.locator("#set-birch-2")
    page.evaluate("window.marked = true; document.getElementById('set-birch-2-link').focus()")
    publish(house, "81234.56")
    row.get_by_text("81,234.56").first.wait_for()
    publish(house, "81234.57")
    row.get_by_text("81,234.57").first.wait_for()
    assert "warn" in row.inner_text()
    assert page.locator("#state .badge.live").count() == 1
    assert page.evaluate("window.marked && document.activeElement.id") == "set-birch-2-link"
    assert page.locator("#stale").is_hidden()


def test_rows_take_their_new_place_unless_somebody_is_in_the_table(
    seat: Callable[..., Seat], house: House, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: clear_board(house))
    publish(house, "20000.00")
    page = seat("vera").go("/?sort=-used")
    page.locator("#state .badge.live").wait_for()
    last = page.locator("#sets-rows tr:last-child")
    assert last.get_attribute("id") == "set-birch-2"
    # In the table: the figure changes at once, the row stays where it is.
    page.locator("#set-birch-2-link").focus()
    publish(house, "900000.00")
    page.locator("#set-birch-2").get_by_text("900,000.00").first.wait_for()
    page.locator("#sets-held").get_by_text("wait until you leave").wait_for()
    assert last.get_attribute("id") == "set-birch-2"
    page.locator("#sort-sets-set").focus()
    page.locator("#sets-rows tr:first-child#set-birch-2").wait_for()
    assert page.locator("#sets-held").inner_text() == ""
    # What the address leaves out stays out, also when it changes.
    page.goto(page.url.partition("?")[0] + "?q=amber")
    assert page.locator("#sets-rows tr").count() == 1
    assert page.locator("#sets-tally").inner_text() == "1 of 3"
    publish(house, "900001.00")
    page.locator("#figures, #tiles").get_by_text("USD").first.wait_for()
    assert page.locator("#sets-rows tr").count() == 1


def test_utilisation_transfers_and_plans_on_screen_equal_the_records(
    seat: Callable[..., Seat], house: House
) -> None:
    """I-50, beside the amounts of the overview."""
    page = seat("vera").go("/")
    recorded = house.database.requirements.of_run(house.run.run_id).set_index("netting_set_id")
    for name, known in recorded.iterrows():
        share = known["requirement_amount"] / known["collateral_amount"] * 100
        shown = page.locator(f"#set-{name} td").first.inner_text().replace("\xa0", " ")
        assert Decimal(shown.partition(" ")[0].replace(",", "")) == round(share, 1), name
    page = seat("vera").go("/calls?direction=all")
    for call_id in house.calls.values():
        call = house.database.calls.record(call_id)
        shown = page.locator(f"#row-{call_id} data").evaluate_all(
            "all => all.map(one => one.value)"
        )
        standing = call.standing
        assert [Decimal(value) for value in shown] == [
            call.call["amount"], standing.outstanding, standing.in_flight, standing.settled,
        ]  # fmt: skip
    page = seat("vera").go("/transfers")
    for record in house.database.transfers.list():
        row = page.locator(f"#transfer-{record.transfer_key}")
        value = row.locator("data").get_attribute("value")
        assert Decimal(value or "0") == record.intent.quantity
        assert record.payload_hash[:16] in row.inner_text()
    page = seat("vera").go("/reductions")
    for plan in house.database.reductions.list():
        shown = page.locator(f"#plan-{plan.plan_id} data").evaluate_all(
            "all => all.map(one => one.value)"
        )
        assert [Decimal(value) for value in shown] == [plan.notional, plan.cost]


def clear_board(house: House) -> None:
    """Leave the board as if no loop had ever run."""
    with house.database.writing() as connection:
        for table in ("board_rows", "board_health", "board_points", "board_state"):
            connection.execute(text(f"DELETE FROM {table}"))


def test_a_silent_server_is_said_to_be_silent(seat: Callable[..., Seat]) -> None:
    one = seat("vera")
    one.page.add_init_script(_DEAF)
    page = one.go("/calls")
    page.locator("#stale").wait_for(state="visible")
    assert "no longer moves" in page.locator("#stale").inner_text()


def test_an_operator_agrees_and_an_approver_lets_a_transfer_go(
    seat: Callable[..., Seat], house: House
) -> None:
    page = seat("olga").go("/calls")
    page.click("tbody th a >> nth=0")
    form = page.locator("form[action$='/agree']")
    form.get_by_label("Reason").fill("confirmed by phone")
    form.get_by_role("button", name="Agree").click()
    page.get_by_text("Recorded: the call is agreed").wait_for()
    page = seat("vera").go(f"/transfers/{house.transfer_key}")
    assert page.locator("form[action$='/approve']").count() == 0
    page = seat("abe").go(f"/transfers/{house.transfer_key}")
    shown = page.locator("#payload-hash").inner_text().replace(" ", "")
    assert shown == house.database.transfers.get(house.transfer_key).payload_hash
    form = page.locator("form[action$='/approve']")
    form.get_by_role("checkbox").check()
    form.get_by_label("Reason").fill("looked at it")
    form.get_by_role("button").click()
    page.get_by_text("1 waiting run resumed").wait_for()
    assert house.database.transfers.get(house.transfer_key).state == "new"


def test_a_what_if_is_answered_beside_its_form(seat: Callable[..., Seat]) -> None:
    page = seat("vera").go("/netting-sets/birch-1")
    ask = page.locator("#whatif")
    ask.get_by_label("Orders and transfers").fill("buy 20 binance:ETHUSDT\n1000 USDC in")
    ask.get_by_role("button", name="Ask").click()
    ask.locator("#answer table").first.wait_for()
    # No loop stands behind this book: nothing may be taken on it, and it says what to do.
    answer = ask.locator("#answer")
    assert "No new risk" in answer.inner_text() and "Not allowed just now" in answer.inner_text()
    assert answer.inner_text().count("Next:") == 2
    ask.get_by_label("Orders and transfers").fill("buy 20 nowhere:ETHUSDT")
    ask.get_by_role("button", name="Ask").click()
    ask.get_by_text("unknown instrument").wait_for()
    assert "no permission" in ask.locator("#answer").inner_text()


def test_own_moves_of_a_stress_day_make_calls(seat: Callable[..., Seat]) -> None:
    page = seat("vera").go("/stress")
    page.get_by_label(re.compile("^Prices")).fill("ETH +60, others +20")
    page.get_by_role("button", name="Live through it").last.click()
    page.wait_for_selector("#h-answer")
    row = page.locator("tbody tr", has_text="birch-1").inner_text()
    assert exact(Decimal("-72000.00")) in row


def test_a_stored_script_stays_text(seat: Callable[..., Seat], house: House) -> None:
    for path in ("/breaks", f"/transfers/{house.transfer_key}"):
        page = seat("vera").go(path)
        assert SCRIPT in page.locator("main").inner_text()
        assert "taken over" not in page.title()


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), pytest.param("dark", 400, marks=pytest.mark.slow)]
)
def test_nothing_keeps_anybody_from_reading_a_page(
    browser: Browser, address: str, cookies: dict[str, list], scheme: str, width: int
) -> None:
    """By axe-core: names, roles, contrast, order of headings, what a keyboard reaches."""
    axe = pytest.importorskip("axe_playwright_python")
    rules = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    # The rules are put into the page; its policy lets nobody else do that.
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    context.add_cookies(cookies["abe"])
    one = Seat(context, address)
    try:
        for path in (*PAGES, "/reductions", "/confirm"):
            page = one.go(path)
            page.evaluate(rules)
            wrong = page.evaluate("axe.run().then(found => found.violations)")
            assert [(v["id"], v["nodes"][0]["html"][:200]) for v in wrong] == [], path
    finally:
        context.close()


def test_light_and_dark_are_both_readable_and_the_switch_is_kept(
    seat: Callable[..., Seat],
) -> None:
    for scheme in ("light", "dark"):
        one = seat("olga", color_scheme=scheme)
        for path in ("/", "/transfers"):
            page = one.go(path)
            assert page.evaluate(_CONTRAST) >= 4.5, (scheme, path)
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert before != after == page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 400])
def test_nothing_sticks_out_sideways(seat: Callable[..., Seat], width: int) -> None:
    one = seat("olga", viewport={"width": width, "height": 900})
    for path in PAGES:
        page = one.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_pages_work_without_scripts(seat: Callable[..., Seat]) -> None:
    page = seat("vera", java_script_enabled=False).go("/")
    page.click("#sort-sets-owed")
    assert page.locator("th[aria-sort=descending] #sort-sets-owed").count() == 1
    assert page.locator("#set-amber-1").count() == 1


# A stream that is open and says nothing, as of a server that hangs.
_DEAF = """
window.EventSource = class extends EventTarget { readyState = 1; close() {} };
window.EventSource.CLOSED = 2;
"""
# Controls without a name that a screen reader could say.
_UNNAMED = """
() => Array.from(document.querySelectorAll("input:not([type=hidden]), select, textarea, button"))
  .filter(node => !(node.labels && node.labels.length) && !node.getAttribute("aria-label")
    && !node.textContent.trim() && !node.title)
  .map(node => node.outerHTML.slice(0, 80))
"""
_CONTRAST = """
() => {
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => {
    for (let at = node; at; at = at.parentElement) {
      const found = getComputedStyle(at).backgroundColor;
      if (!/, 0\\)$/.test(found)) return found;
    }
    return "rgb(255, 255, 255)";
  };
  const words = Array.from(document.querySelectorAll("body *")).filter(node =>
    node.children.length === 0 && node.textContent.trim() && node.checkVisibility()
    && !node.closest("svg, button:disabled") && node.tagName !== "OPTION");
  return Math.min(...words.map(node => {
    const pair = [light(getComputedStyle(node).color), light(ground(node))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  }));
}
"""

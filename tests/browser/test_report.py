"""What a committee sees in a browser: the ledger's figures, sortable, searchable, from one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from infra.report.amounts import exact
from infra.report.inputs import ReportPaths
from infra.report.write import write_report
from tests.worlds.reports import report_inputs
from tests.worlds.sample import sample_world


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    """Return the report of a sample world of sixty netting sets."""
    folder: Path = tmp_path_factory.mktemp("browser")
    inputs = report_inputs(sample_world(folder / "world", n_netting_sets=60))
    return write_report(inputs, folder / "report")


@pytest.fixture(scope="module")
def twin(written: ReportPaths) -> dict[str, Any]:
    """Return the JSON twin."""
    found: dict[str, Any] = json.loads(written.json.read_text(encoding="utf-8"))
    return found


class Opened:
    """A page and what went wrong on it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)


@pytest.fixture
def opened(browser: Browser, written: ReportPaths) -> Iterator[Opened]:
    """Yield the report opened from its file, and require that nothing went wrong on the way."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    found = Opened(page, written.html.as_uri())
    yield found
    page.close()
    assert found.errors == []
    outside = [url for url in found.requests if not url.startswith(("file:", "data:"))]
    assert outside == []


def rows_shown(page: Page, table: str) -> list[str]:
    return page.eval_on_selector_all(
        f"#table-{table} table.data > tbody > tr:not([hidden]):not(.why) > th",
        "cells => cells.map(cell => cell.textContent)",
    )


def column(page: Page, table: str, head: str) -> list[str]:
    heads = page.eval_on_selector_all(
        f"#table-{table} table.data > thead th", "cells => cells.map(cell => cell.textContent)"
    )
    return page.eval_on_selector_all(
        f"#table-{table} table.data > tbody > tr:not([hidden]):not(.why)",
        f"rows => rows.map(row => row.cells[{heads.index(head)}].textContent.trim())",
    )


def amounts(texts: list[str]) -> list[Decimal]:
    return [Decimal(text.replace(",", "").replace("−", "-")) for text in texts if text != "—"]


def test_the_headline_figures_are_those_of_the_json(opened: Opened, twin: dict[str, Any]) -> None:
    for item in twin["headlines"]:
        tile = opened.page.locator(f"#headline-{item['key']}")
        assert tile.locator(".figure").inner_text() == item["shown"].replace("\xa0", " ") or (
            tile.locator(".figure").inner_text() == item["shown"]
        )
        if item["amount"] is not None:
            assert tile.locator("data").get_attribute("value") == item["amount"]


def test_every_requirement_shown_is_that_of_the_json(opened: Opened, twin: dict[str, Any]) -> None:
    expected = {
        row["netting_set_id"]: "—"
        if row["requirement"] is None
        else exact(Decimal(row["requirement"]))
        for row in twin["tables"]["netting_sets"]
    }
    names = rows_shown(opened.page, "netting-sets")
    shown = dict(zip(names, column(opened.page, "netting-sets", "Requirement"), strict=True))
    assert shown == expected


def test_a_click_on_a_head_sorts_and_the_next_one_turns_it_round(opened: Opened) -> None:
    head = opened.page.locator("#table-netting-sets thead button", has_text="Surplus")
    head.click()
    falling = amounts(column(opened.page, "netting-sets", "Surplus"))
    assert falling == sorted(falling, reverse=True)
    assert head.locator("xpath=..").get_attribute("aria-sort") == "descending"
    head.click()
    rising = amounts(column(opened.page, "netting-sets", "Surplus"))
    assert rising == sorted(rising)
    assert rising[0] < 0


def test_text_columns_sort_by_letters_and_by_keyboard(opened: Opened) -> None:
    head = opened.page.locator("#table-clients thead button", has_text="Client")
    head.focus()
    opened.page.keyboard.press("Enter")
    names = rows_shown(opened.page, "clients")
    assert names == sorted(names)


def test_searching_leaves_what_matches_and_counts_it(opened: Opened, twin: dict[str, Any]) -> None:
    client = twin["tables"]["netting_sets"][0]["client_id"]
    opened.page.fill("#table-netting-sets input[type=search]", client.upper())
    expected = sorted(
        row["netting_set_id"]
        for row in twin["tables"]["netting_sets"]
        if row["client_id"] == client
    )
    assert sorted(rows_shown(opened.page, "netting-sets")) == expected
    total = len(twin["tables"]["netting_sets"])
    output = opened.page.locator("#table-netting-sets output").inner_text()
    assert output == f"{len(expected)} of {total} shown"


def test_filters_by_status_and_decision_combine(opened: Opened, twin: dict[str, Any]) -> None:
    opened.page.select_option("#table-netting-sets select[name=decision]", "call")
    expected = {
        row["netting_set_id"]
        for row in twin["tables"]["netting_sets"]
        if row["call_action"] == "call"
    }
    assert expected
    assert set(rows_shown(opened.page, "netting-sets")) == expected
    opened.page.select_option("#table-netting-sets select[name=status]", "failed")
    assert rows_shown(opened.page, "netting-sets") == []


def test_components_appear_on_request_and_add_up(opened: Opened, twin: dict[str, Any]) -> None:
    heads = opened.page.locator("#table-netting-sets thead th.extra")
    assert not heads.first.is_visible()
    opened.page.check("#table-netting-sets input[name=extra]")
    assert heads.count() == 8
    assert all(heads.nth(i).is_visible() for i in range(8))
    shown = [column(opened.page, "netting-sets", heads.nth(i).inner_text()) for i in range(8)]
    first = sum(amounts([cells[0] for cells in shown]), Decimal(0))
    assert first == amounts(column(opened.page, "netting-sets", "Requirement")[:1])[0]


def test_a_netting_set_opens_to_its_positions_and_scenarios(
    opened: Opened, twin: dict[str, Any]
) -> None:
    name = twin["tables"]["netting_sets"][0]["netting_set_id"]
    button = opened.page.locator("#table-netting-sets tbody th button", has_text=name).first
    button.click()
    box = opened.page.locator(".why-box")
    assert "Largest contributions" in box.inner_text()
    assert "Worst scenarios" in box.inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    button.click()
    assert box.count() == 0


def test_light_and_dark_differ_and_both_are_readable(
    browser: Browser, written: ReportPaths
) -> None:
    inks = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(written.html.as_uri())
        for place in ("figure.clients svg text", ".tile .detail", "nav a", ".badge"):
            assert page.evaluate(_CONTRAST, place) >= 4.5, (scheme, place)
        inks.append(page.evaluate("getComputedStyle(document.body).color"))
        page.close()
    assert inks[0] != inks[1]


@pytest.mark.parametrize("width", [1920, 1400, 800, 400])
def test_nothing_sticks_out_sideways(browser: Browser, written: ReportPaths, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(written.html.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_page_prints_in_light_colours_without_controls(
    browser: Browser, written: ReportPaths, tmp_path: Path
) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(written.html.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(26, 32, 39)"
    assert not page.locator("form.controls").is_visible()
    assert not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.close()


def test_everything_but_the_controls_is_there_without_scripts(
    browser: Browser, written: ReportPaths, twin: dict[str, Any]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written.html.as_uri())
    text = page.locator("main").inner_text()
    for row in twin["tables"]["netting_sets"]:
        assert row["netting_set_id"] in text
    context.close()


_CONTRAST = """
selector => {
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
  return Math.min(...Array.from(document.querySelectorAll(selector), node => {
    const style = getComputedStyle(node);
    const ink = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const pair = [light(ink), light(ground(node))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  }));
}
"""

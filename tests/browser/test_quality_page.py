"""The data-quality page in a real browser: nothing is fetched, and rows are found by their role."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from infra.market.quality_page import DatasetQuality, write_quality_page
from tests.unit.data_contracts.samples import BUSINESS_DATE, sample

CHROMIUM = shutil.which("chromium")


@pytest.mark.browser_full
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_the_page_shows_what_was_kept_out_without_fetching_anything(
    scheme: str, width: int, tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    frame = sample("marks")
    frame.loc[0, "mark_price"] = "0"
    outcome = validate(contract("marks"), frame, BUSINESS_DATE, Judge.MASKS)
    entries = [DatasetQuality(outcome, "marks.csv")]
    path = write_quality_page(tmp_path / "quality.html", "eod-2026-11-20-1", BUSINESS_DATE, entries)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path.as_uri())
        assert page.get_by_role("heading", name="Data quality").is_visible()
        assert page.get_by_text("1 row kept out of marks").is_visible()
        kept_out = page.get_by_role("region", name="Rows kept out of marks")
        assert "mark_price is '0': must be above 0" in kept_out.inner_text()
        page.get_by_text("rules kept").click()
        assert page.get_by_role("region", name="that every row keeps").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert requests == [path.as_uri()]
    assert complaints == []

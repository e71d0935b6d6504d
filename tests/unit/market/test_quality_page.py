"""The data-quality page shows every verdict, asks nothing from outside, and is the same bytes."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from infra.market.quality_page import ROWS_SHOWN, DatasetQuality, quality_html, write_quality_page
from tests.unit.data_contracts.samples import BUSINESS_DATE, DATASETS, sample

TITLE = "eod-2026-11-20-1"


def _quality(dataset: str, frame: pd.DataFrame | None = None) -> DatasetQuality:
    raw = sample(dataset) if frame is None else frame
    outcome = validate(contract(dataset), raw, BUSINESS_DATE, Judge.MASKS)
    return DatasetQuality(outcome, f"{dataset}.csv")


def _page(*datasets: DatasetQuality) -> str:
    return quality_html(TITLE, BUSINESS_DATE, datasets)


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]))


def _many_bad(n_rows: int) -> pd.DataFrame:
    frame = pd.concat([sample("fx_rates").iloc[[0]]] * n_rows, ignore_index=True)
    return frame.assign(asset=[f"A{i}" for i in range(n_rows)], usd_rate="abc")


class _Document(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.anchors.append(str(found["href"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_clean_datasets_say_that_every_row_is_used() -> None:
    text = _text(_page(*(_quality(dataset) for dataset in DATASETS)))
    assert "Every row is used as it was written." in text
    assert "Broken rules" not in text
    for dataset in DATASETS:
        assert dataset in text


def test_a_row_kept_out_is_shown_with_row_key_value_and_rule() -> None:
    frame = sample("marks")
    frame.loc[1, ["mark_price", "mark_iv"]] = ["1,000", "-1"]
    text = _text(_page(_quality("marks", frame)))
    assert "1 row kept out of marks" in text
    assert "business_date=2026-11-20 instrument_id=binance:BTCUSDT-SPOT" in text
    assert "mark_price is &#39;1,000&#39;: must be a plain decimal number" in text
    assert "mark_iv is &#39;-1&#39;: must be above 0 and at most 20 [within]" in text
    assert "8 of 9 rows accepted, 1 kept out. Source: marks.csv." in text


def test_a_refused_dataset_says_so_first() -> None:
    frame = sample("agreements")
    frame.loc[0, "confidence"] = "1.5"
    page = _page(_quality("marks"), _quality("agreements", frame))
    text = _text(page)
    assert "Refused: agreements. No row of what is refused is used." in text
    assert "agreements is refused: 1 of 3 rows (33.33%) are quarantined, limit 0.00%" in text
    assert page.index('id="agreements"') < page.index('id="marks"')


def test_only_the_first_rows_are_listed_and_the_page_says_of_how_many() -> None:
    page = _page(_quality("fx_rates", _many_bad(ROWS_SHOWN + 50)))
    assert "The first 200 of 250 rows" in _text(page)
    assert page.count("<li>") == ROWS_SHOWN


def test_every_row_is_counted_once() -> None:
    frame = pd.concat([sample("price_history"), sample("price_history").iloc[[0]]])
    text = _text(_page(_quality("price_history", frame)))
    assert "8 of 9 rows accepted, 1 set aside with a note." in text


def test_a_value_cannot_become_markup() -> None:
    frame = sample("fx_rates")
    frame.loc[0, "usd_rate"] = "<script>alert(1)</script>"
    frame.loc[1, "asset"] = "<img src=x onerror=alert(1)>"
    page = _page(_quality("fx_rates", frame))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_asks_nothing_from_outside() -> None:
    page = _page(*(_quality(dataset) for dataset in DATASETS))
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)", page)
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_page_is_well_formed_and_its_anchors_lead_somewhere() -> None:
    document = _Document()
    document.feed(_page(*(_quality(dataset) for dataset in DATASETS)))
    assert document.open == []
    assert len(set(document.ids)) == len(document.ids)
    assert {anchor.removeprefix("#") for anchor in document.anchors} <= set(document.ids)


def test_both_colour_schemes_are_there_and_tables_have_captions() -> None:
    page = _page(_quality("marks"))
    assert "prefers-color-scheme: dark" in page
    assert page.count("<table>") == page.count("<caption>")
    assert '<html lang="en">' in page


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    datasets = [_quality(dataset) for dataset in DATASETS]
    again = [_quality(dataset) for dataset in DATASETS]
    first = write_quality_page(tmp_path / "a.html", TITLE, BUSINESS_DATE, datasets).read_bytes()
    second = write_quality_page(tmp_path / "b.html", TITLE, BUSINESS_DATE, again).read_bytes()
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize("dataset", ["funding", "open_orders"])
def test_an_empty_optional_dataset_is_named_as_such(dataset: str) -> None:
    text = _text(_page(_quality(dataset, sample(dataset).iloc[:0])))
    assert "no rows" in text
    assert "0 of 0 rows accepted" in text


def test_a_missing_column_is_shown_with_what_was_found() -> None:
    text = _text(_page(_quality("fx_rates", sample("fx_rates").drop(columns="usd_rate"))))
    assert "required columns usd_rate are absent" in text


def test_the_day_is_written_out() -> None:
    page = quality_html(TITLE, date(2020, 3, 2), [])
    assert "2 March 2020" in page

"""The scorecard's page and twin: what they show, and that they show it the same way twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from engine.backtest.findings import (
    forecasts_of,
    misses,
    procyclicality_table,
    regime_table,
    sensitivity_table,
)
from engine.backtest.variants import HOUSE, ONE_DAY, ParameterValue
from engine.backtest.verdict import verdict
from infra.report.inputs import RunFacts
from infra.report.scorecard import HistoryFacts, ScorecardContent, published_scorecard

BOOKS = ("BTC long", "directional long")


def walked(variant: str) -> pd.DataFrame:
    generator = np.random.default_rng(12)
    parts = []
    for book in BOOKS:
        n = 400
        frame = pd.DataFrame({"date": pd.date_range("2023-06-01", periods=n, unit="ms")})
        frame["variant"], frame["book"] = variant, book
        frame["loss"] = 1e4 * generator.standard_t(3, n)
        tail = np.linspace(9e4, 4e4, 10)
        frame["value_at_risk"], frame["expected_shortfall"] = 4e4, float(tail.mean())
        frame["core_margin"], frame["requirement"] = 7e4, 9e4 + 1e3 * np.arange(n) / n
        frame["n_assets"], frame["horizon_days"], frame["n_tail"] = 1, 1, 10.0
        parts.append(frame.assign(**{f"tail_{k + 1}": tail[k] for k in range(10)}))
    return pd.concat(parts, ignore_index=True)


def verdicts(days: pd.DataFrame, variant: str) -> list[dict[str, object]]:
    from dataclasses import asdict

    rows = []
    for book, part in days.groupby("book", sort=True):
        flat = asdict(verdict(forecasts_of(str(book), part), confidence=0.99))
        for window in ("year", "three_years"):
            flat |= {f"{window}_{key}": value for key, value in flat.pop(window).items()}
        rows.append({"variant": variant, "book": str(book), **flat})
    return rows


@pytest.fixture(scope="module")
def content() -> ScorecardContent:
    one_day, house = walked(ONE_DAY), walked(HOUSE)
    notional = dict.fromkeys(BOOKS, 1e6)
    turbulent = pd.Series(True, index=pd.DatetimeIndex(one_day["date"].unique()))
    drawn = {
        book: one_day[one_day["book"] == book].assign(
            exception=lambda rows: rows["loss"] > rows["value_at_risk"]
        )
        for book in BOOKS
    }
    values = (
        ParameterValue("decay", 0.94, False, "decay 0.94"),
        ParameterValue("decay", 0.97, True, "shipped"),
    )
    varied = pd.concat([one_day.assign(variant=one.variant) for one in values])
    tools = one_day.assign(variant="shipped")
    replays = house.iloc[[5, 405]].assign(
        event="2025-10-10 <b>tariff</b>", shortfall=[0.0, 2e4], worst_loss=[np.nan, 1.2e5]
    )
    return ScorecardContent(
        run=RunFacts(
            run_id="backtest-2024-07-04-1", business_date=date(2024, 7, 4), sequence=1,
            snapshot_id="a" * 64, rule_book_hash="b" * 64, code_version="c", status="completed",
            as_of=datetime(2024, 7, 5, tzinfo=UTC),
        ),
        confidence=0.99,
        facts=HistoryFacts(400, 20, 1e-14),
        families={"BTC long": "asset", "directional long": "directional"},
        notional=notional,
        verdicts=pd.DataFrame(verdicts(one_day, ONE_DAY) + verdicts(house, HOUSE)),
        regimes=regime_table(one_day, turbulent, confidence=0.99),
        tools=procyclicality_table(tools, notional),
        sensitivity=sensitivity_table(
            varied, values, notional, dict.fromkeys(("shipped", "decay 0.94"), 0.99)
        ),
        replays=replays,
        misses=misses(house),
        drawn=drawn,
        tool_days=tools.assign(share=tools["requirement"] / 1e6)[["variant", "date", "share"]],
        tool_book="directional long",
        grid=pd.DataFrame(),
        choice={},
    )  # fmt: skip


def test_same_content_gives_the_same_bytes(content: ScorecardContent) -> None:
    assert published_scorecard(content) == published_scorecard(content)


def test_page_asks_nothing_from_outside_and_escapes_what_it_shows(
    content: ScorecardContent,
) -> None:
    page = published_scorecard(content)["scorecard.html"].decode()
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "<b>tariff</b>" not in page
    assert "default-src 'none'" in page


def test_page_shows_the_counts_of_the_twin(content: ScorecardContent) -> None:
    files = published_scorecard(content)
    twin = json.loads(files["scorecard.json"])
    page = files["scorecard.html"].decode()
    for row in twin["coverage"][ONE_DAY]:
        assert f">{row['book']}<" in page
        assert row["coverage"] in ("accepted", "too little", "too much")
    days = content.drawn["BTC long"]
    by_book = {row["book"]: row for row in twin["coverage"][ONE_DAY]}
    assert by_book["BTC long"]["exceptions"] == int(days["exception"].sum())
    assert twin["replays"][0]["worst_loss"] is None


def test_every_section_is_listed_and_tuning_only_when_there_was_one(
    content: ScorecardContent,
) -> None:
    page = published_scorecard(content)["scorecard.html"].decode()
    for anchor in ("coverage", "horizon", "misses", "replays", "regimes", "tools", "sensitivity"):
        assert f'<section id="{anchor}"' in page
    assert '<section id="tuning"' not in page
    grid = pd.DataFrame(
        {
            "variant": ["fast", "shipped"], "score": [1.0, 1.1], "gap": [-0.1, 0.0],
            "t_statistic": [-3.0, 0.0], "p_value": [0.003, 1.0],
            "worst_third_p_value": [0.4, 1.0], "exception_rate": [0.01, 0.009],
        }
    )  # fmt: skip
    gap = {"mean_difference": -0.1, "p_value": 0.003}
    choice = {
        "variant": "fast", "is_shipped": False, "replaces": False, "rise_ratio": 1.2,
        "tuning": gap, "steady": [], "later": {"mean_difference": 0.02, "p_value": 0.5},
    }  # fmt: skip
    tuned = published_scorecard(replace(content, grid=grid, choice=choice))
    page = tuned["scorecard.html"].decode()
    assert '<section id="tuning"' in page
    assert "By the rule it does not replace the shipped filter." in page
    assert "From 2024 on, which had no part in this: score +0.0200, p 0.500." in page


def test_pictures_are_cards_of_their_own(content: ScorecardContent) -> None:
    files = published_scorecard(content)
    pictures = {name for name in files if name.endswith(".svg")}
    assert pictures == {"coverage.svg", "exceptions.svg", "replays.svg"}
    for name in pictures:
        assert files[name].startswith(b"<svg")
        assert b"var(--" not in files[name]

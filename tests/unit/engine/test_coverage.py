"""Coverage over history: what a day may see, and what it is compared with."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from engine.backtest.books import CoverageBook
from engine.backtest.coverage import coverage, first_testable_date
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from tests.worlds import small

HOUSE, _ = read_house_parameters(DEFAULT_PARAMETERS, small.BUSINESS_DATE)
DAY = date(2026, 3, 1)
LONG = CoverageBook("long", {"BTC": 1e6, "ETH": 1e6})


def covered(closes: pd.DataFrame, *books: CoverageBook) -> pd.DataFrame:
    return coverage(closes, books or (LONG,), HOUSE, [DAY], confidence=0.99)


def test_margin_does_not_see_the_next_day() -> None:
    closes = small.price_history()
    crashed = closes.copy()
    crashed.loc[crashed["date"] > pd.Timestamp(DAY), "close"] *= 0.5
    calm, crash = covered(closes), covered(crashed)
    assert crash["requirement"].tolist() == calm["requirement"].tolist()
    assert crash["loss"].iat[0] > 9e5


def test_loss_is_the_change_to_the_next_close() -> None:
    closes = small.price_history()
    wide = closes.pivot(index="date", columns="asset", values="close")
    today, tomorrow = wide.loc[pd.Timestamp(DAY)], wide.loc[pd.Timestamp(DAY + timedelta(days=1))]
    expected = -sum(1e6 * (tomorrow[asset] / today[asset] - 1.0) for asset in ("BTC", "ETH"))
    assert covered(closes)["loss"].iat[0] == pytest.approx(expected)


def test_asset_without_the_next_close_is_left_out_of_the_day() -> None:
    closes = small.price_history()
    gone = (closes["asset"] == "ETH") & (closes["date"] > pd.Timestamp(DAY))
    found = covered(closes[~gone])
    assert found["n_assets"].tolist() == [1]


def test_opposite_books_have_opposite_losses() -> None:
    short = CoverageBook("short", {"BTC": -1e6, "ETH": -1e6})
    found = covered(small.price_history(), LONG, short).set_index("book")
    assert found.loc["short", "loss"] == pytest.approx(-found.loc["long", "loss"])


def test_first_testable_date_leaves_room_for_scenarios() -> None:
    closes = small.price_history()
    first = first_testable_date(closes, HOUSE)
    assert len(coverage(closes, (LONG,), HOUSE, [first], confidence=0.99)) == 1

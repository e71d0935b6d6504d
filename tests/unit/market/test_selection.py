"""A business date needs its window of rows, and never loses a row whose date is unreadable."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from data_contracts.contract import Kind
from data_contracts.registry import ALL_DAY, VERSIONS, contract
from infra.market.daily import DATASETS, daily_dataset
from infra.market.history.expiries import dated_symbol, quarterly_expiries
from infra.market.raw import content_hash
from infra.market.selection import (
    dates_in,
    last_snapshots,
    nearest_dates,
    selected,
    selection_of,
)

DAY = date(2026, 11, 20)


def _kept(dataset: str, column: str, cells: list[str | None]) -> list[str | None]:
    selection = selection_of(contract(dataset), [column], DAY)
    assert selection is not None
    texts = pd.Series(cells, dtype="str")
    return texts[selected(texts, selection)].tolist()


def test_every_dataset_of_the_close_has_a_contract_and_the_other_way_round() -> None:
    assert {dataset.name for dataset in DATASETS} == set(VERSIONS) - ALL_DAY
    with pytest.raises(LookupError, match="'prices'"):
        daily_dataset("prices")


def test_marks_of_the_date_alone_are_needed() -> None:
    assert _kept("marks", "business_date", ["2026-11-19", "2026-11-20", "2026-11-21", "soon"]) == [
        "2026-11-20",
        "soon",
    ]


def test_history_is_needed_up_to_the_date_and_eleven_years_back() -> None:
    cells = ["2015-11-19", "2015-11-20", "2026-11-20", "2026-11-21", "x"]
    assert _kept("price_history", "date", cells) == ["2015-11-20", "2026-11-20", "x"]


def test_agreements_are_needed_however_old_and_never_before_they_are_in_force() -> None:
    cells = ["1999-01-01", "2026-11-20", "2026-11-21"]
    assert _kept("agreements", "effective_date", cells) == ["1999-01-01", "2026-11-20"]


def test_funding_belongs_to_the_day_that_it_closes() -> None:
    cells = ["2026-11-20T00:00:00Z", "2026-11-20T00:00:01Z", "2026-11-21T01:00:00+01:00",
             "2026-11-21T00:00:01Z"]  # fmt: skip
    assert _kept("funding", "ts_utc", cells) == cells[1:3]


def test_intraday_volatility_is_selected_by_its_instant() -> None:
    cells = ["2015-11-19T23:59:59Z", "2015-11-20T00:00:01Z", "2026-11-21T00:00:00Z",
             "2026-11-21T00:00:01Z"]  # fmt: skip
    assert _kept("volatility_history", "ts_utc", cells) == cells[1:3]


def test_instruments_have_no_date() -> None:
    assert selection_of(contract("instruments"), ["instrument_id"], DAY) is None


def test_a_lookback_that_ends_on_a_leap_day_starts_in_march() -> None:
    selection = selection_of(contract("price_history"), ["date"], date(2028, 2, 29))
    assert selection is not None
    assert selection.first == date(2017, 3, 1)


def test_the_last_snapshot_of_each_currency_is_taken_and_unreadable_rows_stay() -> None:
    frame = pd.DataFrame(
        {
            "ts_utc": ["2026-11-20T10:00:00Z", "2026-11-20T23:00:00Z", "2026-11-20T09:00:00Z", "x"],
            "currency": ["BTC", "BTC", "ETH", "BTC"],
            "row": [1, 2, 3, 4],
        }
    )
    assert last_snapshots(frame, "ts_utc", "currency")["row"].tolist() == [2, 3, 4]


def test_midnight_closes_the_date_before_it() -> None:
    cells = pd.Series(["2026-11-20T00:00:00Z", "2026-11-20T00:00:01Z"], dtype="str")
    assert dates_in(cells, Kind.INSTANT) == [date(2026, 11, 19), DAY]


def test_nearest_dates_are_named_on_both_sides() -> None:
    dates = [date(2026, 11, 1), date(2026, 11, 18), date(2026, 11, 23), date(2026, 12, 1)]
    clause = nearest_dates(dates, DAY)
    assert clause == (
        "the nearest are 2026-11-18 and 2026-11-23, of 4 dates from 2026-11-01 to 2026-12-01"
    )
    assert nearest_dates(dates[:1], DAY).startswith("the nearest is 2026-11-01")
    assert nearest_dates([], DAY) == "it has no readable date at all"


@pytest.mark.parametrize(
    ("after", "expected"),
    [(datetime(2026, 11, 21, tzinfo=UTC), "2026-12-25"),
     (datetime(2026, 3, 27, 7, 59, tzinfo=UTC), "2026-03-27"),
     (datetime(2026, 3, 27, 8, tzinfo=UTC), "2026-06-26"),
     (datetime(2020, 12, 31, tzinfo=UTC), "2021-03-26")],
)  # fmt: skip
def test_quarterly_futures_expire_on_the_last_friday(after: datetime, expected: str) -> None:
    assert f"{quarterly_expiries(after, 1)[0]:%Y-%m-%d}" == expected


def test_dated_futures_are_named_as_the_venue_names_them() -> None:
    assert dated_symbol("ETH", datetime(2026, 6, 26, 8, tzinfo=UTC)) == "ETH-26JUN26"


def test_equal_rows_have_equal_hashes_and_any_change_changes_them() -> None:
    frame = pd.DataFrame({"a": ["x", None, ""], "b": [1.0, float("nan"), 2.0]})
    same = pd.DataFrame({"a": ["x", None, ""], "b": [1.0, float("nan"), 2.0]})
    assert content_hash(frame) == content_hash(same)
    others = [
        frame.rename(columns={"a": "c"}),
        frame[["b", "a"]],
        frame.iloc[::-1],
        frame.assign(a=["x", "", None]),
        frame.assign(a=["", "x", None]),
        frame.assign(b=[1.0, float("nan"), 2.0000000001]),
        frame.iloc[:2],
    ]
    assert len({content_hash(other) for other in (frame, *others)}) == 8


def test_texts_cannot_flow_from_one_cell_into_the_next() -> None:
    one = pd.DataFrame({"a": ["ab", "c"]}, dtype="str")
    other = pd.DataFrame({"a": ["a", "bc"]}, dtype="str")
    assert content_hash(one) != content_hash(other)

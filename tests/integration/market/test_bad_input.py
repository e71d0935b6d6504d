"""What bad input gets, from the place that it lies in to the reason that a person reads."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.results import Validation
from data_contracts.validation import faults, validate
from engine.errors import MissingDataError
from infra.market.source import open_source
from tests.integration.market.places import csv_folder, parquet_folder, sqlite_file, typed
from tests.unit.data_contracts.samples import BUSINESS_DATE, sample

BAD_TEXTS = [
    "NaN",
    "inf",
    "-inf",
    "0",
    "-91251.8",
    "1e400",
    "91,251.8",
    "abc",
    "٩١٢٥١",
    " 91251.8 ",
]
BAD_FLOATS = [math.nan, math.inf, -math.inf, 0.0, -91251.8]


def _close(location: str, dataset: str) -> Validation:
    rows = open_source(location).read(dataset, BUSINESS_DATE)
    return validate(contract(dataset), rows.frame, BUSINESS_DATE)


def _names_the_bad_mark(outcome: Validation) -> None:
    assert outcome.refusal is None
    assert len(outcome.accepted) == len(sample("marks")) - 1
    reason = outcome.quarantined["_reason"].iloc[0]
    for part in ("row ", "instrument_id=binance:BTCUSDT", "mark_price is ", "["):
        assert part in reason
    failed = [check for check in outcome.checks if check.kind == "row" and not check.passed]
    assert {(check.column, check.n_failed) for check in failed} == {("mark_price", 1)}
    found = faults(contract("marks"), outcome, BUSINESS_DATE)
    assert found["identifier"].tolist() == ["binance:BTCUSDT"]


@pytest.mark.parametrize("written", BAD_TEXTS)
def test_a_bad_price_in_csv_is_quarantined_and_counted(written: str, tmp_path: Path) -> None:
    frame = sample("marks")
    frame.loc[0, "mark_price"] = written
    outcome = _close(str(csv_folder(tmp_path / "m", marks=frame)), "marks")
    _names_the_bad_mark(outcome)
    assert repr(written) in outcome.quarantined["_reason"].iloc[0]
    assert outcome.quarantined["_row"].tolist() == [2]


@pytest.mark.parametrize("value", BAD_FLOATS)
def test_a_bad_price_in_parquet_is_quarantined_and_counted(value: float, tmp_path: Path) -> None:
    frame = typed("marks")
    frame.loc[0, "mark_price"] = value
    _names_the_bad_mark(_close(str(parquet_folder(tmp_path / "m", marks=frame)), "marks"))


@pytest.mark.parametrize("written", BAD_TEXTS)
def test_a_bad_price_in_a_database_is_quarantined_and_counted(written: str, tmp_path: Path) -> None:
    frame = sample("marks")
    frame.loc[0, "mark_price"] = written
    _names_the_bad_mark(_close(sqlite_file(tmp_path / "m.db", marks=frame), "marks"))


def test_a_history_with_every_disorder_gives_its_good_rows_and_says_the_rest(
    tmp_path: Path,
) -> None:
    frame = sample("price_history")
    again = frame.iloc[[3]]
    other = frame.iloc[[0]].assign(close="1")
    without_close = frame.iloc[[1]].assign(date="2026-11-17", close=None)
    zoned = frame.iloc[[1]].assign(date="2026-11-16T00:00:00+02:00")
    mixed = pd.concat([frame.iloc[::-1], again, other, without_close, zoned])
    outcome = _close(str(csv_folder(tmp_path / "m", price_history=mixed)), "price_history")
    kept_out = outcome.quarantined["_reason"].str.extract(r"\[(\w+)\]$")[0]
    assert sorted(kept_out) == ["readable", "required", "unique", "unique"]
    assert len(outcome.accepted) == len(frame) - 1
    assert outcome.accepted.equals(outcome.accepted.sort_values(["asset", "date"]))
    noted = {check.rule: check.n_failed for check in outcome.checks if check.kind == "note"}
    assert noted["repeated"] == 1
    assert noted["sorted"] > 0
    assert noted["gaps"] == 1


def test_mixed_time_zones_are_converted_or_quarantined_never_guessed(tmp_path: Path) -> None:
    frame = sample("funding")
    frame.loc[0, "ts_utc"] = "2026-11-20T17:00:00+09:00"
    frame.loc[1, "ts_utc"] = "2026-11-20 08:00:00"
    outcome = _close(str(csv_folder(tmp_path / "m", funding=frame)), "funding")
    assert outcome.quarantined["symbol"].tolist() == ["ETHUSDT"]
    assert (outcome.accepted["ts_utc"] == pd.Timestamp("2026-11-20T08:00Z")).sum() == 1
    assert any(check.rule == "time_zone" and check.n_failed == 1 for check in outcome.checks)


@pytest.mark.parametrize(
    ("dataset", "day"), [("price_history", date(2026, 11, 22)), ("positions", date(2026, 11, 22))]
)
def test_no_data_for_the_date_is_one_clear_sentence(
    dataset: str, day: date, tmp_path: Path
) -> None:
    for location in (
        str(csv_folder(tmp_path / "csv")),
        str(parquet_folder(tmp_path / "parquet")),
        sqlite_file(tmp_path / "m.db"),
    ):
        with pytest.raises(MissingDataError) as failure:
            open_source(location).read(dataset, day)
        assert f"no {dataset} for {day}: the nearest is 2026-11-20" in str(failure.value)
        assert not failure.value.retryable


def test_an_empty_book_stops_with_one_sentence_in_every_place(tmp_path: Path) -> None:
    empty = {"positions": sample("positions").iloc[:0]}
    for location in (
        str(csv_folder(tmp_path / "csv", **empty)),
        sqlite_file(tmp_path / "m.db", **empty),
    ):
        with pytest.raises(MissingDataError, match="no positions for 2026-11-20"):
            open_source(location).read("positions", BUSINESS_DATE)


def test_datasets_may_be_validated_in_several_threads_at_once() -> None:
    names = ["marks", "fx_rates", "price_history", "positions"] * 3

    def check(dataset: str) -> tuple[int, int]:
        outcome = validate(contract(dataset), sample(dataset), BUSINESS_DATE)
        return len(outcome.accepted), len(outcome.quarantined)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(check, names))
    assert found == [(len(sample(name)), 0) for name in names]

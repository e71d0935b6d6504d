"""Bad rows are quarantined with their reason, good rows are untouched, datasets are refused."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.results import CheckResult, Validation
from data_contracts.validation import Judge, faults, validate
from tests.unit.data_contracts.samples import BUSINESS_DATE, sample


def _validate(dataset: str, frame: pd.DataFrame, business_date: date | None = None) -> Validation:
    return validate(contract(dataset), frame, business_date, Judge.MASKS)


def _with(dataset: str, row: int, column: str, value: str | None) -> pd.DataFrame:
    frame = sample(dataset)
    frame.loc[row, column] = value
    return frame


def _check(outcome: Validation, rule: str, column: str = "") -> CheckResult:
    return next(c for c in outcome.checks if c.rule == rule and column in ("", c.column))


@pytest.mark.parametrize(
    ("written", "rule"),
    [("NaN", "readable"), ("inf", "readable"), ("0", "within"), ("-91240", "within"),
     ("1e400", "readable"), ("91,240", "readable"), ("abc", "readable"), ("١٢", "readable"),
     (" 1 ", "readable"), (None, "required"), ("1e13", "within")],
)  # fmt: skip
def test_a_bad_close_is_quarantined_and_named(written: str | None, rule: str) -> None:
    frame = _with("price_history", 2, "close", written)
    outcome = _validate("price_history", frame)
    assert len(outcome.accepted) == len(frame) - 1
    assert outcome.refusal is None
    kept_out = outcome.quarantined.iloc[0]
    assert kept_out["_row"] == 3
    assert kept_out["close"] == written or pd.isna(kept_out["close"])
    reason = kept_out["_reason"]
    assert "row 3" in reason
    assert "asset=BTC date=2026-11-20" in reason
    assert "close is " + (repr(written) if written else "empty") in reason
    assert f"[{rule}]" in reason
    assert _check(outcome, rule, "close").n_failed == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_a_bad_float_is_quarantined_whatever_the_file_type(value: float) -> None:
    frame = _validate("marks", sample("marks")).accepted
    frame.loc[1, "mark_price"] = value
    outcome = _validate("marks", frame)
    assert len(outcome.accepted) == len(frame) - 1
    assert "mark_price" in outcome.quarantined["_reason"].iloc[0]


def test_every_rule_that_a_row_breaks_is_in_its_reason() -> None:
    frame = sample("instruments")
    frame.loc[0, ["contract_multiplier", "tick_size", "payoff"]] = ["0", "x", "cubic"]
    reason = _validate("instruments", frame).quarantined["_reason"].iloc[0]
    for part in ("contract_multiplier is '0'", "tick_size is 'x'", "payoff is 'cubic'"):
        assert part in reason


@pytest.mark.parametrize(
    ("row", "column", "value", "clause"),
    [(5, "strike", None, "must be present where kind is option"),
     (5, "option_type", None, "must be present where kind is option"),
     (0, "strike", "100", "must be empty where kind is spot or future or perpetual"),
     (0, "expiry_utc", "2026-12-25T08:00:00Z", "must be empty where kind is spot or perpetual"),
     (4, "expiry_utc", None, "must be present where kind is future or option"),
     (1, "contract_multiplier", "10", "must be 1 where kind is spot"),
     (1, "settlement_asset", "BTC", "must equal quote_asset where kind is spot"),
     (7, "settlement_asset", "USD", "must equal underlying where payoff is inverse"),
     (1, "payoff", "inverse", "must be linear where kind is spot"),
     (5, "expiry_utc", "2026-12-25T08:00:00", "must be an ISO 8601 instant"),
     (0, "instrument_id", "<b>", "must be text of 1 to 96")],
)  # fmt: skip
def test_instruments_are_consistent(row: int, column: str, value: str | None, clause: str) -> None:
    outcome = _validate("instruments", _with("instruments", row, column, value))
    assert len(outcome.quarantined) == 1
    assert clause in outcome.quarantined["_reason"].iloc[0]


@pytest.mark.parametrize(
    ("column", "value"), [("high", "90000"), ("low", "92000"), ("open", "1"), ("open", "99999999")]
)
def test_high_low_open_and_close_are_ordered(column: str, value: str) -> None:
    outcome = _validate("price_history", _with("price_history", 2, column, value))
    assert "[ordered]" in outcome.quarantined["_reason"].iloc[0]


def test_a_bid_above_the_ask_is_quarantined_and_empty_sides_are_fine() -> None:
    frame = sample("option_chains")
    frame.loc[0, ["bid_price", "ask_price"]] = [None, None]
    frame.loc[1, "bid_price"] = "0"
    frame.loc[2, "bid_price"] = "0.02"
    outcome = _validate("option_chains", frame)
    assert outcome.quarantined["instrument_name"].tolist() == ["BTC-25DEC26-80000-P"]


def test_rows_equal_in_every_column_are_kept_once_and_noted() -> None:
    frame = sample("price_history")
    again = frame.iloc[[0]].assign(close="91876.30")
    outcome = _validate("price_history", pd.concat([frame, again, again]))
    assert len(outcome.accepted) == len(frame)
    assert len(outcome.quarantined) == 0
    note = _check(outcome, "repeated")
    assert (note.kind, note.n_failed, note.passed) == ("note", 2, True)
    assert "rows 9, 10" in note.detail


def test_rows_of_one_key_that_differ_are_all_kept_out() -> None:
    frame = sample("price_history")
    other = frame.iloc[[0]].assign(close="91000")
    outcome = _validate("price_history", pd.concat([frame, frame.iloc[[0]], other]))
    assert outcome.quarantined["_row"].tolist() == [1, 9, 10]
    assert not (
        (outcome.accepted["asset"] == "BTC") & (outcome.accepted["date"] == "2026-11-18")
    ).any()
    assert all("[unique]" in reason for reason in outcome.quarantined["_reason"])


def test_a_good_row_does_not_win_over_a_bad_row_of_its_key() -> None:
    frame = sample("price_history")
    bad = frame.iloc[[0]].assign(close="abc")
    outcome = _validate("price_history", pd.concat([frame, bad]))
    assert outcome.quarantined["_row"].tolist() == [1, 9]


def test_equal_rows_that_cannot_be_read_are_both_quarantined() -> None:
    frame = sample("price_history")
    bad = frame.iloc[[0]].assign(close="abc")
    outcome = _validate("price_history", pd.concat([frame.drop(index=0), bad, bad]))
    assert len(outcome.quarantined) == 2
    assert len(outcome.accepted) == len(frame) - 1


def test_unsorted_rows_are_sorted_and_noted() -> None:
    frame = sample("price_history")
    shuffled = _validate("price_history", frame.iloc[::-1])
    ordered = _validate("price_history", frame.sort_values(["asset", "date"]))
    pd.testing.assert_frame_equal(shuffled.accepted, ordered.accepted)
    assert _check(shuffled, "sorted").n_failed > 0
    assert not any(check.rule == "sorted" for check in ordered.checks)


def test_gaps_are_noted_and_never_filled() -> None:
    outcome = _validate("price_history", sample("price_history"))
    note = _check(outcome, "gaps")
    assert note.n_failed == 1
    assert "ETH 2026-11-19 (1 day)" in note.detail
    assert len(outcome.accepted) == outcome.n_rows


def test_a_day_without_close_is_quarantined_and_a_day_of_close_alone_is_not() -> None:
    frame = sample("price_history")
    frame.loc[0, "close"] = None
    outcome = _validate("price_history", frame)
    assert outcome.quarantined["date"].tolist() == ["2026-11-18"]
    close_only = outcome.accepted[outcome.accepted["open"].isna()]
    assert close_only["asset"].tolist() == ["ETH"]


def test_instants_without_offset_are_quarantined_and_other_offsets_are_noted() -> None:
    frame = sample("marks")
    frame.loc[0, "observed_utc"] = "2026-11-21T00:00:00"
    frame.loc[1, "observed_utc"] = "2026-11-20T19:00:00-05:00"
    outcome = _validate("marks", frame, BUSINESS_DATE)
    assert outcome.quarantined["_row"].tolist() == [1]
    assert "1 no zone" in _check(outcome, "readable", "observed_utc").detail
    assert _check(outcome, "time_zone").n_failed == 1
    spot = outcome.accepted.set_index("instrument_id").loc["binance:BTCUSDT-SPOT"]
    assert spot["observed_utc"] == pd.Timestamp("2026-11-21T00:00:00Z")


def test_rows_of_other_dates_are_set_aside_with_a_note() -> None:
    frame = sample("marks")
    frame.loc[0, "business_date"] = "2026-11-19"
    outcome = _validate("marks", frame, BUSINESS_DATE)
    assert len(outcome.accepted) == len(frame) - 1
    assert len(outcome.quarantined) == 0
    assert _check(outcome, "other_dates").n_failed == 1


def test_history_after_the_business_date_is_never_seen() -> None:
    outcome = _validate("price_history", sample("price_history"), date(2026, 11, 19))
    assert outcome.accepted["date"].max() == pd.Timestamp("2026-11-19")


def test_a_business_date_holds_the_funding_after_the_last_close_up_to_its_own() -> None:
    frame = sample("funding")
    frame.loc[0, "ts_utc"] = "2026-11-20T00:00:00Z"
    outcome = _validate("funding", frame, BUSINESS_DATE)
    assert len(outcome.accepted) == len(frame) - 1
    assert outcome.accepted["ts_utc"].max() == pd.Timestamp("2026-11-21T00:00:00Z")


def test_an_observation_from_the_future_is_quarantined() -> None:
    frame = _with("marks", 0, "observed_utc", "2026-11-21T01:00:01Z")
    outcome = _validate("marks", frame, BUSINESS_DATE)
    assert "[timely]" in outcome.quarantined["_reason"].iloc[0]
    frame.loc[0, "observed_utc"] = "2026-11-21T01:00:00Z"
    assert len(_validate("marks", frame, BUSINESS_DATE).quarantined) == 0


def test_intraday_volatility_gives_the_last_good_row_of_each_day() -> None:
    frame = pd.DataFrame(
        {
            "ts_utc": ["2026-11-19T04:00:00Z", "2026-11-19T22:00:00Z", "2026-11-19T10:00:00Z",
                       "2026-11-20T01:00:00Z", "2026-11-20T02:00:00Z", "2026-11-19T23:30:00-02:00"],
            "currency": ["BTC", "BTC", "BTC", "BTC", "BTC", "ETH"],
            "atm_iv_30d": ["0.4", "0.6", "0.5", "0.7", "0", "0.9"],
        }
    )  # fmt: skip
    outcome = _validate("volatility_history", frame, BUSINESS_DATE)
    assert outcome.accepted["atm_iv_30d"].tolist() == [0.6, 0.7, 0.9]
    assert outcome.accepted["date"].dt.strftime("%d").tolist() == ["19", "20", "20"]
    assert outcome.quarantined["_row"].tolist() == [5]
    assert _check(outcome, "last_of_day").n_failed == 2


def test_a_missing_required_column_refuses_the_dataset_and_says_what_was_found() -> None:
    outcome = _validate("price_history", sample("price_history").drop(columns=["close", "date"]))
    assert outcome.refusal is not None
    assert "required columns date, close are absent" in outcome.refusal
    assert "asset, open, high" in outcome.refusal
    assert len(outcome.accepted) == 0
    assert len(outcome.quarantined) == outcome.n_rows


def test_a_column_that_occurs_twice_refuses_the_dataset() -> None:
    frame = sample("fx_rates")
    outcome = _validate("fx_rates", pd.concat([frame, frame[["usd_rate"]]], axis=1))
    assert outcome.refusal is not None
    assert "usd_rate occur twice" in outcome.refusal


def test_absent_optional_and_unknown_columns_are_noted() -> None:
    frame = sample("price_history").drop(columns=["volume", "utc_aligned"]).assign(extra="1")
    outcome = _validate("price_history", frame)
    noted = {(c.rule, c.column) for c in outcome.checks if c.kind == "note"}
    assert {
        ("absent_column", "volume"),
        ("absent_column", "utc_aligned"),
        ("unknown_column", "extra"),
    } <= noted
    assert outcome.accepted["volume"].isna().all()
    assert outcome.accepted["utc_aligned"].all()


def test_a_dataset_is_refused_above_its_share_and_not_for_a_few_rows() -> None:
    frame = pd.concat([sample("price_history")] * 50, ignore_index=True)
    frame["asset"] = [f"A{i}" for i in range(len(frame))]
    frame.loc[:24, "close"] = "abc"
    assert _validate("price_history", frame).refusal is None
    frame.loc[25, "close"] = "abc"
    refusal = _validate("price_history", frame).refusal
    assert refusal is not None
    assert "26 of 400 rows (6.50%) are quarantined, limit 2.00%" in refusal
    assert "close is 'abc'" in refusal


def test_a_required_dataset_without_accepted_rows_is_refused() -> None:
    outcome = _validate("fx_rates", sample("fx_rates").assign(usd_rate="0"))
    assert outcome.refusal is not None
    outcome = _validate("positions", sample("positions").iloc[:0])
    assert outcome.refusal == ("positions is refused: 0 of 0 rows are accepted, at least 1 needed")
    assert _validate("funding", sample("funding").iloc[:0]).refusal is None


@pytest.mark.parametrize("confidence", ["1", "1.0", "0.5", "99"])
def test_one_bad_agreement_refuses_all_and_names_key_value_and_limit(confidence: str) -> None:
    outcome = _validate("agreements", _with("agreements", 1, "confidence", confidence))
    assert outcome.refusal is not None
    assert "netting_set_id=C001-NS1" in outcome.refusal
    assert f"confidence is '{confidence}': must be at least 0.9 and below 1" in outcome.refusal


def test_usd_is_worth_one_usd() -> None:
    outcome = _validate("fx_rates", _with("fx_rates", 1, "usd_rate", "1.01"))
    assert outcome.quarantined["asset"].tolist() == ["USD"]


def test_a_line_that_could_not_be_split_is_quarantined() -> None:
    frame = sample("fx_rates").assign(_line_fault=[None, None, None, "4 fields expected, 5 found"])
    outcome = _validate("fx_rates", frame)
    assert "4 fields expected, 5 found" in outcome.quarantined["_reason"].iloc[0]
    assert "_line_fault" not in outcome.accepted.columns


def test_given_row_numbers_name_the_rows() -> None:
    frame = _with("fx_rates", 2, "usd_rate", "x").assign(_row=[12, 13, 14, 15])
    outcome = _validate("fx_rates", frame)
    assert outcome.quarantined["_row"].tolist() == [14]
    assert outcome.quarantined["_reason"].iloc[0].startswith("row 14 ")


def test_every_row_is_accounted_for() -> None:
    frame = sample("volatility_history").rename(columns={"date": "ts_utc"})
    frame["ts_utc"] += "T10:00:00Z"
    later = frame.iloc[[0]].assign(ts_utc="2026-11-18T11:00:00Z")
    dirty = frame.iloc[[1]].assign(atm_iv_30d="-1", ts_utc="2026-11-17T11:00:00Z")
    tomorrow = frame.iloc[[1]].assign(ts_utc="2026-11-21T00:00:01Z")
    raw = pd.concat([frame, frame.iloc[[2]], later, dirty, tomorrow])
    outcome = _validate("volatility_history", raw, BUSINESS_DATE)
    aside = sum(
        c.n_failed for c in outcome.checks if c.rule in {"repeated", "last_of_day", "other_dates"}
    )
    assert aside == 3
    assert len(outcome.accepted) + len(outcome.quarantined) + aside == outcome.n_rows


def test_faults_name_what_has_no_data_on_the_business_date() -> None:
    frame = sample("price_history")
    frame.loc[[0, 2], "close"] = "abc"
    frame.loc[5, "date"] = "soon"
    definition = contract("price_history")
    found = faults(definition, _validate("price_history", frame, BUSINESS_DATE), BUSINESS_DATE)
    assert found["identifier"].tolist() == ["BTC", "PEPE"]
    assert found["dataset"].unique().tolist() == ["price_history"]
    assert "close is 'abc'" in found["reason"].iloc[0]


def test_faults_of_a_dataset_without_bad_rows_are_empty() -> None:
    outcome = _validate("marks", sample("marks"), BUSINESS_DATE)
    assert len(faults(contract("marks"), outcome, BUSINESS_DATE)) == 0


def test_long_values_are_cut_in_reasons() -> None:
    outcome = _validate("fx_rates", _with("fx_rates", 2, "usd_rate", "9" * 5000 + "x"))
    assert len(outcome.quarantined["_reason"].iloc[0]) < 300


def test_the_raw_frame_is_left_as_it_was() -> None:
    frame = sample("price_history")
    before = frame.copy(deep=True)
    _validate("price_history", frame, BUSINESS_DATE)
    pd.testing.assert_frame_equal(frame, before)

"""Real market history is accepted exactly as it is, and closes real days."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.results import Validation
from data_contracts.validation import Judge, validate
from engine.errors import MissingDataError
from engine.pricing.black76 import OptionTerms, option_value
from infra.market.daily import DATASETS
from infra.market.source import open_source

STRESS_DAYS = ["2020-03-12", "2021-05-19", "2022-11-09", "2023-03-11", "2024-08-05", "2025-10-10"]
CHAIN_DAY = date(2026, 2, 5)
MARKET = [dataset.name for dataset in DATASETS if dataset.origin == "market"]


def _whole(real_data: Path, dataset: str, file: str) -> Validation:
    return validate(contract(dataset), pd.read_parquet(real_data / f"{file}.parquet"))


def _note(outcome: Validation, rule: str, column: str = "") -> int:
    return sum(c.n_failed for c in outcome.checks if c.rule == rule and column in ("", c.column))


def test_daily_prices_are_accepted_with_their_gaps_and_close_only_rows(real_data: Path) -> None:
    outcome = _whole(real_data, "price_history", "prices_daily")
    assert (outcome.n_rows, len(outcome.accepted), len(outcome.quarantined)) == (
        288_329,
        288_329,
        0,
    )
    assert _note(outcome, "empty", "open") == 76_202
    assert _note(outcome, "gaps") == 2_253
    assert outcome.accepted["close"].min() == 3.0256e-07
    gap = (outcome.accepted["asset"] == "MATIC") & outcome.accepted["date"].between(
        "2022-10-10", "2023-12-31"
    )
    assert not gap.any()


def test_option_chains_are_accepted_with_empty_sides_and_marks_of_zero(real_data: Path) -> None:
    outcome = _whole(real_data, "option_chains", "options_deribit_snapshots")
    assert (len(outcome.accepted), len(outcome.quarantined)) == (479_374, 0)
    assert _note(outcome, "empty", "bid_price") == 37_640
    assert (outcome.accepted["mark_price"] == 0.0).sum() == 5_722


def test_funding_is_accepted_whole(real_data: Path) -> None:
    outcome = _whole(real_data, "funding", "funding")
    assert (len(outcome.accepted), len(outcome.quarantined)) == (18_223, 0)


def test_intraday_volatility_is_accepted_and_reduced_to_the_last_of_each_day(
    real_data: Path,
) -> None:
    outcome = _whole(real_data, "volatility_history", "options_deribit_atm30d")
    raw = pd.read_parquet(real_data / "options_deribit_atm30d.parquet")
    last = (
        raw.sort_values("ts_utc")
        .groupby([raw["currency"], raw["ts_utc"].dt.date])["atm_iv_30d"]
        .last()
    )
    assert len(outcome.quarantined) == 0
    np.testing.assert_array_equal(outcome.accepted["atm_iv_30d"], last.sort_index())


@pytest.mark.parametrize("day", STRESS_DAYS)
def test_stress_days_close_from_history_alone(day: str, real_data: Path) -> None:
    source = open_source(str(real_data))
    accepted = {}
    for dataset in MARKET:
        rows = source.read(dataset, date.fromisoformat(day))
        outcome = validate(contract(dataset), rows.frame, date.fromisoformat(day), Judge.MASKS)
        assert outcome.refusal is None
        assert len(outcome.quarantined) == 0
        accepted[dataset] = outcome.accepted
    assert {"BTC", "ETH"} <= set(accepted["index_prices"]["asset"])
    assert {"USD", "USDT", "USDC"} <= set(accepted["fx_rates"]["asset"])
    assert set(accepted["marks"]["instrument_id"]) <= set(accepted["instruments"]["instrument_id"])
    assert len(accepted["funding"]) >= 3
    closes = accepted["price_history"]
    btc = closes[(closes["asset"] == "BTC") & (closes["date"] == day)]
    marks = accepted["marks"].set_index("instrument_id")["mark_price"]
    assert marks["binance:BTCUSDT"] == btc["close"].iloc[0]


def test_a_known_close_is_found_again(real_data: Path) -> None:
    source = open_source(str(real_data))
    marks = source.read("marks", date(2020, 3, 12)).frame.set_index("instrument_id")["mark_price"]
    assert marks["binance:BTCUSDT"] == 4_800.0
    rates = source.read("fx_rates", date(2023, 3, 11)).frame.set_index("asset")["usd_rate"]
    assert rates["USDC"] == pytest.approx(0.9592 * 1.00738, rel=1e-6)


def test_real_options_reprice_to_their_marks_from_the_snapshot(real_data: Path) -> None:
    source = open_source(str(real_data))
    listed = source.read("instruments", CHAIN_DAY).frame.set_index("instrument_id")
    marks = source.read("marks", CHAIN_DAY).frame.set_index("instrument_id")
    columns = ["strike", "option_type", "expiry_utc"]
    options = marks[marks["mark_iv"].notna()].join(listed[columns])
    assert len(options) == 1_840
    years = (options["expiry_utc"] - options["observed_utc"]) / pd.Timedelta(days=365)
    terms = OptionTerms(
        is_call=(options["option_type"] == "call").to_numpy(),
        strike_price=options["strike"].to_numpy(),
        years=years.to_numpy(),
        settlement="inverse",
    )
    value = option_value(terms, options["forward_price"].to_numpy(), options["mark_iv"].to_numpy())
    error = np.abs(value.option_price - options["mark_price"].to_numpy())
    # The venue writes mark, forward and volatility seconds apart, and the index fell 9 % that day.
    assert np.median(error) < 5e-5
    assert (error < 0.002).mean() > 0.99


def test_days_after_the_last_usdt_close_have_no_value_for_usdt(real_data: Path) -> None:
    source = open_source(str(real_data))
    assert source.read("fx_rates", CHAIN_DAY).frame["asset"].tolist() == ["USD"]
    assert source.read("index_prices", CHAIN_DAY).frame["asset"].tolist() == ["BTC", "ETH"]


def test_a_day_outside_the_history_names_its_last_day(real_data: Path) -> None:
    with pytest.raises(MissingDataError, match="the nearest is 2026-04-26"):
        open_source(str(real_data)).read("marks", date(2026, 9, 1))


def test_a_collapsed_coin_stays_listed_without_a_mark(real_data: Path) -> None:
    source = open_source(str(real_data))
    day = date(2022, 5, 20)
    assert "binance:LUNAUSDT" in set(source.read("instruments", day).frame["instrument_id"])
    assert "binance:LUNAUSDT" not in set(source.read("marks", day).frame["instrument_id"])

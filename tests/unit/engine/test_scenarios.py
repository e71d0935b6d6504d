"""Scenarios: what history, filter, proxies, stress and gaps turn into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.errors import ModelInputError
from engine.market import PreparedMarket, prepare
from engine.rules import HouseParameters, RuleBook
from engine.scenarios.ewma import ewma_volatility, filtered_returns
from engine.scenarios.history import daily_series, log_returns, usd_closes
from tests.worlds import small

ASSETS = ("BTC", "ETH", "SOL", "USDT")


def unfiltered(house: HouseParameters) -> HouseParameters:
    """Return parameters under which a scenario is the historical move as it was."""
    return replace(
        house,
        filter=replace(house.filter, ratio_floor=1.0, ratio_cap=1.0),
        anti_procyclicality=replace(house.anti_procyclicality, long_run_floor=False),
    )


def prepared(book: RuleBook | None = None, **frames: pd.DataFrame) -> PreparedMarket:
    return prepare(small.snapshot(**frames), book or small.rules(small.agreement("A")))


def test_ewma_follows_its_recursion() -> None:
    returns = np.array([[0.02], [-0.01], [0.03]])
    backcast = (0.02**2 + 0.94 * 0.01**2 + 0.94**2 * 0.03**2) / (1 + 0.94 + 0.94**2)
    expected = [backcast]
    for value in returns[:, 0]:
        expected.append(0.97 * expected[-1] + 0.03 * value**2)
    assert ewma_volatility(returns, decay=0.97)[:, 0] == pytest.approx(np.sqrt(expected), rel=1e-12)


def test_missing_return_leaves_the_variance_as_it_was() -> None:
    volatility = ewma_volatility(np.array([[0.02], [np.nan], [0.03]]), decay=0.9)
    assert volatility[2, 0] == volatility[1, 0]


def test_filter_ratio_stays_inside_cap_and_floor() -> None:
    volatility = np.array([[0.001], [0.02], [0.5]])
    rescaled = filtered_returns(
        np.ones((3, 1)), volatility, np.array([0.02]), ratio_floor=0.5, ratio_cap=2.5
    )
    assert rescaled[:, 0].tolist() == [2.5, 1.0, 0.5]


def test_move_over_a_gap_stands_whole_on_the_first_day_after_it() -> None:
    frame = pd.DataFrame(
        {
            "date": pd.to_datetime(["2026-03-07", "2026-03-10"]),
            "asset": "BTC",
            "close": [100.0, 50.0],
        }
    )
    series = daily_series(frame, "close", ("BTC",), small.BUSINESS_DATE, 4)
    returns = log_returns(series).values[:, 0]
    assert np.isnan(returns[:3]).all()
    assert returns[3] == pytest.approx(np.log(0.5))


def test_unfiltered_one_day_scenarios_are_the_historical_returns() -> None:
    book = small.rules(small.agreement("A"))
    market = prepared(replace(book, house=unfiltered(book.house)))
    history = small.price_history()
    closes = history[history["asset"] == "BTC"].sort_values("date")["close"].to_numpy()
    row = market.assets.index("BTC")
    found = market.scenarios.by_mpor[1].index[row, market.scenarios.historical]
    assert found == pytest.approx(np.diff(np.log(closes))[-1000:], abs=1e-12)


def test_longer_mpor_sums_consecutive_days_up_to_the_same_date() -> None:
    scenarios = prepared().scenarios
    one = scenarios.by_mpor[1].index[:, scenarios.historical]
    three = scenarios.by_mpor[3].index[:, scenarios.historical]
    assert three[:, 10] == pytest.approx(one[:, 8] + one[:, 9] + one[:, 10], abs=1e-12)


def test_short_history_is_proxied_stands_alone_and_says_so() -> None:
    market = prepared()
    row, btc = market.assets.index("NEW"), market.assets.index("BTC")
    assert market.is_standalone[row]
    assert not market.is_standalone[btc]
    notes = [note for note in market.moves.notes if note.factor == "index:NEW"]
    assert len(notes) == 1
    assert notes[0].n_history_days == 89
    assert "BTC" in notes[0].proxy


def test_proxied_asset_keeps_its_own_moves_where_they_are_larger() -> None:
    history = small.price_history()
    crash = (history["asset"] == "NEW") & (history["date"] == pd.Timestamp("2026-03-05"))
    history.loc[crash, "close"] *= 0.01
    market = prepared(price_history=history)
    day = int(np.flatnonzero(market.moves.dates == np.datetime64("2026-03-05"))[0])
    assert market.moves.index[day, market.assets.index("NEW")] < np.log(0.02)


def test_proxy_asset_without_history_is_refused_with_the_count() -> None:
    history = small.price_history()
    with pytest.raises(ModelInputError, match="BTC gives 9 daily returns"):
        prepared(price_history=history.groupby("asset").tail(10))


def test_two_closes_for_one_day_are_refused() -> None:
    history = small.price_history()
    with pytest.raises(ModelInputError, match="two rows for the same date and asset"):
        prepared(price_history=pd.concat([history, history.tail(1)]))


def test_long_run_floor_raises_scenarios_after_a_calm_year() -> None:
    history = small.price_history()
    btc = history["asset"] == "BTC"
    calm = btc & (history["date"] > pd.Timestamp("2025-06-01"))
    history.loc[calm, "close"] = 60_000.0 * np.exp(0.001 * np.sin(np.arange(int(calm.sum()))))
    book = small.rules(small.agreement("A"))
    tools = replace(book.house.anti_procyclicality, long_run_floor=False)
    without = replace(book, house=replace(book.house, anti_procyclicality=tools))
    row = prepared(book, price_history=history).assets.index("BTC")
    floored = prepared(book, price_history=history).daily_volatility[row]
    unfloored = prepared(without, price_history=history).daily_volatility[row]
    assert unfloored < 0.002 < 0.01 < floored


def test_named_stress_day_moves_assets_by_its_table_and_pegs_by_theirs() -> None:
    scenarios = prepared().scenarios
    column = scenarios.names.index("2023-03-11 USDC depeg")
    shocks = scenarios.by_mpor[2].index[:, column]
    assert shocks[scenarios.assets.index("USDC")] == -0.132
    assert shocks[scenarios.assets.index("ETH")] == 0.031
    assert shocks[scenarios.assets.index("NEW")] == -0.016
    assert shocks[scenarios.assets.index("USD")] == 0.0


def test_linear_inverse_and_quanto_payoffs_are_exact_in_a_stress_column() -> None:
    market = prepared()
    column = market.scenarios.names.index("2020-03-12 liquidity crash") - (
        market.scenarios.n_historical
    )
    tenor = small.rules().house.surface.perpetual_basis_tenor_years
    btc, eth = np.exp(-0.503), np.exp(-0.591)
    btc_perpetual, eth_perpetual = btc * np.exp(-0.25 * tenor), eth * np.exp(-0.25 * tenor)
    pnl = dict(zip(market.instrument_id, market.special[:, column], strict=False))
    assert pnl["binance:BTCUSDT"] == pytest.approx(60_000 * (btc_perpetual - 1.0))
    assert pnl["binance:BTCUSDT-SPOT"] == pytest.approx(60_000 * (btc - 1.0))
    coins = 10.0 * (1 / 60_000 - 1 / (60_000 * btc_perpetual))
    assert pnl["deribit:BTC-PERPETUAL"] == pytest.approx(coins * 60_000 * btc)
    in_btc = 1e-6 * 3_000 * (eth_perpetual - 1.0)
    assert pnl["okx:ETH-BTC-QUANTO"] == pytest.approx(in_btc * 60_000 * btc)


def test_call_minus_put_moves_like_the_forward_in_every_scenario() -> None:
    market = prepared()
    rows = {name: row for row, name in enumerate(market.instrument_id)}
    call = market.historical[rows["deribit:BTC-26JUN26-60000-C"]]
    put = market.historical[rows["deribit:BTC-26JUN26-60000-P"]]
    # Coin premium times index: both legs carry the same factor, the index over the forward.
    years = 107.3333333 / 365.0
    shocks = market.scenarios.by_mpor[2]
    row = market.assets.index("BTC")
    basis = np.exp(shocks.basis[row] * years)[market.scenarios.historical]
    index = np.exp(shocks.index[row])[market.scenarios.historical]
    forward = 60_000 * index * basis
    assert call - put == pytest.approx((forward - 60_000) / basis, rel=1e-6, abs=1e-3)


def test_compiled_ewma_equals_its_plain_twin() -> None:
    from engine.kernels.ewma import ewma_variance
    from engine.scenarios.ewma import plain_ewma_variance

    generator = np.random.default_rng(3)
    returns = generator.standard_normal((400, 3)) * 0.03
    returns[generator.random((400, 3)) < 0.1] = np.nan
    start = np.array([1e-4, 4e-4, 0.0])
    compiled = ewma_variance(returns, start, 0.97)
    assert compiled == pytest.approx(plain_ewma_variance(returns, start, 0.97), rel=1e-14)


def test_close_quoted_in_a_stablecoin_is_turned_into_dollars() -> None:
    rows = pd.DataFrame(
        {
            "date": pd.to_datetime(["2026-03-09"] * 3),
            "asset": ["BTC", "ETH", "USDT"],
            "close": [60_000.0, 3_000.0, 0.9],
            "quote": ["USDT", "USD", "USD"],
        }
    )
    assert usd_closes(rows)["close"].tolist() == [54_000.0, 3_000.0, 0.9]


def test_quote_without_a_close_of_its_stablecoin_stands_as_it_is() -> None:
    rows = pd.DataFrame(
        {
            "date": pd.to_datetime(["2026-03-09"]),
            "asset": ["BTC"],
            "close": [60_000.0],
            "quote": ["USDC"],
        }
    )
    assert usd_closes(rows)["close"].tolist() == [60_000.0]


def test_spot_is_not_exposed_to_the_stablecoin_it_is_quoted_in() -> None:
    market = prepared()
    column = market.scenarios.names.index("Stablecoin run") - market.scenarios.n_historical
    pnl = dict(zip(market.instrument_id, market.special[:, column], strict=False))
    assert pnl["binance:BTCUSDT-SPOT"] == pytest.approx(60_000 * np.expm1(-0.10))
    tenor = small.rules().house.surface.perpetual_basis_tenor_years
    in_usdt = 60_000 * np.expm1(-0.10 - 0.10 * tenor + 0.10)
    assert pnl["binance:BTCUSDT"] == pytest.approx(in_usdt * np.exp(-0.10))

"""The market of a built world against its contracts and against itself."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts.registry import ALL_DAY, VERSIONS, contract
from data_contracts.validation import Judge, validate
from engine.kernels.black76 import scenario_option_values
from tests.integration.world.conftest import SMALL, BuiltWorld

COIN_STEP = 1e-6


def options(world: BuiltWorld) -> pd.DataFrame:
    """Return the living options of the last date with their terms."""
    table = world.last("marks").merge(world.frame("instruments"), on="instrument_id")
    alive = (table["kind"] == "option") & table["settlement_price"].isna()
    table = table[alive].reset_index(drop=True)
    close = pd.Timestamp(SMALL.last_business_date) + pd.Timedelta(days=1)
    left = table["expiry_utc"].dt.tz_localize(None) - close
    return table.assign(
        years=left.dt.total_seconds() / (365.0 * 86_400.0),
        step=np.where(table["payoff"] == "inverse", COIN_STEP, table["tick_size"] / 10.0),
    )


# What reading the venues themselves has left out; the world reads nobody.
_OF_VENUES = frozenset({"readings"})


@pytest.mark.parametrize("dataset", sorted(set(VERSIONS) - ALL_DAY - _OF_VENUES))
def test_contracts_refuse_exactly_what_was_planted(small_world: BuiltWorld, dataset: str) -> None:
    written = small_world.frame(dataset)
    verdict = validate(contract(dataset), written, judge=Judge.MASKS)
    assert verdict.refusal is None
    assert len(verdict.quarantined) == small_world.summary.dirty_rows.get(dataset, 0)
    # The world leaves some optional columns out.
    for column in (name for name in verdict.accepted if name in written):
        assert verdict.accepted[column].dtype == written[column].dtype, column


def test_the_great_expectations_suite_agrees(small_world: BuiltWorld) -> None:
    verdict = validate(contract("price_history"), small_world.frame("price_history"))
    assert len(verdict.quarantined) == small_world.summary.dirty_rows["price_history"] == 5
    reasons = " ".join(verdict.quarantined.iloc[:, -1])
    for word in ("[required]", "[within]", "[ordered]", "[unique]"):
        assert word in reasons


def test_there_are_about_as_many_instruments_as_asked_for(small_world: BuiltWorld) -> None:
    instruments = small_world.frame("instruments")
    assert 1_200 < len(instruments) < 1_800
    assert set(instruments["payoff"]) == {"linear", "inverse", "quanto"}
    assert {"binance", "okx", "deribit", "bybit"} <= set(instruments["venue"])
    assert instruments["underlying"].nunique() == 12


def test_names_are_those_of_the_venues(small_world: BuiltWorld) -> None:
    names = set(small_world.frame("instruments")["instrument_id"])
    for name in (
        "binance:BTCUSDT", "binance:BTCUSDT-SPOT", "binance:BTCUSDT_261225", "binance:BTCUSD_PERP",
        "okx:BTC-USDT-SWAP", "okx:BTC-USD-SWAP", "okx:BTC-USD-261225", "deribit:BTC-PERPETUAL",
        "deribit:BTC-25DEC26", "deribit:BTC-25DEC26-90000-C", "deribit:SOL_USDC-PERPETUAL",
        "bybit:BTCUSDT", "bybit:BTCUSD", "bybit:BTC-25DEC26-90000-P", "bitmex:ETHUSD",
    ):  # fmt: skip
        assert name in names


def test_put_call_parity_holds_within_a_step_of_the_mark(small_world: BuiltWorld) -> None:
    table = options(small_world)
    keys = ["venue", "underlying", "payoff", "expiry_utc", "strike"]
    pairs = table.pivot(index=keys, columns="option_type", values="mark_price")
    terms = table.drop_duplicates(keys).set_index(keys).reindex(pairs.index)
    forward, strike = terms["forward_price"], pairs.index.get_level_values("strike")
    inverse = pairs.index.get_level_values("payoff") == "inverse"
    expected = (forward - strike) / np.where(inverse, forward, 1.0)
    difference = (pairs["call"] - pairs["put"] - expected).abs()
    # Two marks are each rounded by half a step, or up to a whole one where next to worthless.
    assert (difference <= 1.5 * terms["step"] + 1e-12).all()
    assert (difference <= terms["tick_size"]).all()


def test_marks_are_black76_at_their_volatility(small_world: BuiltWorld) -> None:
    table = options(small_world)
    values = scenario_option_values(
        forward=table["forward_price"].to_numpy(),
        strike=table["strike"].to_numpy(),
        is_call=(table["option_type"] == "call").to_numpy(),
        volatility=table["mark_iv"].to_numpy(),
        years=table["years"].to_numpy(),
        forward_factor=np.ones(1),
        volatility_factor=np.ones(1),
    )[:, 0]
    inverse = (table["payoff"] == "inverse").to_numpy()
    expected = values / np.where(inverse, table["forward_price"], 1.0)
    assert (np.abs(table["mark_price"] - expected) <= table["step"] + 1e-12).all()


def test_marked_calls_fall_and_are_convex_in_strike(small_world: BuiltWorld) -> None:
    table = options(small_world)
    calls = table[table["option_type"] == "call"].sort_values("strike")
    for _, chain in calls.groupby(["venue", "underlying", "payoff", "expiry_utc"]):
        forward = chain["forward_price"].to_numpy()
        unit = np.where(chain["payoff"] == "inverse", forward, 1.0)
        value, strike = chain["mark_price"].to_numpy() * unit, chain["strike"].to_numpy()
        # Rounding of marks (half a step) and of volatilities (half of 1e-4, times the vega).
        vega = 0.4 * forward * np.sqrt(chain["years"].to_numpy())
        noise = float((chain["step"].to_numpy() * unit + 5e-5 * vega).max())
        slope = np.diff(value) / np.diff(strike)
        slack = 2.0 * noise / np.diff(strike).min()
        assert (slope <= slack).all()
        assert (slope >= -1.0 - slack).all()
        assert (np.diff(slope) >= -2.0 * slack).all()


def test_prices_of_one_asset_agree_across_venues(small_world: BuiltWorld) -> None:
    table = small_world.last("marks").merge(small_world.frame("instruments"), on="instrument_id")
    rates = small_world.last("fx_rates").set_index("asset")["usd_rate"]
    index = small_world.last("index_prices").set_index("asset")["index_price"]
    table = table[table["kind"].isin(["spot", "perpetual"])]
    usd = table["mark_price"] * table["quote_asset"].map(rates)
    relative = (usd / table["underlying"].map(index) - 1.0).abs()
    # A week of basis, venue noise and ticks.
    assert relative.max() < 0.005


def test_what_expires_on_the_date_settles_at_its_pay_off(small_world: BuiltWorld) -> None:
    table = small_world.last("marks").merge(small_world.frame("instruments"), on="instrument_id")
    settled = table[table["settlement_price"].notna()]
    assert set(settled["kind"]) == {"future", "option"}
    assert set(settled["expiry_utc"].dt.date) == {SMALL.last_business_date}
    future = settled[settled["instrument_id"] == "deribit:BTC-20NOV26"].iloc[0]
    inverse = settled[(settled["venue"] == "deribit") & (settled["underlying"] == "BTC")]
    calls = inverse[inverse["option_type"] == "call"]
    pay_off = np.maximum(1.0 - calls["strike"] / calls["forward_price"], COIN_STEP)
    assert calls["settlement_price"].to_numpy() == pytest.approx(pay_off, abs=COIN_STEP)
    assert future["settlement_price"] == pytest.approx(calls["forward_price"].iloc[0], abs=2.5)


def test_the_business_date_is_clean_unless_dirt_was_asked_for(small_world: BuiltWorld) -> None:
    marks = small_world.last("marks")
    assert marks["mark_price"].gt(0.0).all()
    live = small_world.frame("instruments")
    close = pd.Timestamp(SMALL.last_business_date, tz="UTC") + pd.Timedelta(days=1)
    alive = live[live["expiry_utc"].isna() | (live["expiry_utc"] > close)]
    assert set(alive["instrument_id"]) <= set(marks["instrument_id"])
    prices = small_world.frame("price_history")
    last = prices[prices["date"] == pd.Timestamp(SMALL.last_business_date)]
    assert last["asset"].nunique() == len(last) == 12 + 3


def test_index_and_history_close_at_the_same_price(small_world: BuiltWorld) -> None:
    prices = small_world.frame("price_history")
    last = prices[prices["date"] == pd.Timestamp(SMALL.last_business_date)].set_index("asset")
    index = small_world.last("index_prices").set_index("asset")["index_price"]
    assert (last["close"].reindex(index.index) == index).all()
    rates = small_world.last("fx_rates").set_index("asset")["usd_rate"].drop("USD")
    assert (last["close"].reindex(rates.index) == rates).all()


def test_every_perpetual_pays_funding_three_times_a_day(small_world: BuiltWorld) -> None:
    funding = small_world.frame("funding")
    instruments = small_world.frame("instruments")
    perpetuals = instruments[instruments["kind"] == "perpetual"]
    close = pd.Timestamp(SMALL.last_business_date, tz="UTC") + pd.Timedelta(days=1)
    today = funding[
        (funding["ts_utc"] > close - pd.Timedelta(days=1)) & (funding["ts_utc"] <= close)
    ]
    counts = today.groupby(["venue", "symbol"]).size()
    assert (counts == 3).all()
    assert set(counts.index) == set(
        zip(perpetuals["venue"], perpetuals["venue_symbol"], strict=True)
    )


def test_funding_follows_the_basis(small_world: BuiltWorld) -> None:
    funding = small_world.frame("funding")
    mine = funding[(funding["venue"] == "binance") & (funding["symbol"] == "BTCUSDT")]
    daily = mine.groupby((mine["ts_utc"] - pd.Timedelta(hours=1)).dt.date)["funding_rate"].sum()
    basis = small_world.frame("basis_history")
    basis = basis[basis["asset"] == "BTC"].set_index(basis[basis["asset"] == "BTC"]["date"].dt.date)
    joined = pd.concat([daily, basis["annual_basis"]], axis=1, join="inner")
    assert len(joined) == SMALL.funding_days
    assert joined.corr().iloc[0, 1] > 0.3


def test_spoilt_marks_are_as_many_as_asked_for(small_world: BuiltWorld) -> None:
    from infra.simulator.world.dirt import soil_marks
    from infra.simulator.world.streams import stream

    marks = small_world.frame("marks")
    held = small_world.last("positions")["instrument_id"].unique()
    spoilt = soil_marks(marks, held, 4, stream(1, "x"))
    verdict = validate(contract("marks"), spoilt, judge=Judge.MASKS)
    assert len(verdict.quarantined) == 4
    assert set(verdict.quarantined["business_date"]) == {str(SMALL.last_business_date)}
    assert verdict.quarantined["instrument_id"].isin(held).all()


def test_option_chains_hold_quotes_around_the_marks(small_world: BuiltWorld) -> None:
    chains = small_world.frame("option_chains")
    assert set(chains["currency"]) == {"BTC", "ETH"}
    assert set(chains["ts_utc"].dt.date) == {
        date(2026, 11, 20),
        date(2026, 11, 21),
    }
    quoted = chains.dropna(subset=["bid_price", "ask_price"])
    assert len(quoted) > 0.8 * len(chains)
    assert (quoted["bid_price"] < quoted["mark_price"]).all()
    assert (quoted["ask_price"] > quoted["mark_price"]).all()

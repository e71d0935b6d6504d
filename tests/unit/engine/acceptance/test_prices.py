"""Prices within the day: what is believed, what is not, and what counts instead (I-32, I-33)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.acceptance.prices import PriceAcceptance, collateral_rates, liability_rates
from engine.acceptance.state import Standing, Verdict
from engine.acceptance.table import SECOND
from engine.kernels import acceptance_compiled as compiled
from tests.unit.engine.acceptance.markets import (
    LIMITS,
    NOW,
    VENUES,
    mark_of,
    market,
    perpetuals,
    ticks,
)

BINANCE = "binance:BTC-PERP"
THIN = "binance:THIN-PERP"
OPTION = "deribit:BTC-C"
TINY = 1e-400


def settled(prices: PriceAcceptance, *told: tuple[str, float], at: int = NOW) -> PriceAcceptance:
    prices.take(ticks(prices, *told, at=at))
    prices.settle(at)
    return prices


@pytest.mark.parametrize(
    ("price", "verdict"),
    [
        (math.nan, Verdict.NOT_FINITE),
        (math.inf, Verdict.NOT_FINITE),
        (-math.inf, Verdict.NOT_FINITE),
        (0.0, Verdict.OUT_OF_DOMAIN),
        (-0.0, Verdict.OUT_OF_DOMAIN),
        (TINY, Verdict.OUT_OF_DOMAIN),
        (-50_000.0, Verdict.OUT_OF_DOMAIN),
        (1e300, Verdict.OUT_OF_DOMAIN),
    ],
)
def test_what_is_no_price_changes_nothing_i32(price: float, verdict: Verdict) -> None:
    prices = market()
    found = prices.take(ticks(prices, (BINANCE, price)))
    assert found.tolist() == [verdict]
    assert not prices.is_dirty
    assert prices.stale(NOW).all()
    assert prices.state.n_verdicts[0, verdict] == 1


def test_an_option_of_zero_is_no_price_either_i32() -> None:
    prices = market()
    assert prices.take(ticks(prices, (OPTION, 0.0))).tolist() == [Verdict.OUT_OF_DOMAIN]


def test_an_instrument_that_nobody_knows_is_told_apart() -> None:
    prices = market()
    assert prices.take(ticks(prices, ("okx:NEW", 1.0))).tolist() == [Verdict.UNKNOWN_ROW]


def test_older_and_repeated_prices_are_ignored_i39() -> None:
    prices = market()
    took = [
        prices.take(ticks(prices, (BINANCE, price), stamp=stamp)).tolist()[0]
        for price, stamp in ((50_010.0, 5), (50_020.0, 5), (50_030.0, 4), (50_040.0, 6))
    ]
    assert took == [Verdict.TAKEN, Verdict.DUPLICATE, Verdict.OLDER, Verdict.TAKEN]
    assert prices.state.price[prices.table.instruments.index(BINANCE)] == 50_040.0


def test_a_stamp_ahead_of_the_clock_is_refused_i42() -> None:
    prices = market()
    ahead = ticks(prices, (BINANCE, 50_010.0), ahead=6 * SECOND)
    assert prices.take(ahead).tolist() == [Verdict.AHEAD]


def test_any_order_of_one_burst_gives_the_same_marks_i40() -> None:
    told = [*perpetuals(50_500.0), (THIN, 10.1)]
    first, second = market(), market()
    settled(first, *told)
    settled(second, *reversed(told))
    assert np.array_equal(first.state.mark, second.state.mark, equal_nan=True)
    assert np.array_equal(first.state.level, second.state.level, equal_nan=True)


def test_one_source_moves_its_mark_by_the_band_at_most_i32() -> None:
    for factor in (0.1, 0.5, 1.5, 1.9):
        prices = settled(market(), *perpetuals(50_000.0))
        settled(prices, (BINANCE, 50_000.0 * factor), at=NOW + SECOND)
        edge = 50_000.0 * (1 + math.copysign(LIMITS.band_major, factor - 1))
        assert mark_of(prices, BINANCE) == pytest.approx(edge)
        assert mark_of(prices, "okx:BTC-PERP") == 50_000.0
        assert prices.rates(np.array([0])).tolist() == [50_000.0]
        assert prices.suspects() == {"binance": 1}


def test_a_source_that_pushes_again_and_again_gets_no_further_i32() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    for second in range(1, 50):
        settled(prices, (BINANCE, 50_000.0 + 2_000 * second), at=NOW + second * SECOND // 10)
    assert mark_of(prices, BINANCE) == pytest.approx(51_000.0)


def test_a_crash_that_all_venues_see_is_believed_at_once() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    settled(prices, *perpetuals(35_000.0), at=NOW + SECOND)
    assert mark_of(prices, BINANCE) == 35_000.0
    assert prices.rates(np.array([0])).tolist() == [35_000.0]
    assert prices.suspects() == {}


def test_a_crash_that_comes_venue_by_venue_is_believed_with_the_majority() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    for number, venue in enumerate(VENUES, start=1):
        settled(prices, *perpetuals(35_000.0, venue), at=NOW + number * SECOND)
    assert mark_of(prices, BINANCE) == 35_000.0


def test_two_of_four_sources_that_agree_move_the_level_half_way_and_stay_suspects_i32() -> None:
    for factor in (1.6, 0.4):
        prices = settled(market(), *perpetuals(50_000.0))
        for second in range(1, 30):
            at = NOW + second * SECOND
            settled(prices, *perpetuals(50_000.0 * factor, "binance", "okx"), at=at)
        assert prices.suspects() == {"binance": 1, "okx": 1}
        # The others stand where they stood, and nobody is believed as far as the two say.
        assert mark_of(prices, "deribit:BTC-PERP") == 50_000.0
        half = 50_000.0 * (1 + factor) / 2
        assert prices.rates(np.array([0])).tolist() == [pytest.approx(half)]
        assert abs(mark_of(prices, BINANCE) / half - 1) <= LIMITS.band_major + 1e-12


def test_without_a_quorum_the_lowest_source_counts_as_collateral_i32() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    later = NOW + 60 * SECOND
    settled(prices, *perpetuals(49_000.0, "okx"), *perpetuals(51_500.0, "bybit"), at=later)
    assert prices.state.n_sources.tolist()[0] == 2
    assert prices.rates(np.array([0])).tolist() == [49_000.0]
    assert prices.settle(later).doubted.tolist() == [0]


def test_a_lone_source_that_jumps_has_to_last_and_is_in_doubt_meanwhile_i32() -> None:
    prices = settled(market(), (THIN, 10.0))
    prices.take(ticks(prices, (THIN, 14.0), at=NOW + SECOND))
    found = prices.settle(NOW + SECOND)
    assert found.instruments.size == 0
    assert mark_of(prices, THIN) == 10.0
    assert [prices.table.assets[row] for row in found.doubted] == ["THIN"]
    late = NOW + SECOND + round(LIMITS.confirm_seconds * SECOND)
    prices.take(ticks(prices, (THIN, 14.1), at=late))
    assert prices.settle(late).mark_price.tolist() == [14.1]


def test_a_spike_that_goes_away_leaves_no_trace_i32() -> None:
    prices = settled(market(), (THIN, 10.0))
    settled(prices, (THIN, 19.0), at=NOW + SECOND)
    settled(prices, (THIN, 10.1), at=NOW + 2 * SECOND)
    assert mark_of(prices, THIN) == 10.1
    assert prices.settle(NOW + 2 * SECOND).doubted.size == 0


def test_silence_makes_stale_and_so_does_repetition_i30() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    row = prices.table.instruments.index(BINANCE)
    assert not prices.stale(NOW)[row]
    assert prices.stale(NOW + 31 * SECOND)[row]
    for second in range(1, 300, 10):
        at = NOW + second * SECOND
        settled(prices, (BINANCE, 50_000.0), at=at)
        assert not prices.stale(at)[row]
    settled(prices, (BINANCE, 50_000.0), at=NOW + 305 * SECOND)
    # The stamps were new each time; the price was not.
    assert prices.stale(NOW + 305 * SECOND)[row]
    assert prices.age_seconds(NOW + 305 * SECOND)[row] == 0.0


def test_the_edge_of_the_band_moves_with_the_market() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    settled(prices, (BINANCE, 90_000.0), at=NOW + SECOND)
    settled(prices, *perpetuals(60_000.0, "okx", "bybit", "deribit"), at=NOW + 2 * SECOND)
    assert mark_of(prices, BINANCE) == pytest.approx(61_200.0)


def test_an_option_whose_volatility_jumps_has_to_wait_i32() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    prices.take(ticks(prices, (OPTION, 0.06), iv=0.55, forward=50_100.0, at=NOW + SECOND))
    assert prices.settle(NOW + SECOND).mark_iv.tolist() == [0.55]
    prices.take(ticks(prices, (OPTION, 0.3), iv=2.0, forward=50_100.0, at=NOW + 2 * SECOND))
    found = prices.settle(NOW + 2 * SECOND)
    assert found.instruments.size == 0
    assert [prices.table.assets[row] for row in found.doubted] == ["BTC"]


@pytest.mark.parametrize(("iv", "forward"), [(0.0, 1.0), (-1.0, 1.0), (11.0, 1.0), (0.5, 0.0)])
def test_an_option_without_a_possible_volatility_is_refused_i32(iv: float, forward: float) -> None:
    prices = market()
    told = ticks(prices, (OPTION, 0.06), iv=iv, forward=forward)
    assert prices.take(told).tolist() == [Verdict.OUT_OF_DOMAIN]


def test_the_latest_of_a_burst_counts_and_the_queue_is_no_longer_than_the_table_i54() -> None:
    prices = settled(market(), *perpetuals(50_000.0))
    for number in range(1, 1_001):
        at = NOW + SECOND + number
        prices.take(ticks(prices, (BINANCE, 50_000.0 + number / 10), at=at))
    found = prices.settle(NOW + 2 * SECOND)
    assert found.n_conflated == 999
    assert found.mark_price.tolist() == [50_100.0]
    assert found.oldest_ns == NOW + SECOND + 1


def test_a_pegged_asset_is_worth_its_redemption_at_most_and_owed_no_less_i33() -> None:
    low, redemption = np.array([1.02, 0.9, 50_000.0]), np.array([1.0, 1.0, np.nan])
    assert collateral_rates(low, redemption).tolist() == [1.0, 0.9, 50_000.0]
    assert liability_rates(low, redemption).tolist() == [1.02, 1.0, 50_000.0]


def test_compiled_loops_do_what_they_say_in_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(7)
    compiled_market, plain_market = market(), market()
    plain = {
        name: getattr(compiled, name).py_func
        for name in ("take_ticks", "settle_levels", "settle_rows")
    }
    names = compiled_market.table.instruments
    for step in range(60):
        at = NOW + step * SECOND
        told = [
            (str(name), float(start * np.exp(generator.normal(0.0, 0.2))))
            for name, start in zip(names, compiled_market.table.start_mark, strict=False)
            if generator.random() < 0.5
        ]
        found = []
        for prices in (compiled_market, plain_market):
            with monkeypatch.context() as patch:
                if prices is plain_market:
                    for name, function in plain.items():
                        patch.setattr(f"engine.acceptance.prices.{name}", function)
                found.append((prices.take(ticks(prices, *told, at=at)), prices.settle(at)))
        assert np.array_equal(found[0][0], found[1][0])
        for name in type(found[0][1]).__slots__:
            ours, theirs = getattr(found[0][1], name), getattr(found[1][1], name)
            assert np.array_equal(ours, theirs, equal_nan=True), (step, name)
    assert (compiled_market.state.standing == Standing.WAITING).any()

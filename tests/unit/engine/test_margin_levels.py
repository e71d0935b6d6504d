"""Margin levels of a position with its orders, and the log-normal risk factors behind them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from engine.errors import ModelInputError
from engine.margin.liquidation_price import OpenOrder
from engine.margin.lognormal_risk_factors import LognormalParameters, lognormal_risk_factors
from engine.margin.margin_levels import (
    LevelPosition,
    MarginLevelParameters,
    margin_levels,
)

quick = settings(max_examples=200, deadline=None)
MARKET = MarginLevelParameters(
    risk_factor_long=0.1, risk_factor_short=0.2, linear_slippage_factor=0.05
)
orders = st.lists(
    st.builds(
        OpenOrder,
        st.integers(1, 50).map(float) | st.integers(-50, -1).map(float),
        st.sampled_from([None, 90.0, 100.0, 110.0]),
    ),
    max_size=5,
)


@quick
@given(st.integers(-100, 100), orders, st.booleans())
def test_levels_rise_from_maintenance_to_release(
    quantity: int, open_orders: list[OpenOrder], in_auction: bool
) -> None:
    levels = margin_levels(
        LevelPosition(
            quantity=quantity, mark_price=100.0, open_orders=open_orders, in_auction=in_auction
        ),
        MARKET,
    )
    found = (
        levels.maintenance_margin,
        levels.search_level,
        levels.initial_margin,
        levels.release_level,
    )
    assert list(found) == sorted(found)
    assert all(level >= 0.0 and level == int(level) for level in found)


@quick
@given(st.integers(-100, 100), orders, orders)
def test_one_more_order_never_lowers_maintenance(
    quantity: int, open_orders: list[OpenOrder], more: list[OpenOrder]
) -> None:
    before = LevelPosition(quantity=quantity, mark_price=100.0, open_orders=open_orders)
    after = replace(before, open_orders=[*open_orders, *more])
    for mode in ("cross", "isolated"):
        market = replace(MARKET, isolated_margin_factor=0.5)
        one, two = (
            margin_levels(replace(each, margin_mode=mode), market) for each in (before, after)
        )
        assert two.maintenance_margin >= one.maintenance_margin
        assert two.order_margin >= one.order_margin


def test_isolated_orders_that_reduce_the_position_need_no_margin() -> None:
    position = LevelPosition(
        quantity=3.0,
        mark_price=100.0,
        margin_mode="isolated",
        open_orders=[OpenOrder(-2.0, 120.0), OpenOrder(-2.0, 110.0), OpenOrder(1.0, 90.0)],
    )
    market = replace(MARKET, isolated_margin_factor=0.5)
    levels = margin_levels(position, market)
    # Offers at 110 and one of those at 120 close the long; one at 120 would open a short.
    assert levels.order_margin == 60.0
    assert (levels.search_level, levels.release_level) == (0.0, 0.0)
    assert levels.maintenance_margin == 45.0
    assert levels.initial_margin == 54.0


def test_scaling_factor_is_truncated_to_five_decimals() -> None:
    market = replace(MARKET, risk_factor_long=1.0, linear_slippage_factor=0.0, search_factor=1.1)
    position = LevelPosition(quantity=1.0, mark_price=1e9)
    exact = margin_levels(position, replace(market, search_factor=1.100009))
    assert exact.search_level == margin_levels(position, market).search_level == 1.1e9


def test_mode_without_its_parameter_is_refused() -> None:
    position = LevelPosition(quantity=1.0, mark_price=100.0)
    with pytest.raises(ModelInputError, match="isolated_margin_factor"):
        margin_levels(replace(position, margin_mode="isolated"), MARKET)
    capped = replace(position, margin_mode="fully_collateralised")
    with pytest.raises(ModelInputError, match="price_max"):
        margin_levels(capped, MARKET)
    market = replace(MARKET, price_max=100.0)
    for order in (OpenOrder(1.0), OpenOrder(1.0, 100.5)):
        with pytest.raises(ModelInputError, match="limit <= price_max 100"):
            margin_levels(replace(capped, open_orders=[order]), market)


@pytest.mark.parametrize("tail", [1e-6, 0.01, 0.3])
@pytest.mark.parametrize("drift", [0.0, 0.2, -0.4])
def test_risk_factors_are_the_expected_shortfall_of_the_price(tail: float, drift: float) -> None:
    volatility, years = 0.8, 0.05
    deviation = volatility * math.sqrt(years)
    mean = drift * years - 0.5 * deviation**2

    def shortfall(low: float, high: float) -> float:
        area, _ = quad(
            lambda z: math.exp(mean + deviation * z) * norm.pdf(z), low, high, epsabs=0.0,
            epsrel=1e-11,
        )  # fmt: skip
        return area / tail

    quantile = float(norm.ppf(tail))
    found = lognormal_risk_factors(
        LognormalParameters(
            tail_probability=tail, horizon_years=years, volatility=volatility, drift=drift
        )
    )
    assert found.risk_factor_long == pytest.approx(1.0 - shortfall(-14.0, quantile), rel=1e-8)
    assert found.risk_factor_short == pytest.approx(shortfall(-quantile, 14.0) - 1.0, rel=1e-8)


def test_risk_factors_keep_their_digits_in_far_tails_and_small_moves() -> None:
    calm = LognormalParameters(tail_probability=1e-6, horizon_years=1e-8, volatility=1e-4)
    found = lognormal_risk_factors(calm)
    # To first order a loss is deviation x mean of the normal tail, on both sides.
    expected = 1e-8 * norm.pdf(norm.ppf(1e-6)) / 1e-6
    assert found.risk_factor_long == pytest.approx(expected, rel=1e-6)
    assert found.risk_factor_short == pytest.approx(expected, rel=1e-6)
    far = lognormal_risk_factors(replace(calm, tail_probability=1e-300))
    assert found.risk_factor_long < far.risk_factor_long < 1e-6
    with pytest.raises(ModelInputError, match="too large"):
        lognormal_risk_factors(replace(calm, drift=1e12))

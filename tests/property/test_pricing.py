"""What holds for every option, whatever its terms."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.kernels.black76 import scenario_option_values
from engine.pricing.black76 import OptionTerms, option_value
from engine.pricing.implied_volatility import implied_volatility
from engine.pricing.smile import fit_surface

# The first call imports or compiles, and the machine may be busy.
unhurried = settings(deadline=None)
prices = st.floats(1e-6, 1e6)
volatilities = st.floats(0.01, 5.0)
years = st.floats(1e-4, 5.0)
moneyness = st.floats(-4.0, 4.0)
ROUNDING = 16.0 * float(np.finfo(np.float64).eps)


@given(prices, moneyness, volatilities, years, st.floats(-0.1, 0.3))
@unhurried
def test_call_less_put_is_the_discounted_forward_less_strike(
    forward: float, k: float, volatility: float, time: float, rate: float
) -> None:
    strike = forward * float(np.exp(k))
    call, put = (
        option_value(OptionTerms(is_call, strike, time), forward, volatility, rate).option_price
        for is_call in (True, False)
    )
    expected = float(np.exp(-rate * time)) * (forward - strike)
    assert abs(call - put - expected) <= ROUNDING * max(forward, strike)


@given(prices, moneyness, volatilities, years, st.booleans(), st.floats(1.0, 3.0))
@unhurried
def test_value_rises_with_volatility_and_stays_within_its_bounds(
    forward: float, k: float, volatility: float, time: float, is_call: bool, scale: float
) -> None:
    strike = forward * float(np.exp(k))
    terms = OptionTerms(is_call, strike, time)
    low = float(option_value(terms, forward, volatility).option_price)
    high = float(option_value(terms, forward, volatility * scale).option_price)
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    noise = ROUNDING * max(forward, strike)
    assert intrinsic <= low <= high + noise
    assert high <= (forward if is_call else strike) + noise


@given(prices, moneyness, volatilities, years, st.booleans(), st.floats(0.1, 10.0))
@unhurried
def test_kernel_and_pricing_agree(
    forward: float, k: float, volatility: float, time: float, is_call: bool, factor: float
) -> None:
    strike = forward * float(np.exp(k))
    terms = OptionTerms(is_call, strike, time)
    expected = float(option_value(terms, forward * factor, volatility * 1.5).option_price)
    one = np.ones(1)
    found = scenario_option_values(
        one * forward, one * strike, np.array([is_call]), one * volatility, one * time,
        one * factor, one * 1.5,
    )  # fmt: skip
    assert abs(found[0, 0] - expected) <= 1e-12 * max(forward * factor, strike)


@given(moneyness, volatilities, years, st.booleans(), st.sampled_from(["linear", "inverse"]))
@unhurried
def test_implied_volatility_gives_the_price_back(
    k: float, volatility: float, time: float, is_call: bool, settlement: str
) -> None:
    terms = OptionTerms(is_call, 100.0 * float(np.exp(k)), time, settlement)
    price = float(option_value(terms, 100.0, volatility).option_price)
    bound = (100.0 if is_call else terms.strike_price) / (100.0 if settlement == "inverse" else 1.0)
    # Nearer to its bound a price no longer tells volatilities apart.
    assume(price < bound * (1.0 - 1e-12))
    found = implied_volatility(terms, 100.0, price)
    again = float(option_value(terms, 100.0, found).option_price)
    scale = max(price, 1.0 if settlement == "inverse" else 100.0)
    assert abs(again - price) <= 1e-13 * scale
    if 1e-6 * bound < price < 0.9 * bound and k * (1 if is_call else -1) > 0.0:
        assert abs(found - volatility) <= 1e-8 * volatility


@given(st.lists(st.tuples(moneyness, volatilities), min_size=1, max_size=8), years, moneyness)
@unhurried
def test_volatility_between_quotes_stays_between_them(
    quotes: list[tuple[float, float]], time: float, asked: float
) -> None:
    k, volatility = (np.array(column) for column in zip(*quotes, strict=True))
    surface = fit_surface(np.full(len(k), time), k, volatility)
    found = surface.volatility(np.array([asked]), np.array([time]))[0]
    assert volatility.min() * (1.0 - 1e-12) <= found <= volatility.max() * (1.0 + 1e-12)

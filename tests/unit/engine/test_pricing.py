from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import QuantLib as ql  # noqa: N813 (its own documents name it so)

from engine.errors import ModelInputError
from engine.kernels.black76 import scenario_option_values
from engine.pricing.black76 import OptionTerms, option_value
from engine.pricing.implied_volatility import implied_volatility, solve_implied_volatilities
from engine.pricing.smile import fit_surface


def grid() -> list[tuple[bool, float, float, float, float]]:
    return [
        (is_call, strike, years, volatility, rate)
        for is_call in (True, False)
        for strike in (20.0, 80.0, 100.0, 125.0, 500.0)
        for years in (1.0 / 365.0, 0.25, 2.0)
        for volatility in (0.1, 0.6, 2.5)
        for rate in (0.0, 0.05)
    ]


@pytest.mark.parametrize(("is_call", "strike", "years", "volatility", "rate"), grid())
def test_value_and_greeks_agree_with_quantlib(
    is_call: bool, strike: float, years: float, volatility: float, rate: float
) -> None:
    kind = ql.Option.Call if is_call else ql.Option.Put
    reference = ql.BlackCalculator(
        ql.PlainVanillaPayoff(kind, strike), 100.0, volatility * years**0.5, np.exp(-rate * years)
    )
    found = option_value(OptionTerms(is_call, strike, years), 100.0, volatility, rate)
    # QuantLib takes the difference of two normal terms, ours adds parity: absolute, per 100.
    assert found.option_price == pytest.approx(reference.value(), rel=1e-9, abs=1e-12)
    assert found.delta == pytest.approx(reference.deltaForward(), rel=1e-9, abs=1e-13)
    assert found.gamma == pytest.approx(reference.gammaForward(), rel=1e-9, abs=1e-13)
    assert found.vega == pytest.approx(reference.vega(years), rel=1e-9, abs=1e-12)


def test_kernel_agrees_with_quantlib() -> None:
    cases = grid()
    is_call, strike, years, volatility, _ = (
        np.array(column) for column in zip(*cases, strict=True)
    )
    factors = np.array([0.3, 0.9, 1.0, 1.4])
    scales = np.array([1.5, 0.5, 1.0, 2.0])
    found = scenario_option_values(
        np.full(len(cases), 100.0), strike, is_call, volatility, years, factors, scales
    )
    for row, case in enumerate(cases):
        kind = ql.Option.Call if case[0] else ql.Option.Put
        for column, (factor, scale) in enumerate(zip(factors, scales, strict=True)):
            deviation = case[3] * scale * case[2] ** 0.5
            expected = ql.blackFormula(kind, case[1], 100.0 * factor, deviation)
            limit = 1e-12 * max(case[1], 100.0 * factor)
            assert found[row, column] == pytest.approx(expected, rel=0.0, abs=limit)


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_are_the_derivatives_of_the_price(settlement: str, is_call: bool) -> None:
    terms = OptionTerms(is_call, 110.0, 0.4, settlement)
    forward, volatility, rate = 100.0, 0.7, 0.03

    def price(f: float = forward, v: float = volatility, r: float = rate, t: float = 0.4) -> float:
        return float(option_value(OptionTerms(is_call, 110.0, t, settlement), f, v, r).option_price)

    def delta(f: float = forward, v: float = volatility) -> float:
        return float(option_value(terms, f, v, rate).delta)

    found, h = option_value(terms, forward, volatility, rate), 1e-4
    # Central differences: their own error is of order h squared.
    slopes = {
        "delta": (price(f=forward + h) - price(f=forward - h)) / (2 * h),
        "gamma": (delta(f=forward + h) - delta(f=forward - h)) / (2 * h),
        "vega": (price(v=volatility + h) - price(v=volatility - h)) / (2 * h),
        "theta": -(price(t=0.4 + h) - price(t=0.4 - h)) / (2 * h),
        "rho": (price(r=rate + h) - price(r=rate - h)) / (2 * h),
        "vanna": (delta(v=volatility + h) - delta(v=volatility - h)) / (2 * h),
        "volga": (price(v=volatility + h) - 2 * price() + price(v=volatility - h)) / h**2,
    }
    for name, slope in slopes.items():
        assert getattr(found, name) == pytest.approx(slope, rel=1e-5), name


def test_scalars_and_arrays_broadcast() -> None:
    strikes = np.array([80.0, 100.0, 120.0])
    many = option_value(OptionTerms(np.array([[True], [False]]), strikes, 0.5), 100.0, 0.6)
    assert many.option_price.shape == many.vega.shape == (2, 3)
    one = option_value(OptionTerms(False, 120.0, 0.5), 100.0, 0.6)
    # Vector code and scalar code may differ in the last bit.
    assert one.option_price == pytest.approx(many.option_price[1, 2], rel=1e-15)


@pytest.mark.parametrize(
    ("terms", "forward", "volatility", "message"),
    [
        (OptionTerms(True, 0.0, 1.0), 100.0, 0.5, "strike_price is 0.0"),
        (OptionTerms(True, 100.0, -1.0), 100.0, 0.5, "time_to_expiry_years is -1.0"),
        (OptionTerms(True, 100.0, 1.0), np.inf, 0.5, "forward_price is inf"),
        (OptionTerms(True, 100.0, 1.0), 100.0, np.nan, "volatility is nan"),
        (OptionTerms(True, 100.0, 1.0, "coin"), 100.0, 0.5, "settlement 'coin' is unknown"),
    ],
)
def test_unusable_terms_are_refused(
    terms: OptionTerms, forward: float, volatility: float, message: str
) -> None:
    with pytest.raises(ModelInputError, match=message):
        option_value(terms, forward, volatility)


@pytest.mark.parametrize("rate", [-2e3, 2e3])
def test_rate_that_discounts_to_nothing_is_refused(rate: float) -> None:
    terms = OptionTerms(True, 100.0, 1.0)
    with pytest.raises(ModelInputError, match="risk_free_rate"):
        option_value(terms, 100.0, 0.5, rate)
    with pytest.raises(ModelInputError, match="risk_free_rate"):
        implied_volatility(terms, 100.0, 5.0, rate)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.01, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("volatility", [1e-6, 1e-3, 0.05, 0.8, 3.0, 8.0])
def test_implied_volatility_returns_what_gave_the_price_in_both_wings(
    x: float, volatility: float
) -> None:
    for is_call in (True, False):
        strike = 100.0 * np.exp(x if is_call else -x)
        terms = OptionTerms(is_call, strike, 1.0)
        price = float(option_value(terms, 100.0, volatility).option_price)
        bound = 100.0 if is_call else strike
        if price < 1e-290:
            continue
        # What one rounding of the price moves the volatility by, or of its distance to the bound.
        sensitivity = float(option_value(terms, 100.0, volatility).vega) * volatility
        noise = np.finfo(float).eps * max(price, bound if price > 0.5 * bound else 0.0)
        if noise > 1e-4 * sensitivity:
            continue
        found = float(implied_volatility(terms, 100.0, price))
        assert found == pytest.approx(volatility, rel=1e-9 + 100.0 * noise / sensitivity)


def test_price_at_the_intrinsic_value_has_no_volatility() -> None:
    assert implied_volatility(OptionTerms(True, 90.0, 1.0), 100.0, 10.0) == 0.0
    assert implied_volatility(OptionTerms(True, 110.0, 1.0), 100.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("is_call", "strike", "price"),
    [(True, 90.0, 9.99), (True, 90.0, 100.0), (False, 90.0, 90.0), (False, 120.0, 19.0)],
)
def test_price_outside_its_bounds_has_no_solution(
    is_call: bool, strike: float, price: float
) -> None:
    terms = OptionTerms(is_call, strike, 0.5)
    with pytest.raises(ModelInputError, match=f"no volatility gives option_price {price}"):
        implied_volatility(terms, 100.0, price)
    chain = solve_implied_volatilities(terms, 100.0, np.array([price, 25.0]))
    assert chain.has_solution.tolist() == [False, True]
    assert np.isnan(chain.volatility[0]) and chain.volatility[1] > 0.0


def test_surface_passes_through_its_quotes_and_is_flat_beyond_them() -> None:
    k = np.array([-0.4, -0.1, 0.0, 0.2, 0.5])
    volatility = np.array([0.9, 0.7, 0.6, 0.65, 0.8])
    surface = fit_surface(np.full(5, 0.25), k, volatility)
    np.testing.assert_allclose(surface.volatility(k, np.full(5, 0.25)), volatility, rtol=1e-14)
    wings = surface.volatility(np.array([-3.0, 3.0]), np.full(2, 0.25))
    np.testing.assert_allclose(wings, [0.9, 0.8], rtol=1e-14)
    between = surface.volatility(np.linspace(-0.4, 0.5, 200), np.full(200, 0.25))
    assert between.min() >= 0.6 - 1e-12 and between.max() <= 0.9 + 1e-12


def test_total_variance_is_linear_between_expiries_and_volatility_holds_outside() -> None:
    surface = fit_surface(np.array([0.25, 1.0]), np.zeros(2), np.array([0.8, 0.6]))
    asked = np.array([0.0, 0.1, 0.25, 0.5, 1.0, 2.0])
    found = surface.volatility(np.zeros(6), asked)
    half = np.sqrt((0.16 + (0.36 - 0.16) / 3.0) / 0.5)
    np.testing.assert_allclose(found, [0.8, 0.8, 0.8, half, 0.6, 0.6], rtol=1e-14)


def test_call_and_put_of_one_strike_are_averaged_in_total_variance() -> None:
    surface = fit_surface(np.full(2, 0.5), np.zeros(2), np.array([0.6, 0.8]))
    found = surface.volatility(np.zeros(1), np.full(1, 0.5))
    np.testing.assert_allclose(found, [np.sqrt(0.5)], rtol=1e-14)


def test_calendar_arbitrage_in_quotes_is_reported() -> None:
    surface = fit_surface(np.array([0.25, 1.0]), np.zeros(2), np.array([1.5, 0.6]))
    np.testing.assert_allclose(surface.calendar_shortfall(np.zeros(1)), [[0.5625 - 0.36]])


@pytest.mark.parametrize("wrong", [np.nan, 0.0, -0.2])
def test_quote_without_volatility_is_refused(wrong: float) -> None:
    with pytest.raises(ModelInputError, match="volatility is"):
        fit_surface(np.full(2, 0.5), np.zeros(2), np.array([0.6, wrong]))


def test_surface_without_quotes_is_refused() -> None:
    with pytest.raises(ModelInputError, match="quotes need"):
        fit_surface(np.zeros(0), np.zeros(0), np.zeros(0))


def test_real_chains_of_a_crash_day_are_revalued_to_their_marks(real_data: Path) -> None:
    chains = pd.read_parquet(real_data / "options_deribit_snapshots.parquet")
    day = chains[chains["ts_utc"].dt.strftime("%Y-%m-%d") == "2026-02-05"]
    day = day[
        (day["mark_price"] > 0.0) & (day["mark_iv"] > 0.0) & (day["expiry_utc"] > day["ts_utc"])
    ]
    years = (day["expiry_utc"] - day["ts_utc"]).dt.total_seconds().to_numpy() / (365.0 * 86_400.0)
    terms = OptionTerms(
        (day["option_type"] == "C").to_numpy(), day["strike"].to_numpy(), years, "inverse"
    )
    forward, mark = day["underlying_price"].to_numpy(), day["mark_price"].to_numpy()
    mark_iv = day["mark_iv"].to_numpy()
    value = option_value(terms, forward, mark_iv)
    solved = solve_implied_volatilities(terms, forward, mark)
    assert len(day) > 5_000
    # A snapshot takes seconds to collect while the index moves; prices are in coins.
    differences = np.abs(value.option_price - mark)
    assert np.mean(differences < 1e-3) > 0.98
    assert differences.max() < 5e-3
    # The rest is priced below its intrinsic value by the same few seconds.
    assert solved.has_solution.mean() > 0.97
    in_coins = (np.abs(solved.volatility - mark_iv) * value.vega)[solved.has_solution]
    assert in_coins.max() < 5e-3

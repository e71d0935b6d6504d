"""Options of Derive's portfolio manager in every scenario: all that depends on the market alone.

Written from the manager's published formulas alone and held to the venue's own cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.margin.derive_parameters import DeriveMove, DerivePortfolioParameters, DeriveScenario
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms

SECONDS_PER_YEAR = 31_536_000.0
_DAYS_PER_YEAR = 365.0
_REFERENCE_DAYS = 30.0
SKEWS = ("skew_linear", "skew_absolute")
FIRST_SCENARIO = 3
"""Columns of the revaluation before the scenarios: unshocked, forward up, forward down."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveOptions:
    """Options with the market of their expiries; arrays of shape (n_options,).

    Attributes
    ----------
    expiry : Int64Array1D
        Number of the expiry, from 0; forward, years and rate are those of the expiry.
    is_call : BoolArray1D
    strike_price, forward_price : Float64Array1D
        [quote currency]
    years : Float64Array1D
        Not negative. [years of 365 days]
    volatility, risk_free_rate : Float64Array1D
        Annual; the rate is continuous.
    """

    expiry: Int64Array1D
    is_call: BoolArray1D
    strike_price: Float64Array1D
    forward_price: Float64Array1D
    years: Float64Array1D
    volatility: Float64Array1D
    risk_free_rate: Float64Array1D

    def __len__(self) -> int:
        return len(self.expiry)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveRevaluation:
    """Options under every scenario.

    Attributes
    ----------
    options : DeriveOptions
    scenarios : tuple of DeriveScenario
    parameters : DerivePortfolioParameters
    unit_value : Float64Array2D, shape (n_options, 3 + n_scenarios)
        Value of one option held long: unshocked, at the forward shocks up and down, and in each
        scenario, before the static discount. [quote currency]
    """

    options: DeriveOptions
    scenarios: tuple[DeriveScenario, ...]
    parameters: DerivePortfolioParameters
    unit_value: Float64Array2D


def revalue_options(
    options: DeriveOptions,
    scenarios: tuple[DeriveScenario, ...],
    parameters: DerivePortfolioParameters,
) -> DeriveRevaluation:
    """Return every option in every scenario and under the shocks of its forward.

    Raises
    ------
    ModelInputError
        If there is no scenario, or a number is not usable.
    """
    if not scenarios:
        raise ModelInputError("scenarios are empty, limit: at least one", identifier="scenarios")
    columns = [
        _shocked(options, parameters, 0.0, "unchanged"),
        _shocked(options, parameters, parameters.forward_shock_up, "unchanged"),
        _shocked(options, parameters, parameters.forward_shock_down, "unchanged"),
        *(_shocked(options, parameters, s.price_shock, s.volatility_move) for s in scenarios),
    ]
    return DeriveRevaluation(
        options=options,
        scenarios=scenarios,
        parameters=parameters,
        unit_value=np.ascontiguousarray(np.stack(columns, axis=1)),
    )


def _shocked(
    options: DeriveOptions,
    parameters: DerivePortfolioParameters,
    price_shock: float,
    move: DeriveMove,
) -> Float64Array1D:
    """Return the value of each option after a move, without the static discount."""
    seconds = options.years * SECONDS_PER_YEAR
    # What the settlement average has already fixed does not move.
    fixed = np.maximum(1.0 - seconds / parameters.settlement_window_seconds, 0.0)
    forward = options.forward_price * ((1.0 - fixed) * (1.0 + price_shock) + fixed)
    terms = OptionTerms(
        is_call=options.is_call, strike_price=options.strike_price, years=options.years
    )
    volatility = _moved_volatility(options, parameters, move, forward)
    rate = np.maximum(options.risk_free_rate, 0.0)
    worth: Float64Array1D = option_value(terms, forward, volatility, rate).option_price
    return worth


def _moved_volatility(
    options: DeriveOptions,
    one: DerivePortfolioParameters,
    move: DeriveMove,
    forward: Float64Array1D,
) -> Float64Array1D:
    volatility = options.volatility
    if move == "unchanged":
        return volatility
    if move in SKEWS:
        return _skewed(options, one, move, forward)
    days = _DAYS_PER_YEAR * options.years
    power = np.where(days <= _REFERENCE_DAYS, one.volatility_power_short, one.volatility_power_long)
    scale = (_REFERENCE_DAYS / np.maximum(days, one.days_to_expiry_min)) ** power
    if move == "up":
        up = volatility * (1.0 + one.volatility_shock_up * scale)
        return np.asarray(np.maximum(up, one.volatility_min))
    down = volatility * np.maximum(1.0 - one.volatility_shock_down * scale, 0.0)
    return np.asarray(down)


def _skewed(
    options: DeriveOptions,
    one: DerivePortfolioParameters,
    move: DeriveMove,
    forward: Float64Array1D,
) -> Float64Array1D:
    root = np.sqrt(options.years)
    moneyness = np.log(options.strike_price / forward)
    if move == "skew_linear":
        cap = one.skew_linear_cap + one.skew_linear_slope * root
    else:
        cap = one.skew_absolute_cap + one.skew_absolute_slope * root
        moneyness = np.abs(moneyness)
    width = root * one.skew_width_scale * (one.skew_width_static + one.skew_width_slope * root)
    slope = cap / np.maximum(one.skew_width_min, width)
    skew = np.minimum(np.maximum(moneyness * slope, -cap), cap)
    moved: Float64Array1D = options.volatility * np.maximum(1.0 + skew, 0.0)
    return moved

"""The volatility at which Black-76 returns a price, accurate in both wings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import erfcx, log_ndtr

from engine.errors import ModelInputError
from engine.pricing.terms import (
    CheckedTerms,
    FloatArray,
    Numbers,
    OptionTerms,
    check_terms,
    discount_factor,
    require_number,
)

__all__ = ["ImpliedVolatilities", "implied_volatility", "solve_implied_volatilities"]

_ITERATIONS_MAX: Final = 200
# A price one rounding below its intrinsic value is the intrinsic value.
_ROUNDING: Final = 4.0 * float(np.finfo(np.float64).eps)
# Below it the difference of two nearby Mills ratios is expanded in powers of the half deviation.
_SERIES_HALF_MAX: Final = 0.1
_LOG_SQRT_2PI: Final = 0.5 * float(np.log(2.0 * np.pi))
_LOG_DEVIATION_MIN, _LOG_DEVIATION_MAX = -650.0, 7.0


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedVolatilities:
    """Volatilities of a chain; NaN where the price has none.

    Attributes
    ----------
    volatility : array
        Annual log-normal volatility, 0 where the price is the intrinsic value.
    has_solution : array of bool
        False where the price is below the intrinsic value or not below the upper bound.
    """

    volatility: FloatArray
    has_solution: np.ndarray[Any, np.dtype[np.bool_]]


def implied_volatility(
    terms: OptionTerms,
    forward_price: Numbers,
    option_price: Numbers,
    risk_free_rate: Numbers = 0.0,
) -> FloatArray:
    """Return the volatility at which `engine.pricing.black76.option_value` gives ``option_price``.

    Parameters
    ----------
    terms : OptionTerms
        Contracts; ``years`` above zero.
    forward_price : float or array
        Above zero. [quote currency]
    option_price : float or array
        Not negative. [quote currency, or coin when inverse]
    risk_free_rate : float or array
        Continuous annual rate for discounting.

    Raises
    ------
    ModelInputError
        If a number is out of its limits, or a price is below the intrinsic value or reaches the
        forward (call) or strike (put), so that no volatility gives it.

    Examples
    --------
    >>> terms = OptionTerms(is_call=True, strike_price=100.0, years=0.5)
    >>> float(implied_volatility(terms, forward_price=100.0, option_price=5.637198).round(6))
    0.2
    """
    solved = solve_implied_volatilities(terms, forward_price, option_price, risk_free_rate)
    if not solved.has_solution.all():
        asked = np.broadcast_to(np.asarray(option_price, dtype=np.float64), solved.volatility.shape)
        found = float(asked[~solved.has_solution].flat[0])
        raise ModelInputError(
            f"no volatility gives option_price {found}: it is below the intrinsic value or not "
            "below its upper bound",
            identifier="option_price",
            value=found,
            limit="intrinsic value <= option_price < forward (call) or strike (put)",
        )
    return solved.volatility


def solve_implied_volatilities(
    terms: OptionTerms,
    forward_price: Numbers,
    option_price: Numbers,
    risk_free_rate: Numbers = 0.0,
) -> ImpliedVolatilities:
    """Return the implied volatility of each option of a chain, NaN where there is none.

    Arguments are those of `implied_volatility`. The option out of the money is solved for, on the
    logarithm of its price (or, in the upper half, of what the price lacks to its bound), by Newton
    steps in the logarithm of the deviation, kept inside a bracket.
    """
    checked = check_terms(terms, forward_price)
    years = require_number("time_to_expiry_years", terms.years)
    price = require_number("option_price", option_price, is_zero_allowed=True)
    rate = require_number("risk_free_rate", risk_free_rate, is_signed=True)
    if terms.settlement == "inverse":
        price = price * checked.forward
    share, log_ratio, has_solution = _normalised(checked, price / discount_factor(rate, years))
    is_inner = has_solution & (share > 0.0)
    deviation = np.asarray(np.where(has_solution, 0.0, np.nan))
    deviation[is_inner] = _solve(share[is_inner], log_ratio[is_inner])
    return ImpliedVolatilities(deviation / np.sqrt(years), np.asarray(has_solution))


def _normalised(
    terms: CheckedTerms, price: FloatArray
) -> tuple[FloatArray, FloatArray, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the price out of the money as a share of its bound, and minus |ln(F / K)|."""
    forward, strike = terms.forward, terms.strike
    intrinsic = np.maximum(terms.sign * (forward - strike), 0.0)
    time_value = price - intrinsic
    time_value = np.where(np.abs(time_value) <= _ROUNDING * intrinsic, 0.0, time_value)
    bound = np.minimum(forward, strike)
    has_solution = (time_value >= 0.0) & (time_value < bound)
    share, log_ratio = np.broadcast_arrays(time_value / bound, -np.abs(np.log(forward / strike)))
    return share, log_ratio, has_solution


def _solve(share: FloatArray, x: FloatArray) -> FloatArray:
    is_upper = share > 0.5
    target = np.where(is_upper, np.log1p(-np.minimum(share, 1.0)), np.log(share))
    low = np.full(x.shape, _LOG_DEVIATION_MIN)
    high = np.full(x.shape, _LOG_DEVIATION_MAX)
    y = _first_guess(share, x)
    active = np.arange(x.size)
    # Far from the root a step may overflow; the bracket then takes over.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
        for _ in range(_ITERATIONS_MAX):
            above, slope = _excess(y[active], x[active], target[active], is_upper[active])
            low[active] = np.where(above < 0.0, y[active], low[active])
            high[active] = np.where(above >= 0.0, y[active], high[active])
            following = y[active] - above / slope
            inside = (following > low[active]) & (following < high[active])
            settled = np.abs(above) <= np.abs(slope) * 1e-16
            middle = 0.5 * (low[active] + high[active])
            following = np.where(inside, following, np.where(settled, y[active], middle))
            moved = np.abs(following - y[active])
            y[active] = following
            active = active[moved > 4e-16 * np.maximum(np.abs(following), 1.0)]
            if not active.size:
                break
    return np.exp(y)


def _first_guess(share: FloatArray, x: FloatArray) -> FloatArray:
    # At the money price is deviation / sqrt(2 pi); far from it, exp(-x^2 / (2 deviation^2)).
    with np.errstate(divide="ignore"):
        near = np.log(share) + _LOG_SQRT_2PI
        far = np.log(np.abs(x)) - 0.5 * np.log(-2.0 * np.log(np.minimum(share, 0.5)))
    guess: FloatArray = np.clip(np.maximum(near, far), _LOG_DEVIATION_MIN + 1.0, 3.0)
    return guess


def _excess(
    y: FloatArray, x: FloatArray, target: FloatArray, is_upper: np.ndarray[Any, Any]
) -> tuple[FloatArray, FloatArray]:
    """Return an increasing function of y = ln(deviation), zero at the solution, and its slope."""
    deviation = np.exp(y)
    h, t = x / deviation, 0.5 * deviation
    # Prices are in units of the bound, which is exp(x / 2) in units of sqrt(F K).
    log_slope = y - 0.5 * (h * h + t * t) - _LOG_SQRT_2PI - 0.5 * x
    log_price = np.where(is_upper, 0.0, _log_price(h, t) - 0.5 * x)
    log_lack = np.where(is_upper, np.logaddexp(log_ndtr(-h - t), log_ndtr(h - t) - x), 0.0)
    excess = np.where(is_upper, target - log_lack, log_price - target)
    return excess, np.exp(log_slope - np.where(is_upper, log_lack, log_price))


def _log_price(h: FloatArray, t: FloatArray) -> FloatArray:
    scale = np.sqrt(0.5)
    # Half of erfcx is the Mills ratio; it overflows only where the upper half is taken.
    apart = 0.5 * (erfcx(-(h + t) * scale) - erfcx(-(h - t) * scale))
    series = _mills_difference(h, t)
    factor = np.where(t < _SERIES_HALF_MAX, series, apart)
    log_price: FloatArray = np.log(factor) - 0.5 * (h * h + t * t)
    return log_price


def _mills_difference(h: FloatArray, t: FloatArray) -> FloatArray:
    """Return ``(Y(h + t) - Y(h - t)) / sqrt(2 pi)`` by odd powers of t, where ``Y' = 1 + h Y``."""
    mills = np.sqrt(0.5 * np.pi) * erfcx(-h * np.sqrt(0.5))
    derivatives = [mills, 1.0 + h * mills]
    for order in range(2, 10):
        derivatives.append((order - 1) * derivatives[order - 2] + h * derivatives[order - 1])
    total, power = np.zeros_like(h), t
    for order in range(1, 10, 2):
        total = total + derivatives[order] * power
        power = power * t * t / ((order + 1) * (order + 2))
    difference: FloatArray = 2.0 * total / np.sqrt(2.0 * np.pi)
    return difference

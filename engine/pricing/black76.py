"""Black-76 value and Greeks of European options, paid in the quote currency or in coin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from engine.pricing.terms import (
    CheckedTerms,
    FloatArray,
    Numbers,
    OptionTerms,
    check_terms,
    discount_factor,
    require_number,
)

__all__ = ["OptionTerms", "OptionValue", "option_value"]

# Beyond it the normal density is 0 as a float, and its products must be too.
_DISTANCE_MAX = 40.0


@dataclass(frozen=True, slots=True, eq=False)
class OptionValue:
    """Value and Greeks of one unit, each of the inputs' broadcast shape.

    ``option_price`` and the Greeks are in the currency that the option is paid in: quote currency
    for linear, coin for inverse. Delta and gamma are with respect to the forward, vega, vanna and
    volga per 1.00 of volatility, theta per year (decay < 0), rho per 1.00 of rate with the forward
    held.

    Attributes
    ----------
    option_price_usd, delta_usd : array
        Price and delta of the same option paid in the quote currency.
    net_delta : array
        Coins that hedge the option: ``delta_usd`` less, for inverse, the premium held in coin.
    """

    option_price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray
    option_price_usd: FloatArray
    delta_usd: FloatArray
    net_delta: FloatArray


def option_value(
    terms: OptionTerms,
    forward_price: Numbers,
    volatility: Numbers,
    risk_free_rate: Numbers = 0.0,
) -> OptionValue:
    """Return the Black-76 value and Greeks of one unit of each option [1]_.

    An inverse option pays ``max(w (S - K), 0) / S`` coins, so its value is the linear value over
    the forward. Without time or volatility an option is worth its discounted intrinsic value, its
    delta is half of the full one at the money, and gamma, vega, vanna and volga are zero.

    Parameters
    ----------
    forward_price : float or array
        Forward to the expiry, above zero. [quote currency]
    volatility : float or array
        Annual log-normal volatility, not negative, 0.55 = 55 %.
    risk_free_rate : float or array
        Continuous annual rate for discounting.

    Raises
    ------
    ModelInputError
        If a number is not finite or out of its limits, or the settlement is unknown.

    References
    ----------
    .. [1] F. Black, "The pricing of commodity contracts," J. Financ. Econ., vol. 3,
       pp. 167-179, 1976.

    Examples
    --------
    >>> terms = OptionTerms(is_call=True, strike_price=100.0, years=0.5)
    >>> float(option_value(terms, forward_price=100.0, volatility=0.2).option_price.round(6))
    5.637198
    """
    checked = check_terms(terms, forward_price)
    volatility = require_number("volatility", volatility, is_zero_allowed=True)
    rate = require_number("risk_free_rate", risk_free_rate, is_signed=True)
    sign, strike, years, forward, volatility, rate = np.broadcast_arrays(
        checked.sign, checked.strike, checked.years, checked.forward, volatility, rate
    )
    linear = _linear(CheckedTerms(sign, strike, years, forward), volatility, rate)
    return linear if terms.settlement == "linear" else _inverse(linear, forward)


def _linear(terms: CheckedTerms, volatility: FloatArray, rate: FloatArray) -> OptionValue:
    sign, strike, forward = terms.sign, terms.strike, terms.forward
    root = np.sqrt(terms.years)
    discount = discount_factor(rate, terms.years)
    d1, d2, is_certain = _distances(forward, strike, volatility * root)
    near1 = np.clip(d1, -_DISTANCE_MAX, _DISTANCE_MAX)
    near2 = np.clip(d2, -_DISTANCE_MAX, _DISTANCE_MAX)
    density = np.where(is_certain, 0.0, np.exp(-0.5 * near1 * near1) / np.sqrt(2.0 * np.pi))
    safe_root = np.where(root > 0.0, root, 1.0)
    safe_volatility = np.where(volatility > 0.0, volatility, 1.0)
    price = discount * undiscounted_value(sign, forward, strike, (d1, d2))
    delta = sign * discount * ndtr(sign * d1)
    vega = discount * forward * density * root
    return OptionValue(
        option_price=price,
        delta=delta,
        gamma=discount * density / (forward * safe_volatility * safe_root),
        vega=vega,
        theta=rate * price - discount * forward * density * volatility / (2.0 * safe_root),
        rho=-terms.years * price,
        vanna=-discount * density * near2 / safe_volatility,
        volga=vega * near1 * near2 / safe_volatility,
        option_price_usd=price,
        delta_usd=delta,
        net_delta=delta,
    )


def _inverse(linear: OptionValue, forward: FloatArray) -> OptionValue:
    price = linear.option_price / forward
    net_delta = linear.delta - price
    return OptionValue(
        option_price=price,
        delta=net_delta / forward,
        gamma=linear.gamma / forward - 2.0 * net_delta / forward**2,
        vega=linear.vega / forward,
        theta=linear.theta / forward,
        rho=linear.rho / forward,
        vanna=(linear.vanna - linear.vega / forward) / forward,
        volga=linear.volga / forward,
        option_price_usd=linear.option_price,
        delta_usd=linear.delta,
        net_delta=net_delta,
    )


def _distances(
    forward: FloatArray, strike: FloatArray, deviation: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    is_certain = deviation == 0.0
    log_moneyness = np.log(forward / strike)
    with np.errstate(over="ignore"):
        middle = log_moneyness / np.where(is_certain, 1.0, deviation)
    certain = np.where(log_moneyness == 0.0, 0.0, np.copysign(np.inf, log_moneyness))
    middle = np.where(is_certain, certain, middle)
    half = 0.5 * deviation
    return middle + half, middle - half, is_certain


def undiscounted_value(
    sign: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    distances: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return the forward value from ``d1`` and ``d2``.

    The option out of the money is valued, with full relative accuracy, and one in the money adds
    its intrinsic value: the difference of two large terms would lose the time value.
    """
    outside = np.where(forward < strike, 1.0, -1.0)
    d1, d2 = distances
    time_value = outside * (forward * ndtr(outside * d1) - strike * ndtr(outside * d2))
    value: FloatArray = np.maximum(time_value, 0.0) + np.maximum(sign * (forward - strike), 0.0)
    return value

"""Exponentially weighted volatility, and the filter that brings old returns to today's."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError

BACKCAST_DAYS = 75
# A peg that has not moved for months still has a volatility; a tenth of a basis point a day keeps
# ratios finite without mattering to any requirement.
VOLATILITY_MIN = 1e-5


def ewma_volatility(returns: Float64Array2D, *, decay: float) -> Float64Array2D:
    """Return the volatility forecast for each day, and for the day after the last.

    ``v[t] = decay * v[t-1] + (1 - decay) * r[t-1]**2``, started from the exponentially weighted
    mean square of the first 75 returns. A missing return leaves the variance as it was.

    Parameters
    ----------
    returns : Float64Array2D, shape (n_days, n_factors)
        Log returns, NaN where missing. [-]
    decay : float
        Weight of the past, between 0 and 1. [-]

    Returns
    -------
    Float64Array2D, shape (n_days + 1, n_factors)
        Row t is the forecast made before return t is known. [1/sqrt(day)]

    References
    ----------
    .. [1] J.P. Morgan/Reuters, "RiskMetrics technical document," 4th ed., 1996, section 5.2.
    """
    if returns.ndim != 2:
        raise ModelInputError(f"returns needs 2 dimensions, found {returns.ndim}")
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels.ewma import ewma_variance

    variance = ewma_variance(np.ascontiguousarray(returns), _backcast(returns), decay)
    volatility: Float64Array2D = np.maximum(np.sqrt(variance), VOLATILITY_MIN)
    return volatility


def plain_ewma_variance(
    returns: Float64Array2D, start: Float64Array1D, decay: float
) -> Float64Array2D:
    """Return what the compiled recursion returns, in plain NumPy; tests hold the two equal."""
    n_days, n_factors = returns.shape
    variance = np.empty((n_days + 1, n_factors))
    variance[0] = start
    for day in range(n_days):
        seen = np.isfinite(returns[day])
        square = np.where(seen, returns[day] * returns[day], 0.0)
        moved = decay * variance[day] + (1.0 - decay) * square
        variance[day + 1] = np.where(seen, moved, variance[day])
    return variance


def _backcast(returns: Float64Array2D) -> Float64Array1D:
    weights = 0.94 ** np.arange(BACKCAST_DAYS)
    start = np.zeros(returns.shape[1])
    head = returns[:BACKCAST_DAYS]
    # Without gaps, as nearly always, the first rows are all there is to look at.
    looked_at = head if np.isfinite(head).all() else returns
    for factor in range(returns.shape[1]):
        own = looked_at[:, factor]
        seen = own[np.isfinite(own)][:BACKCAST_DAYS] ** 2
        if seen.size:
            start[factor] = float((weights[: seen.size] * seen).sum() / weights[: seen.size].sum())
    return start


def filtered_returns(
    returns: Float64Array2D,
    volatility: Float64Array2D,
    today: Float64Array1D,
    *,
    ratio_floor: float,
    ratio_cap: float,
) -> Float64Array2D:
    """Return each day's returns rescaled from that day's volatility to today's.

    Parameters
    ----------
    returns : Float64Array2D, shape (n_days, n_factors)
        Log returns without gaps. [-]
    volatility : Float64Array2D, shape (n_days, n_factors)
        Forecast of each day. [1/sqrt(day)]
    today : Float64Array1D, shape (n_factors,)
        Volatility to bring them to. [1/sqrt(day)]
    ratio_floor, ratio_cap : float
        Bounds of today's over the day's volatility: without a cap a calm day before a storm
        would be blown up to a move that no market has made; without a floor the worst days of
        a turbulent past would vanish from the tail. [-]

    References
    ----------
    .. [1] G. Barone-Adesi, K. Giannopoulos and L. Vosper, "VaR without correlations for
       portfolios of derivative securities," J. Futures Markets, vol. 19, pp. 583-602, 1999.
    """
    ratio = np.clip(today[None, :] / volatility, ratio_floor, ratio_cap)
    rescaled: Float64Array2D = returns * ratio
    return rescaled

"""The exponentially weighted variance recursion, compiled."""

from __future__ import annotations

import math

import numba
import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D


@numba.njit(cache=True, nogil=True)
def ewma_variance(returns: Float64Array2D, start: Float64Array1D, decay: float) -> Float64Array2D:
    """Return the variance forecast before each return and after the last; NaN returns carry it.

    Shapes: ``returns`` (n_days, n_factors), ``start`` (n_factors,), result (n_days + 1, n_factors).
    The plain twin is ``engine.scenarios.ewma.plain_ewma_variance``.
    """
    n_days, n_factors = returns.shape
    variance = np.empty((n_days + 1, n_factors))
    for factor in range(n_factors):
        current = start[factor]
        variance[0, factor] = current
        for day in range(n_days):
            move = returns[day, factor]
            if not math.isnan(move):
                current = decay * current + (1.0 - decay) * (move * move)
            variance[day + 1, factor] = current
    return variance

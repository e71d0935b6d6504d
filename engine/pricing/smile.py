"""Volatility between quoted strikes and expiries.

Within an expiry, total variance ``w = volatility^2 * years`` is interpolated over log-moneyness
``ln(strike / forward)`` by monotone cubic pieces [1]_, which pass through every quote and never
overshoot, hence stay positive. Beyond the outermost quotes total variance is held flat: any slope
that history suggests would be a guess, and zero obeys Lee's bound on the wings. Between expiries
total variance is linear in time at equal log-moneyness, which keeps calendar spreads free of
arbitrage wherever the quotes are; before the first expiry and after the last the volatility of
that expiry holds.

References
----------
.. [1] F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic
   interpolants," SIAM J. Sci. Stat. Comput., vol. 5, pp. 300-304, 1984.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.pricing.terms import require_number

__all__ = ["VolatilitySurface", "fit_surface"]

_SAME_STRIKE_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, eq=False)
class VolatilitySurface:
    """Total variance of one underlying at its quotes.

    Attributes
    ----------
    years : Float64Array1D, shape (n_expiries,)
        Times to expiry, ascending. [years]
    log_moneyness : tuple of Float64Array1D
        Quoted ``ln(strike / forward)`` of each expiry, ascending.
    total_variance : tuple of Float64Array1D
        ``volatility^2 * years`` at those points.
    """

    years: Float64Array1D
    log_moneyness: tuple[Float64Array1D, ...]
    total_variance: tuple[Float64Array1D, ...]

    def volatility(self, log_moneyness: Float64Array1D, years: Float64Array1D) -> Float64Array1D:
        """Return the annual volatility at each point.

        Parameters
        ----------
        log_moneyness, years : Float64Array1D, shape (n_points,)
            ``ln(strike / forward)`` and time to expiry, not negative. [years]
        """
        k = require_number("log_moneyness", log_moneyness, is_signed=True)
        asked = require_number("years", years, is_zero_allowed=True)
        if k.ndim != 1 or k.shape != asked.shape:
            raise ModelInputError(f"points need equal 1-d shapes, found {k.shape}, {asked.shape}")
        variance = self._variance_by_expiry(k)
        last = len(self.years) - 1
        after = np.searchsorted(self.years, asked)
        before, after = np.clip(after - 1, 0, last), np.clip(after, 0, last)
        span = self.years[after] - self.years[before]
        weight = np.where(span > 0.0, (asked - self.years[before]) / np.where(span, span, 1.0), 0.0)
        point = np.arange(len(k))
        total = (1.0 - weight) * variance[before, point] + weight * variance[after, point]
        # Outside the quoted expiries the nearest one's volatility holds.
        time = np.clip(asked, self.years[0], self.years[-1])
        volatility: Float64Array1D = np.sqrt(total / time)
        return volatility

    def calendar_shortfall(self, log_moneyness: Float64Array1D) -> Float64Array2D:
        """Return by how much total variance falls from each expiry to the next, 0 where it rises.

        Shape (n_expiries - 1, n_points). A positive number is a calendar arbitrage in the quotes.
        """
        k = require_number("log_moneyness", log_moneyness, is_signed=True)
        falls: Float64Array2D = np.maximum(-np.diff(self._variance_by_expiry(k), axis=0), 0.0)
        return falls

    def _variance_by_expiry(self, k: Float64Array1D) -> Float64Array2D:
        variance = np.empty((len(self.years), len(k)))
        for i, (knots, values) in enumerate(
            zip(self.log_moneyness, self.total_variance, strict=True)
        ):
            if len(knots) == 1:
                variance[i] = values[0]
                continue
            between = PchipInterpolator(knots, values)(np.clip(k, knots[0], knots[-1]))
            # The pieces do not overshoot; their rounding may, and a steep smile magnifies it.
            variance[i] = np.clip(between, values.min(), values.max())
        return variance


def fit_surface(
    years: Float64Array1D, log_moneyness: Float64Array1D, volatility: Float64Array1D
) -> VolatilitySurface:
    """Return the surface through the given quotes.

    Quotes of one expiry and strike (a call and a put) are averaged in total variance. Strikes
    that agree to nine digits are one.

    Parameters
    ----------
    years, log_moneyness, volatility : Float64Array1D, shape (n_quotes,)
        Time to expiry above zero [years], ``ln(strike / forward)``, annual volatility above zero.

    Raises
    ------
    ModelInputError
        If there is no quote, shapes differ, or a number is out of its limits.
    """
    times = require_number("years", years)
    k = require_number("log_moneyness", log_moneyness, is_signed=True)
    sigma = require_number("volatility", volatility)
    if not times.size or times.ndim != 1 or not times.shape == k.shape == sigma.shape:
        raise ModelInputError(
            f"quotes need equal 1-d shapes, found {times.shape}, {k.shape}, {sigma.shape}"
        )
    expiries = np.unique(times)
    knots, variances = [], []
    for expiry in expiries:
        of_expiry = times == expiry
        _, quote = np.unique(np.round(k[of_expiry], _SAME_STRIKE_DIGITS), return_inverse=True)
        count = np.bincount(quote)
        knots.append(np.bincount(quote, weights=k[of_expiry]) / count)
        variances.append(np.bincount(quote, weights=sigma[of_expiry] ** 2 * expiry) / count)
    return VolatilitySurface(expiries, tuple(knots), tuple(variances))

"""Implied volatility by underlying, strike and expiry, free of static arbitrage.

Total variance is the surface SVI of Gatheral and Jacquier [1]_ with the power-law curvature::

    w(k, theta) = theta / 2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))
    phi(theta)  = eta / (theta^0.5 (1 + theta)^0.5)

k is the log of strike over forward. With eta (1 + |rho|) <= 2 no butterfly has a negative price,
and no calendar spread does as long as the at-the-money variance theta grows with time, which mean
reversion of variance from v0 to v1 with speed kappa guarantees::

    theta(T) = v1 T + (v0 - v1) (1 - exp(-kappa T)) / kappa

v0 is chosen so that theta(30 days) meets the volatility history.

References
----------
.. [1] J. Gatheral and A. Jacquier, "Arbitrage-free SVI volatility surfaces," Quant. Finance,
   vol. 14, pp. 59-71, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError

REFERENCE_YEARS = 30.0 / 365.0
MEAN_REVERSION = 3.0
"""Speed at which variance returns to its long-run level. [1/year]"""
_VARIANCE_FLOOR_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Smile:
    """Smile of one underlying at one instant; volatilities are annual fractions."""

    volatility_30d: float
    volatility_long_run: float
    skew: float
    curvature: float

    def __post_init__(self) -> None:
        wing = self.curvature * (1.0 + abs(self.skew))
        if not 0.0 < wing <= 2.0 or abs(self.skew) >= 1.0:
            raise ModelInputError(
                f"smile: curvature x (1 + |skew|) is {wing:.4g}, limit 0 to 2: butterflies with a "
                "negative price",
                identifier="smile",
                value=wing,
                limit="0 to 2",
            )

    def at_the_money_variance(self, years: Float64Array1D) -> Float64Array1D:
        """Return the total at-the-money variance to each time. [-]"""
        long_run = self.volatility_long_run**2
        weight = _relaxation(np.array([REFERENCE_YEARS]))[0]
        # Below the floor the short end would have to be negative to meet a very low level.
        start = max(
            (self.volatility_30d**2 * REFERENCE_YEARS - long_run * (REFERENCE_YEARS - weight))
            / weight,
            _VARIANCE_FLOOR_SHARE * long_run,
        )
        variance: Float64Array1D = long_run * years + (start - long_run) * _relaxation(years)
        return variance

    def implied_volatility(
        self, strike: Float64Array1D, forward: Float64Array1D, years: Float64Array1D
    ) -> Float64Array1D:
        """Return the annual implied volatility of each option; ``years`` above zero."""
        theta = self.at_the_money_variance(years)
        phi = self.curvature / np.sqrt(theta * (1.0 + theta))
        tilt = phi * np.log(strike / forward)
        wing = np.sqrt((tilt + self.skew) ** 2 + 1.0 - self.skew**2)
        variance = 0.5 * theta * (1.0 + self.skew * tilt + wing)
        volatility: Float64Array1D = np.sqrt(variance / years)
        return volatility


def _relaxation(years: Float64Array1D) -> Float64Array1D:
    result: Float64Array1D = -np.expm1(-MEAN_REVERSION * years) / MEAN_REVERSION
    return result

"""Variance of returns by exponential weighting or GARCH, with given parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.errors import ModelInputError

BACKCAST_DECAY: Final = 0.94
BACKCAST_RETURNS_MAX: Final = 75
HORIZON_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class VarianceModel:
    """Recursion v_t = omega + (alpha + gamma [r < 0]) r^2 + beta v, of the last return r.

    ``ewma`` has omega 0 and alpha + beta = 1; GARCH has gamma 0; GJR-GARCH has all four.
    """

    omega: float
    alpha: float
    beta: float
    gamma: float = 0.0

    @property
    def persistence(self) -> float:
        """Weight of today's variance in tomorrow's expectation."""
        return self.alpha + self.gamma / 2.0 + self.beta

    @classmethod
    def ewma(cls, decay: float) -> VarianceModel:
        """Return exponential weighting, as RiskMetrics defines it."""
        return cls(omega=0.0, alpha=1.0 - decay, beta=decay)


@dataclass(frozen=True, slots=True)
class ConditionalVariance:
    """Fitted path and forecasts; variances in squared units of the returns."""

    variance_first: float
    variance_last: float
    variance_forecasts: tuple[float, ...]
    variance_forecast_sum: float
    volatility_forecast: float
    log_likelihood: float


def conditional_variance(
    returns: Sequence[float], model: VarianceModel, *, horizon: int = 1
) -> ConditionalVariance:
    """Return the variance of each step's return, summed up, and its forecasts.

    The recursion starts from the backcast: the mean of the first 75 squared returns with weights
    0.94^i [1]_. Forecast h > 1 is omega + persistence times the one before.

    Parameters
    ----------
    returns : sequence of float
        At least two, oldest first, mean taken as zero. [-]
    model : VarianceModel
        Weights; persistence below 1 unless omega is 0.
    horizon : int
        Number of forecasts, 1 to 100,000.

    Returns
    -------
    ConditionalVariance
        First and last variance, forecasts, and the Gaussian log-likelihood.

    Raises
    ------
    ModelInputError
        If returns are too few, all zero or too large, the model is explosive, or a variance
        is not above 0.

    References
    ----------
    .. [1] K. Sheppard, ``arch``, ``univariate/volatility.py``, backcast.
    """
    if len(returns) < 2 or not any(returns):
        raise ModelInputError(f"variance needs two returns that are not all 0: {len(returns)=}")
    if not 1 <= horizon <= HORIZON_MAX:
        raise ModelInputError(f"horizon is {horizon}, limit 1 to {HORIZON_MAX}", value=horizon)
    if model.omega > 0.0 and model.persistence >= 1.0:
        raise ModelInputError(
            f"alpha + gamma / 2 + beta is {model.persistence}, limit < 1: variance explodes",
            value=model.persistence,
            limit="< 1",
        )
    variances = _path(returns, model)
    last = _next(variances[-1], returns[-1], model)
    forecasts = [last]
    for _ in range(horizon - 1):
        forecasts.append(model.omega + model.persistence * forecasts[-1])
    for variance in (*variances, *forecasts):
        if not 0.0 < variance < math.inf:
            raise ModelInputError(
                f"variance is {variance}, limit > 0 and finite: check the returns and weights",
                value=variance,
            )
    log_likelihood = -0.5 * math.fsum(
        math.log(2.0 * math.pi) + math.log(variance) + value * value / variance
        for value, variance in zip(returns, variances, strict=True)
    )
    return ConditionalVariance(
        variance_first=variances[0],
        variance_last=variances[-1],
        variance_forecasts=tuple(forecasts),
        variance_forecast_sum=math.fsum(forecasts),
        volatility_forecast=math.sqrt(last),
        log_likelihood=log_likelihood,
    )


def _path(returns: Sequence[float], model: VarianceModel) -> list[float]:
    """Return the variance of each return."""
    first = returns[:BACKCAST_RETURNS_MAX]
    weights = [BACKCAST_DECAY**i for i in range(len(first))]
    weighted = math.fsum(w * r * r for w, r in zip(weights, first, strict=True))
    variances = [model.omega + model.persistence * weighted / math.fsum(weights)]
    for value in returns[:-1]:
        variances.append(_next(variances[-1], value, model))
    return variances


def _next(variance: float, value: float, model: VarianceModel) -> float:
    weight = model.alpha + (model.gamma if value < 0.0 else 0.0)
    return model.omega + weight * value * value + model.beta * variance

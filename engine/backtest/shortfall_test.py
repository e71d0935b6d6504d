"""Test of an expected-shortfall forecast: the second statistic of Acerbi and Szekely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.backtest.kupiec import require_confidence
from engine.errors import ModelInputError

TEST_CONFIDENCE: Final = 0.95
_NUMBERS_PER_CHUNK: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """Outcome of the test.

    ``statistic`` is 0 in the mean for a right forecast and negative where losses beyond the
    quantile are too many or too large; it is rejected below ``critical_value``. ``p_value`` is the
    probability of a statistic at least as low under the forecast.
    """

    statistic: float
    critical_value: float
    p_value: float
    accepted: bool


@dataclass(frozen=True, slots=True, eq=False)
class TailForecasts:
    """What was forecast for the worst outcomes of each day.

    Attributes
    ----------
    losses : Float64Array2D, shape (n_days, k) or (1, k)
        Worst losses of each day's forecast, largest first; one row if the same for all. [currency]
    n_tail : Float64Array1D, shape (n_days,) or (1,)
        Of these, how many make up the tail; the last counts with the fraction. At most k.
    """

    losses: Float64Array2D
    n_tail: Float64Array1D


def shortfall_statistic(
    losses: Float64Array1D,
    value_at_risk: Float64Array1D,
    expected_shortfall: Float64Array1D,
    *,
    confidence: float,
) -> float:
    """Return ``1 - sum(L[t] * (L[t] > VaR[t]) / ES[t]) / (n * (1 - confidence))`` [1]_.

    Parameters
    ----------
    losses, value_at_risk, expected_shortfall : Float64Array1D, shape (n,)
        Loss (> 0) of each day and its forecasts. [currency]
    confidence : float
        Of the forecasts, strictly between 0 and 1. [-]

    Returns
    -------
    float
        At most 1, which is a history without a loss beyond the quantile. [-]

    Raises
    ------
    ModelInputError
        If the arrays differ in length or are empty, a figure is not finite, or a loss beyond the
        quantile meets an expected shortfall that is not positive.

    References
    ----------
    .. [1] C. Acerbi and B. Szekely, "Backtesting expected shortfall," Risk, December 2014,
       test 2; "unconditional test" in the Risk Management Toolbox of MathWorks.
    """
    require_confidence(confidence)
    if not losses.size or not losses.shape == value_at_risk.shape == expected_shortfall.shape:
        raise ModelInputError(
            f"{losses.size} losses, {value_at_risk.size} quantiles and {expected_shortfall.size} "
            "shortfalls: need as many of each, and one at least"
        )
    if not np.isfinite([losses, value_at_risk, expected_shortfall]).all():
        raise ModelInputError("losses and forecasts need to be finite")
    beyond = losses > value_at_risk
    if (expected_shortfall[beyond] <= 0.0).any():
        raise ModelInputError("expected shortfall is 0 where a loss exceeds it, limit > 0")
    excess = float((losses[beyond] / expected_shortfall[beyond]).sum())
    return 1.0 - excess / (losses.size * (1.0 - confidence))


def simulated_statistics(
    tails: TailForecasts,
    n_days: int,
    *,
    confidence: float,
    generator: np.random.Generator,
    n_paths: int,
) -> Float64Array1D:
    """Return the statistic on many paths on which the forecasts are right.

    Each day has an outcome in its tail with probability ``1 - confidence``, and then one of the
    tail's outcomes, the fractional one with its fraction.

    Raises
    ------
    ModelInputError
        If the tails do not fit the days.
    """
    require_confidence(confidence)
    ratio, chance = _ratios(tails, n_days)
    alpha = 1.0 - confidence
    chunk = max(_NUMBERS_PER_CHUNK // n_days, 1)
    statistics = np.empty(n_paths)
    for first in range(0, n_paths, chunk):
        n = min(chunk, n_paths - first)
        path, day = np.nonzero(generator.random((n, n_days)) < alpha)
        chosen = generator.random(path.size)
        if ratio.shape[0] == 1:
            rank = np.searchsorted(chance[0], chosen, side="right")
            picked = ratio[0, np.minimum(rank, ratio.shape[1] - 1)]
        else:
            rank = (chosen[:, None] >= chance[day]).sum(axis=1)
            picked = ratio[day, np.minimum(rank, ratio.shape[1] - 1)]
        statistics[first : first + n] = 1.0 - np.bincount(path, picked, n) / (n_days * alpha)
    return statistics


def shortfall_test(
    statistic: float, simulated: Float64Array1D, *, test_confidence: float = TEST_CONFIDENCE
) -> ShortfallTest:
    """Return the verdict on ``statistic`` by statistics simulated under the forecast."""
    require_confidence(test_confidence)
    critical = float(np.quantile(simulated, 1.0 - test_confidence, method="lower"))
    p_value = (1 + int((simulated <= statistic).sum())) / (simulated.size + 1)
    return ShortfallTest(statistic, critical, p_value, statistic >= critical)


def _ratios(tails: TailForecasts, n_days: int) -> tuple[Float64Array2D, Float64Array2D]:
    """Return tail losses over the expected shortfall, and cumulated chances of each."""
    n_rows, k = tails.losses.shape
    if n_rows not in (1, n_days) or tails.n_tail.shape != (n_rows,):
        raise ModelInputError(f"{n_rows} rows of tails for {n_days} days, limit 1 or {n_days}")
    if (tails.n_tail > k).any() or (tails.n_tail <= 0.0).any():
        raise ModelInputError(f"n_tail needs to be above 0 and at most {k}")
    whole = np.clip(tails.n_tail[:, None] - np.arange(k)[None, :], 0.0, 1.0)
    losses = np.where(whole > 0.0, tails.losses, 0.0)
    shortfall = (losses * whole).sum(axis=1) / tails.n_tail
    if not np.isfinite(shortfall).all():
        raise ModelInputError("tails need to be finite")
    ratio = losses / np.where(shortfall > 0.0, shortfall, 1.0)[:, None]
    return ratio, np.cumsum(whole, axis=1) / tails.n_tail[:, None]

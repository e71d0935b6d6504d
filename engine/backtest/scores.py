"""Which of two forecasts is better: a score for quantile and shortfall, and a test of the gap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D
from engine.backtest.kupiec import require_confidence
from engine.errors import ModelInputError


@dataclass(frozen=True, slots=True)
class ScoreComparison:
    """Mean difference of scores, its standard error and t statistic, and two-sided p-value.

    A negative difference says that the first forecast is better.
    """

    mean_difference: float
    standard_error: float
    t_statistic: float
    p_value: float


def joint_score(
    losses: Float64Array1D,
    value_at_risk: Float64Array1D,
    expected_shortfall: Float64Array1D,
    *,
    confidence: float,
) -> Float64Array1D:
    """Return the score of each day's forecast of quantile and expected shortfall; low is good.

    With loss L, quantile V, shortfall E > 0 and a = 1 - confidence it is ``max(L - V, 0) / (a E) +
    V / E + ln E - 1``: the member of the strictly consistent scores [1]_ whose differences
    do not depend on the unit [2]_.

    Parameters
    ----------
    losses, value_at_risk, expected_shortfall : Float64Array1D, shape (n,)
        Loss (> 0) of each day and its forecasts, the last > 0. [currency]
    confidence : float
        Of the forecasts. [-]

    Returns
    -------
    Float64Array1D, shape (n,)
        [-]

    Raises
    ------
    ModelInputError
        If an expected shortfall is not above 0.

    References
    ----------
    .. [1] T. Fissler and J. F. Ziegel, "Higher order elicitability and Osband's principle," Ann.
       Statist., vol. 44, pp. 1680-1707, 2016.
    .. [2] A. J. Patton, J. F. Ziegel and R. Chen, "Dynamic semiparametric models for expected
       shortfall (and value-at-risk)," J. Econometrics, vol. 211, pp. 388-413, 2019, equation 6.
    """
    require_confidence(confidence)
    if not (expected_shortfall > 0.0).all():
        raise ModelInputError("a score needs expected shortfalls above 0")
    excess = np.maximum(losses - value_at_risk, 0.0) / (1.0 - confidence)
    score: Float64Array1D = (
        (excess + value_at_risk) / expected_shortfall + np.log(expected_shortfall) - 1.0
    )
    return score


def compare_scores(differences: Float64Array1D, *, n_lags: int) -> ScoreComparison:
    """Return whether a mean difference of scores is more than chance [1]_.

    The variance of the mean counts autocorrelations up to ``n_lags`` with falling weights [2]_.

    Parameters
    ----------
    differences : Float64Array1D, shape (n,)
        Score of the first forecast minus that of the second, day by day. [-]
    n_lags : int
        0 or more, below n.

    Raises
    ------
    ModelInputError
        If there are fewer than two differences, or too many lags.

    References
    ----------
    .. [1] F. X. Diebold and R. S. Mariano, "Comparing predictive accuracy," J. Bus. Econ. Statist.,
       vol. 13, pp. 253-263, 1995.
    .. [2] W. K. Newey and K. D. West, "A simple, positive semi-definite, heteroskedasticity and
       autocorrelation consistent covariance matrix," Econometrica, vol. 55, pp. 703-708, 1987.
    """
    n = differences.size
    if n < 2 or not 0 <= n_lags < n:
        raise ModelInputError(f"{n} differences and {n_lags} lags: need 2 at least, and less lags")
    mean = float(differences.mean())
    centred = differences - mean
    variance = float((centred * centred).mean())
    for lag in range(1, n_lags + 1):
        weight = 1.0 - lag / (n_lags + 1)
        variance += 2.0 * weight * float((centred[lag:] * centred[:-lag]).sum()) / n
    error = math.sqrt(max(variance, 0.0) / n)
    if error == 0.0:
        return ScoreComparison(mean, 0.0, 0.0, 1.0)
    t_statistic = mean / error
    return ScoreComparison(mean, error, t_statistic, math.erfc(abs(t_statistic) / math.sqrt(2.0)))

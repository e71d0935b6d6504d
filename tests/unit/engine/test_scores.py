"""The joint score of quantile and shortfall, and the test of two forecasts against each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from engine.backtest.scores import compare_scores, joint_score
from engine.errors import ModelInputError

ALPHA = 0.025
QUANTILE = float(norm.isf(ALPHA))
SHORTFALL = float(norm.pdf(QUANTILE) / ALPHA)


def mean_score(losses: np.ndarray, value_at_risk: float, shortfall: float) -> float:
    n = losses.size
    return float(
        joint_score(
            losses, np.full(n, value_at_risk), np.full(n, shortfall), confidence=1.0 - ALPHA
        ).mean()
    )


def test_score_is_that_of_the_formula_in_returns() -> None:
    # Patton, Ziegel and Chen 2019, equation 6, in returns y = -L, v = -V, e = -E.
    losses, value_at_risk, shortfall = (
        np.array([0.5, 4.0]),
        np.array([2.0, 2.0]),
        np.array([3.0, 2.5]),
    )
    y, v, e = -losses, -value_at_risk, -shortfall
    by_hand = -1.0 * (y <= v) * (v - y) / (ALPHA * e) + v / e + np.log(-e) - 1.0
    found = joint_score(losses, value_at_risk, shortfall, confidence=1.0 - ALPHA)
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_true_quantile_and_shortfall_score_best() -> None:
    losses = norm.isf((np.arange(200_000) + 0.5) / 200_000)
    best = mean_score(losses, QUANTILE, SHORTFALL)
    for factor_v, factor_e in ((0.8, 1.0), (1.2, 1.0), (1.0, 0.8), (1.0, 1.2), (1.2, 1.2)):
        assert mean_score(losses, factor_v * QUANTILE, factor_e * SHORTFALL) > best


def test_difference_of_scores_does_not_depend_on_the_unit() -> None:
    losses = np.random.default_rng(2).standard_normal(1_000)
    first = mean_score(losses, 2.0, 2.5) - mean_score(losses, 2.2, 3.0)
    scaled = mean_score(50 * losses, 100.0, 125.0) - mean_score(50 * losses, 110.0, 150.0)
    assert scaled == pytest.approx(first, rel=1e-9)


def test_shortfall_of_zero_is_refused() -> None:
    with pytest.raises(ModelInputError, match="above 0"):
        joint_score(np.ones(2), np.ones(2), np.array([1.0, 0.0]), confidence=0.99)


def test_independent_differences_have_the_plain_standard_error() -> None:
    differences = np.random.default_rng(4).standard_normal(4_000) + 0.1
    found = compare_scores(differences, n_lags=0)
    assert found.standard_error == pytest.approx(differences.std() / np.sqrt(4_000), rel=1e-12)
    assert found.t_statistic == pytest.approx(found.mean_difference / found.standard_error)
    assert found.p_value == pytest.approx(2.0 * norm.sf(abs(found.t_statistic)), rel=1e-9)


def test_lags_widen_the_error_of_what_persists() -> None:
    noise = np.random.default_rng(9).standard_normal(4_000)
    persistent = np.convolve(noise, np.ones(10) / 10.0, mode="valid")
    wide = compare_scores(persistent, n_lags=20).standard_error
    assert wide > 2.0 * compare_scores(persistent, n_lags=0).standard_error


def test_newey_west_is_the_sum_by_hand() -> None:
    differences = np.array([1.0, -2.0, 4.0, 1.0])
    c = differences - 1.0
    variance = (c @ c) / 4 + 2 * (2 / 3) * (c[1:] @ c[:-1]) / 4 + 2 * (1 / 3) * (c[2:] @ c[:-2]) / 4
    found = compare_scores(differences, n_lags=2)
    assert found.standard_error == pytest.approx(np.sqrt(max(variance, 0.0) / 4), rel=1e-12)


def test_equal_forecasts_do_not_differ() -> None:
    found = compare_scores(np.zeros(100), n_lags=5)
    assert (found.t_statistic, found.p_value) == (0.0, 1.0)


def test_too_few_differences_are_refused() -> None:
    with pytest.raises(ModelInputError, match="need 2 at least"):
        compare_scores(np.ones(1), n_lags=0)

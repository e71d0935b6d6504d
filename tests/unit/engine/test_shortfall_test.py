"""The test of expected shortfall, against published critical values and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from engine.backtest.shortfall_test import (
    TailForecasts,
    shortfall_statistic,
    shortfall_test,
    simulated_statistics,
)
from engine.errors import ModelInputError

ALPHA = 0.025
K = 400_000


def tail_of(quantile: object) -> TailForecasts:
    """Return the tail of a distribution as many equally likely losses, worst first."""
    at = ALPHA * (np.arange(K) + 0.5) / K
    losses = -np.asarray(quantile(at))  # type: ignore[operator]
    return TailForecasts(losses[None, :], np.array([float(K)]))


def simulated(tails: TailForecasts, n_days: int, n_paths: int) -> np.ndarray:
    return simulated_statistics(
        tails, n_days, confidence=1.0 - ALPHA, generator=np.random.default_rng(3), n_paths=n_paths
    )


# C. Acerbi and B. Szekely, "Backtesting expected shortfall", 2014: at 97.5 % and 250 days the
# critical values of the second test are -0.70 at 5 % and -1.8 at 0.01 % for normal returns.
def test_critical_value_of_a_year_of_normal_losses_is_the_published_one() -> None:
    found = simulated(tail_of(norm.ppf), 250, 60_000)
    assert np.quantile(found, 0.05) == pytest.approx(-0.70, abs=0.02)
    # Six of 60,000 paths lie beyond.
    assert np.quantile(found, 0.0001) == pytest.approx(-1.8, abs=0.2)


# MathWorks, Risk Management Toolbox, examples of unconditionalNormal and unconditionalT: 1,966 days
# at 97.5 %, test level 99 %; a statistic of -0.38265 has p-values of 0.0054 and 0.0186.
@pytest.mark.parametrize(
    ("quantile", "critical", "p_value"),
    [(norm.ppf, -0.34639, 0.0054099), (lambda u: t.ppf(u, 3), -0.42986, 0.018566)],
)
def test_critical_values_of_a_published_example(
    quantile: object, critical: float, p_value: float
) -> None:
    paths = simulated(tail_of(quantile), 1966, 20_000)
    found = shortfall_test(-0.38265, paths, test_confidence=0.99)
    assert found.critical_value == pytest.approx(critical, abs=0.012)
    assert found.p_value == pytest.approx(p_value, abs=0.003)
    assert found.accepted == (p_value >= 0.01)


def test_statistic_is_the_sum_by_hand() -> None:
    losses = np.array([1.0, 12.0, -3.0, 30.0])
    value_at_risk, shortfall = np.full(4, 10.0), np.full(4, 15.0)
    # 12 / 15 + 30 / 15 = 2.8 over 4 x 0.1 days: 1 - 7.
    found = shortfall_statistic(losses, value_at_risk, shortfall, confidence=0.9)
    assert found == pytest.approx(-6.0)


def test_statistic_does_not_depend_on_the_order_of_days_or_the_unit() -> None:
    generator = np.random.default_rng(1)
    losses = generator.standard_t(4, 500)
    value_at_risk, shortfall = generator.uniform(2, 3, 500), generator.uniform(3, 5, 500)
    found = shortfall_statistic(losses, value_at_risk, shortfall, confidence=0.975)
    order = generator.permutation(500)
    shuffled = shortfall_statistic(
        losses[order], value_at_risk[order], shortfall[order], confidence=0.975
    )
    scaled = shortfall_statistic(
        7.0 * losses, 7.0 * value_at_risk, 7.0 * shortfall, confidence=0.975
    )
    assert shuffled == pytest.approx(found, rel=1e-12)
    assert scaled == pytest.approx(found, rel=1e-12)


def test_no_loss_beyond_the_quantile_gives_one() -> None:
    calm = np.zeros(10)
    assert shortfall_statistic(calm, calm + 1.0, calm + 2.0, confidence=0.99) == 1.0


def test_statistics_under_the_forecast_are_zero_in_the_mean() -> None:
    generator = np.random.default_rng(5)
    losses = np.sort(generator.uniform(1.0, 9.0, (300, 4)))[:, ::-1]
    tails = TailForecasts(losses, generator.uniform(2.5, 4.0, 300))
    found = simulated_statistics(tails, 300, confidence=0.99, generator=generator, n_paths=40_000)
    # Four standard errors of the mean.
    assert abs(found.mean()) < 4.0 * found.std() / np.sqrt(found.size)


def test_losses_of_the_forecast_are_accepted_and_larger_ones_are_not() -> None:
    generator = np.random.default_rng(11)
    losses = generator.standard_normal(2_000)
    value_at_risk = np.full(2_000, norm.isf(ALPHA))
    shortfall = np.full(2_000, norm.pdf(norm.isf(ALPHA)) / ALPHA)
    paths = simulated(tail_of(norm.ppf), 2_000, 3_000)
    for scale, accepted in ((1.0, True), (1.3, False)):
        statistic = shortfall_statistic(
            scale * losses, value_at_risk, shortfall, confidence=1.0 - ALPHA
        )
        assert shortfall_test(statistic, paths).accepted is accepted


def test_figures_that_do_not_fit_are_refused() -> None:
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(ModelInputError, match="need as many of each"):
        shortfall_statistic(one, two, two, confidence=0.99)
    with pytest.raises(ModelInputError, match="expected shortfall is 0"):
        shortfall_statistic(2.0 * one, one, 0.0 * one, confidence=0.99)
    with pytest.raises(ModelInputError, match="finite"):
        shortfall_statistic(np.array([np.nan]), one, one, confidence=0.99)
    with pytest.raises(ModelInputError, match="rows of tails"):
        simulated(TailForecasts(np.ones((3, 2)), np.ones(3)), 5, 10)
    with pytest.raises(ModelInputError, match="n_tail"):
        simulated(TailForecasts(np.ones((1, 2)), np.array([2.5])), 5, 10)

"""Zones of losses whose horizons overlap, against the industry's own table and the binomial."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from engine.backtest.overlapping import (
    OVERLAPPING_BOUNDS_99,
    overlapping_zone_bounds,
    simulated_exceptions,
    simulated_zone_bounds,
    two_sided_p_value,
)
from engine.errors import ModelInputError


def counts(n: int, horizon: int, n_paths: int, **options: float) -> np.ndarray:
    return simulated_exceptions(
        n,
        confidence=0.99,
        horizon_days=horizon,
        generator=np.random.default_rng(7),
        n_paths=n_paths,
        **options,  # type: ignore[arg-type]
    )


# Open Source Risk Engine, QuantExt/test/stoplightbounds.cpp, after ISDA's SIMM backtesting report
# of 14 February 2017, section 15.3: 10-day losses at 99 %. Green is read exactly; the 99.99th
# percentile of 60,000 paths rests on six of them, so yellow may be off by two.
@pytest.mark.parametrize(
    ("observations", "max_green", "max_yellow"), [(200, 7, 22), (300, 9, 26), (500, 13, 32)]
)
def test_ten_day_zones_are_those_of_the_published_table(
    observations: int, max_green: int, max_yellow: int
) -> None:
    found = simulated_zone_bounds(counts(observations, 10, 60_000))
    assert found.max_green == max_green
    assert abs(found.max_yellow - max_yellow) <= 2


def test_three_correlated_books_have_the_published_zones() -> None:
    found = simulated_zone_bounds(counts(250, 10, 120_000, n_books=3, correlation=0.5))
    assert found.max_green == 19
    assert abs(found.max_yellow - 51) <= 3


def test_without_overlap_counts_are_binomial() -> None:
    found = counts(250, 1, 40_000)
    expected = binom.pmf(np.arange(8), 250, 0.01)
    observed = np.bincount(found, minlength=8)[:8] / found.size
    # Four standard errors of a share of 40,000 paths.
    assert np.abs(observed - expected).max() < 4.0 * np.sqrt(0.25 / found.size)


def test_overlap_leaves_the_mean_and_widens_the_spread() -> None:
    alone, overlapping = counts(500, 1, 20_000), counts(500, 5, 20_000)
    assert overlapping.mean() == pytest.approx(5.0, rel=0.03)
    assert overlapping.std() > 1.3 * alone.std()


@pytest.mark.parametrize("horizon", sorted(OVERLAPPING_BOUNDS_99))
def test_tabulated_zones_are_those_of_a_fresh_simulation(horizon: int) -> None:
    found = simulated_zone_bounds(counts(250, horizon, 60_000))
    tabulated = overlapping_zone_bounds(250, horizon)
    assert abs(found.max_green - tabulated.max_green) <= 1
    assert abs(found.max_yellow - tabulated.max_yellow) <= 2


def test_longer_horizons_have_wider_zones() -> None:
    for observations in (250, 500, 750):
        zones = [overlapping_zone_bounds(observations, horizon) for horizon in range(1, 6)]
        yellow = [zone.max_yellow for zone in zones]
        assert yellow == sorted(yellow)
        assert zones[-1].max_green > zones[0].max_green


def test_horizon_of_one_day_has_the_binomial_zones() -> None:
    # CCP variant of the same rule at 750 days is on the binomial as well.
    assert (
        overlapping_zone_bounds(250, 1).max_green,
        overlapping_zone_bounds(250, 1).max_yellow,
    ) == (4, 9)


def test_p_value_of_the_middle_is_one_and_of_the_ends_small() -> None:
    simulated = np.arange(1000)
    assert two_sided_p_value(simulated, 500) == 1.0
    assert two_sided_p_value(simulated, 2000) == pytest.approx(2.0 / 1001)
    assert two_sided_p_value(simulated, -1) == pytest.approx(2.0 / 1001)


@pytest.mark.parametrize("horizon", [0, 21])
def test_horizon_out_of_range_is_refused(horizon: int) -> None:
    with pytest.raises(ModelInputError, match="horizon_days is"):
        counts(250, horizon, 10)


def test_horizon_without_a_table_is_refused() -> None:
    with pytest.raises(ModelInputError, match="no zones for overlapping horizons of 6 days"):
        overlapping_zone_bounds(250, 6)

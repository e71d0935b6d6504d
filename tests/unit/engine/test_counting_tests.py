"""Kupiec, Christoffersen and the traffic light."""

from __future__ import annotations

import pytest
from scipy.stats import binom, chi2

from engine.backtest.christoffersen import (
    Transitions,
    conditional_coverage_test,
    independence_test,
    transitions_between,
)
from engine.backtest.kupiec import (
    chi_square_quantile,
    chi_square_tail,
    kupiec_region,
    kupiec_statistic,
    kupiec_test,
)
from engine.backtest.traffic_light import (
    TabulatedBounds,
    ZoneBounds,
    capital_factors,
    exception_probability,
    tabulated_zone_bounds,
    zone_bounds,
)
from engine.errors import ModelInputError


@pytest.mark.parametrize("probability", [1e-9, 0.05, 0.5, 0.95, 0.9999, 1 - 1e-12])
def test_chi_square_quantile_is_that_of_scipy(probability: float) -> None:
    assert chi_square_quantile(probability) == pytest.approx(chi2.ppf(probability, 1), rel=1e-9)


def test_chi_square_tail_is_that_of_scipy() -> None:
    assert chi_square_tail(12.9) == pytest.approx(chi2.sf(12.9, 1), rel=1e-12)


@pytest.mark.parametrize(
    ("observations", "confidence"), [(1, 0.99), (37, 0.9), (250, 0.99), (600, 0.5)]
)
def test_region_holds_exactly_the_accepted_counts(observations: int, confidence: float) -> None:
    region = kupiec_region(observations, confidence=confidence)
    accepted = [
        count
        for count in range(observations + 1)
        if kupiec_test(observations, count, confidence=confidence).accepted
    ]
    assert (region.exceptions_min_accepted, region.exceptions_max_accepted) == (
        accepted[0],
        accepted[-1],
    )


def test_test_that_accepts_no_count_has_no_region() -> None:
    region = kupiec_region(250, confidence=0.99, test_confidence=1e-6)
    assert (region.exceptions_min_accepted, region.exceptions_max_accepted) == (None, None)


def test_perfect_rate_has_a_ratio_of_zero() -> None:
    assert kupiec_statistic(200, 2, confidence=0.99) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("exceptions", [-1, 251])
def test_exceptions_outside_the_days_are_refused(exceptions: int) -> None:
    with pytest.raises(ModelInputError, match="limit 0 to"):
        kupiec_statistic(250, exceptions, confidence=0.99)


def test_order_of_exception_days_does_not_matter() -> None:
    assert transitions_between([9, 1, 2], observations=9) == transitions_between(
        [1, 2, 9], observations=9
    )


@pytest.mark.parametrize("days", [[0], [11], [3, 3]])
def test_unusable_exception_days_are_refused(days: list[int]) -> None:
    with pytest.raises(ModelInputError, match="exception day"):
        transitions_between(days, observations=10)


def test_clusters_are_not_independent() -> None:
    clustered = transitions_between([100, 101, 102, 103], observations=250)
    assert independence_test(clustered).p_value_independence < 0.001


def test_conditional_p_value_has_two_degrees_of_freedom() -> None:
    counts = Transitions(932, 53, 53, 4)
    found = conditional_coverage_test(counts, observations=1043, exceptions=57, confidence=0.95)
    expected = chi2.sf(found.likelihood_ratio_conditional, 2)
    assert found.p_value_conditional == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("observations", "confidence"), [(1, 0.99), (30, 0.99), (250, 0.975), (999, 0.95)]
)
def test_zones_are_quantiles_of_the_binomial(observations: int, confidence: float) -> None:
    expected = [int(binom.ppf(level, observations, 1 - confidence)) - 1 for level in (0.95, 0.9999)]
    bounds = zone_bounds(observations, confidence=confidence)
    assert [bounds.max_green, bounds.max_yellow] == expected


def test_all_days_with_exceptions_have_probability_one() -> None:
    assert exception_probability(10, 10, confidence=0.99) == 1.0


@pytest.mark.parametrize(
    ("exceptions", "plus_factor", "add_on"),
    [(0, 0.0, 0.0), (4, 0.0, 0.0), (5, 0.4, 0.2), (9, 0.85, 0.42), (10, 1.0, 0.5), (40, 1.0, 0.5)],
)
def test_factors_follow_their_tables(exceptions: int, plus_factor: float, add_on: float) -> None:
    found = capital_factors(exceptions)
    assert (found.plus_factor_1996, found.add_on_mar32) == (plus_factor, add_on)


def test_tabulated_bounds_are_a_step_function() -> None:
    table = [TabulatedBounds(100, ZoneBounds(4, 18)), TabulatedBounds(50, ZoneBounds(2, 14))]
    assert tabulated_zone_bounds(table, 99) == ZoneBounds(2, 14)
    assert tabulated_zone_bounds(table, 100) == ZoneBounds(4, 18)
    with pytest.raises(ModelInputError, match="below the first row"):
        tabulated_zone_bounds(table, 49)


@pytest.mark.parametrize(
    "table",
    [
        [TabulatedBounds(9, ZoneBounds(4, 8)), TabulatedBounds(9, ZoneBounds(2, 4))],
        [TabulatedBounds(9, ZoneBounds(4, 3))],
    ],
)
def test_contradictory_bounds_are_refused(table: list[TabulatedBounds]) -> None:
    with pytest.raises(ModelInputError, match="zone bounds"):
        tabulated_zone_bounds(table, 10)

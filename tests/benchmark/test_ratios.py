"""Ratios that must hold on any machine, with slack for a busy one; `make bench` has the rest."""

from __future__ import annotations

import pytest

from tests.benchmark import aggregation, end_of_day, growth, pricing
from tests.benchmark.measure import in_fresh_process, ratios

pytestmark = pytest.mark.benchmark

# Goals: 10 x blocked NumPy, 100 x QuantLib. A fifth is left for noise.
BLOCKED_PRICING_MIN, QUANTLIB_MIN, NUMBA_PRICING_MIN = 8.0, 80.0, 8.0
# Goals at 100,000 books: 8 x one sparse product, 6 x the blocked close. Fewer books are timed here.
ONE_SHOT_BOOKS_MIN, BLOCKED_BOOKS_MIN, NUMBA_BOOKS_MIN, CLOSE_MIN = 6.0, 4.5, 2.5, 4.5
N_SETS = 30_000


def test_option_values_are_as_accurate_and_many_times_faster_than_the_peers() -> None:
    figures = pricing.measure(repeats=5)
    rates = figures["prices_per_second"]
    assert figures["error_max"][pricing.ENGINE] < 1e-12
    assert rates[pricing.ENGINE] > BLOCKED_PRICING_MIN * rates[pricing.BLOCKED]
    assert rates[pricing.ENGINE] > NUMBA_PRICING_MIN * rates[pricing.NUMBA]
    assert rates[pricing.ENGINE] > QUANTLIB_MIN * rates[pricing.QUANTLIB]


def test_books_are_totalled_many_times_faster_than_by_the_peers() -> None:
    figures = aggregation.measure(N_SETS)
    against = ratios(figures["seconds"], aggregation.ENGINE)
    assert figures["largest_difference"] < 1e-12
    assert against[aggregation.ONE_SHOT] > ONE_SHOT_BOOKS_MIN
    assert against[aggregation.BLOCKED] > BLOCKED_BOOKS_MIN
    assert against[aggregation.NUMBA] > NUMBA_BOOKS_MIN


def test_core_of_a_close_is_many_times_faster_than_blocked_numpy() -> None:
    figures = end_of_day.measure(N_SETS)
    assert ratios(figures["seconds"], end_of_day.ENGINE)[end_of_day.BLOCKED] > CLOSE_MIN
    assert figures["largest_difference"] < 1e-12


def test_core_of_a_close_adds_a_tenth_of_the_memory_of_whole_matrices() -> None:
    added = {
        route: in_fresh_process("tests.benchmark.end_of_day", route)["added"]
        for route in (end_of_day.ENGINE, end_of_day.ONE_SHOT)
    }
    assert added[end_of_day.ENGINE] < 0.1 * added[end_of_day.ONE_SHOT]


def test_time_for_each_netting_set_does_not_grow_with_their_number() -> None:
    figures = {n_sets: growth.measure_size(n_sets, 1) for n_sets in (10_000, 200_000)}
    each = {n_sets: taken["processor"] / n_sets for n_sets, taken in figures.items()}
    assert each[200_000] < 1.5 * each[10_000]

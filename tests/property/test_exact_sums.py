"""Sums that no order of their terms can change."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelInputError
from engine.kernels import exact_sums
from engine.kernels.exact_sums import (
    TERM_MAX,
    TERMS_PER_CARRY,
    carried,
    grouped_sums,
    rounded,
    split,
    total,
    weighted_sums,
)

quick = settings(max_examples=200, deadline=None)
terms = st.floats(-TERM_MAX, TERM_MAX) | st.sampled_from(
    [0.0, 1.0, -1.0, 2.0**53, -(2.0**53), 2.0**-66, 0.1, 1e15, 2.0**-40, 1e-300]
)


def on_grid(value: float) -> float:
    """Return what a term counts as: the nearest multiple of the quantum, ties to even."""
    return math.ldexp(round(math.ldexp(value, 66)), -66)


def one_sum(values: list[float]) -> float:
    group = np.zeros(len(values), dtype=np.int64)
    return float(rounded(grouped_sums(np.array(values, dtype=np.float64), group, 1))[0])


@quick
@given(st.lists(terms, max_size=40))
def test_sum_is_the_float_nearest_to_the_exact_one(values: list[float]) -> None:
    assert one_sum(values) == math.fsum(map(on_grid, values))


@quick
@given(st.lists(terms, min_size=1, max_size=40), st.integers(0, 39))
def test_a_term_taken_out_again_leaves_no_trace(values: list[float], number: int) -> None:
    group = np.zeros(len(values), dtype=np.int64)
    parts = grouped_sums(np.array(values), group, 1)[:, 0]
    term = split(np.array(values[number % len(values)]))
    rest = values[: number % len(values)] + values[number % len(values) + 1 :]
    assert rounded(carried(parts - term)) == one_sum(rest)


@pytest.mark.parametrize("n_terms", [1, TERMS_PER_CARRY, 3 * TERMS_PER_CARRY + 5])
def test_long_sums_carry(n_terms: int) -> None:
    values = np.random.default_rng(n_terms).normal(size=n_terms) * 1e12
    assert one_sum(list(values)) == math.fsum(map(on_grid, values))
    assert one_sum(list(values[::-1])) == one_sum(list(values))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_compiled_and_plain_sums_are_the_same_bits(seed: int) -> None:
    random = np.random.default_rng(seed)
    n_terms, n_rows, n_columns, n_groups = 900, 40, 27, 13
    rows = random.normal(size=(n_rows, n_columns)) * 10.0 ** random.integers(-9, 9, (n_rows, 1))
    index = random.integers(0, n_rows, n_terms)
    weight = random.normal(size=n_terms) * 1e4
    group = random.integers(0, n_groups, n_terms)
    compiled = rounded(weighted_sums(rows, index, weight, group, n_groups))
    plain = rounded(grouped_sums(weight[:, np.newaxis] * rows[index], group, n_groups))
    assert compiled.tobytes() == plain.tobytes()
    order = random.permutation(n_terms)
    again = weighted_sums(rows, index[order], weight[order], group[order], n_groups)
    assert rounded(again).tobytes() == compiled.tobytes()


def test_a_compiled_group_longer_than_a_carry_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_sums, "_COMPILED_FROM", 0)
    n_terms = 2 * TERMS_PER_CARRY + 3
    values = np.random.default_rng(7).normal(size=n_terms) * 1e14
    parts = weighted_sums(
        values[:, np.newaxis],
        np.arange(n_terms),
        np.ones(n_terms),
        np.zeros(n_terms, dtype=np.int64),
        1,
    )
    assert rounded(parts)[0, 0] == math.fsum(map(on_grid, values))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**54])
@pytest.mark.parametrize("compiled_from", [0, 10**9])
def test_a_term_out_of_limits_is_refused(
    value: float, compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_sums, "_COMPILED_FROM", compiled_from)
    one = np.zeros(1, dtype=np.int64)
    with pytest.raises(ModelInputError, match=r"limit|exceeds"):
        weighted_sums(np.array([[value]]), one, np.ones(1), one, 1)


def test_a_row_outside_the_matrix_is_refused() -> None:
    with pytest.raises(ModelInputError, match="index needs 0 to 0, found 1 to 1"):
        weighted_sums(
            np.ones((1, 1)), np.ones(1, dtype=np.int64), np.ones(1), np.zeros(1, dtype=np.int64), 1
        )


@pytest.mark.parametrize("terms", [[1e308, 1e308], [math.inf, -math.inf], [math.nan]])
def test_total_that_is_not_finite_is_refused(terms: list[float]) -> None:
    with pytest.raises(ModelInputError, match="not finite"):
        total(terms)

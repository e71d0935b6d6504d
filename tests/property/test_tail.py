"""What holds for the expected shortfall of every book."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.kernels.tail import COLLATERAL, NETTED, LegRows, nested_expected_shortfall

N_SCENARIOS = 90
outcomes = hnp.arrays(np.float64, (4, N_SCENARIOS), elements=st.floats(-1e6, 1e6, width=32))
weights = hnp.arrays(np.float64, 4, elements=st.floats(-100.0, 100.0, width=32))
tails = st.floats(1.0, 40.0)
# Sums of four products of numbers up to 1e8.
NOISE = 1e-5


def shortfalls(pnl: np.ndarray, weight: np.ndarray, n_tail: float, roles: list[int]) -> tuple:
    """Return leg and group shortfalls of a book with one leg for each instrument."""
    rows = LegRows(
        np.array([0, 4]),
        np.arange(5),
        np.array(roles, dtype=np.int8),
        np.arange(4, dtype=np.int32),
        weight,
    )
    found = nested_expected_shortfall(pnl, rows, np.array([n_tail]), 40)
    return found.leg_shortfall, found.group_shortfall[0], found.group_wrong_way[0]


@given(outcomes, weights, tails)
@settings(deadline=None)
def test_shortfall_of_a_merged_book_is_at_most_the_sum_of_its_parts(
    pnl: np.ndarray, weight: np.ndarray, n_tail: float
) -> None:
    legs, group, _ = shortfalls(pnl, weight, n_tail, [NETTED] * 4)
    assert group <= legs.sum() + NOISE


@given(outcomes, weights, tails, st.floats(0.0, 8.0))
@settings(deadline=None)
def test_shortfall_scales_with_the_position(
    pnl: np.ndarray, weight: np.ndarray, n_tail: float, scale: float
) -> None:
    _, one, _ = shortfalls(pnl, weight, n_tail, [NETTED] * 4)
    _, scaled, _ = shortfalls(pnl, scale * weight, n_tail, [NETTED] * 4)
    assert abs(scaled - scale * one) <= NOISE * max(scale, 1.0)


@given(outcomes, weights, tails, st.floats(0.0, 30.0))
@settings(deadline=None)
def test_shortfall_falls_as_the_tail_widens(
    pnl: np.ndarray, weight: np.ndarray, n_tail: float, more: float
) -> None:
    _, narrow, _ = shortfalls(pnl, weight, n_tail, [NETTED] * 4)
    _, wide, _ = shortfalls(pnl, weight, min(n_tail + more, 40.0), [NETTED] * 4)
    assert wide <= narrow + NOISE


@given(outcomes, weights, tails)
@settings(deadline=None)
def test_shortfall_is_the_mean_of_the_worst_sorted_losses(
    pnl: np.ndarray, weight: np.ndarray, n_tail: float
) -> None:
    _, group, wrong_way = shortfalls(pnl, weight, n_tail, [NETTED, NETTED, NETTED, COLLATERAL])
    for found, legs in ((group, 3), (wrong_way, 4)):
        losses = np.sort(-(weight[:legs] @ pnl[:legs]))[::-1]
        whole = int(n_tail)
        expected = (losses[:whole].sum() + (n_tail - whole) * losses[whole]) / n_tail
        assert abs(found - expected) <= NOISE

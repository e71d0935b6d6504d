"""What the floor under pegs promises, whatever was seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import MPOR_DAYS_MAX
from engine.scenarios.pegs import floored_peg_moves

days = st.integers(20, 400)
floors = st.floats(0.001, 0.2)


@given(days, floors, st.integers(0, 2**32 - 1), st.floats(0.0, 0.3))
def test_the_lookback_always_holds_a_move_of_the_floors_size(
    n_days: int, floor: float, seed: int, scale: float
) -> None:
    seen = scale * np.random.default_rng(seed).standard_t(3, n_days)
    found = floored_peg_moves(seen, n_days, floor)
    assert np.abs(found).max() >= floor
    # Nothing that was seen is made smaller.
    assert (np.abs(found) >= np.abs(seen)).all()


@given(days, floors)
def test_without_any_history_each_window_breaks_the_peg_once(n_days: int, floor: float) -> None:
    found = floored_peg_moves(np.zeros(n_days), n_days, floor)
    windows = np.lib.stride_tricks.sliding_window_view(found, MPOR_DAYS_MAX)
    assert np.allclose(np.abs(windows.sum(axis=1)), floor)
    moves = found[found != 0.0]
    assert abs(int((moves > 0.0).sum()) - int((moves < 0.0).sum())) <= 1

"""Loops of the screen against their plain twins."""

import numpy as np
import pytest

from engine.kernels import screening_compiled, screening_plain
from engine.kernels.screening_layout import Costs, Held, Looked, Moves, RowFigures

N_SETS, N_ASSETS, N_ROWS, N_SCENARIOS = 40, 5, 12, 130
COLUMNS = ((3, 7), (0.25, 0.5, 1.0, 2.0))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261121)


def held_by(rng: np.random.Generator) -> tuple[Held, Looked, Moves, Costs]:
    sizes = rng.integers(0, N_ASSETS + 1, N_SETS)
    asset = np.concatenate([rng.permutation(N_ASSETS)[:size] for size in sizes])
    n = len(asset)
    held = Held(
        np.append(0, np.cumsum(sizes)), asset, rng.uniform(0.0, 1e8, n), rng.uniform(0.0, 1e8, n),
        rng.uniform(0.0, 1e6, n), 1.0 + rng.integers(0, 2, n),
    )  # fmt: skip
    then = rng.uniform(0.0, 0.02, (4, n))
    looked = Looked(rng.uniform(0.0, 0.01, (4, n)), then)
    path = then.max() + rng.uniform(0.0, 0.01, (4, N_ASSETS))
    moves = Moves(rng.uniform(0.0, 0.01, (4, N_ASSETS)), path, rng.uniform(0.0, 0.01, N_ASSETS))
    costs = Costs(
        10.0 ** rng.uniform(7.0, 11.0, N_ASSETS), rng.uniform(0.0, 0.1, N_ASSETS), 0.01,
        np.array([0.5, 2.5, 1.0, 1.0]),
    )  # fmt: skip
    return held, looked, moves, costs


def test_bounds_are_those_of_the_plain_twin(rng: np.random.Generator) -> None:
    parts = held_by(rng)
    rows = np.array([0, 3, 7, 39, 20])
    ours = screening_compiled.bounds_of(rows, *parts)
    assert ours == pytest.approx(screening_plain.bounds_of(rows, *parts), rel=1e-12)
    assert (ours > 0.0).any()


def test_changes_of_exposures_are_those_of_the_plain_twin(rng: np.random.Generator) -> None:
    held, *parts = held_by(rng)
    at = np.arange(0, len(held.asset), 3)
    further = rng.uniform(0.0, 0.1, len(at))
    ours = screening_compiled.changes_of(at, further, held, *parts)
    assert ours == pytest.approx(screening_plain.changes_of(at, further, held, *parts), rel=1e-12)


def test_looking_leaves_the_path_that_comes_after(rng: np.random.Generator) -> None:
    held, looked, moves, costs = held_by(rng)
    rows = np.arange(N_SETS)
    screening_compiled.note_looked(rows, held, looked, moves)
    assert np.array_equal(looked.reach, moves.measures[:, held.asset])
    # Far from the reference, but not moved since the look: what is left is room for rounding.
    assert screening_compiled.bounds_of(rows, held, looked, moves, costs).max() < 1.0
    moves.path[:] += 1e-5
    assert screening_compiled.bounds_of(rows, held, looked, moves, costs).max() > 1.0


def figures(rng: np.random.Generator) -> RowFigures:
    return RowFigures(
        rng.normal(size=(N_ROWS, N_SCENARIOS)), rng.normal(size=(N_ROWS, 11)),
        rng.normal(size=N_ROWS), rng.normal(size=N_ROWS), rng.normal(size=N_ROWS),
    )  # fmt: skip


def test_rows_are_measured_as_the_plain_twin_measures_them(rng: np.random.Generator) -> None:
    now, reference, last = figures(rng), figures(rng), figures(rng)
    scale, underlying = rng.uniform(1.0, 9.0, N_ROWS), rng.integers(0, N_ASSETS, N_ROWS)
    rows = np.array([0, 2, 5, 11])
    wanted = {"measures": np.zeros((3, N_ASSETS)), "steps": np.zeros((3, N_ASSETS))}
    for row in rows.tolist():
        for name, then in (("measures", reference), ("steps", last)):
            apart = np.array(screening_plain.apart(row, now, then, COLUMNS)) / scale[row]
            at = wanted[name][:, underlying[row]]
            wanted[name][:, underlying[row]] = np.maximum(at, apart)
    measures, steps = np.zeros((4, N_ASSETS)), np.zeros((4, N_ASSETS))
    screening_compiled.follow_rows(
        rows, (now, reference, last), scale, COLUMNS, (underlying, measures, steps)
    )
    assert measures[:3] == pytest.approx(wanted["measures"], rel=1e-12)
    assert steps[:3] == pytest.approx(wanted["steps"], rel=1e-12)
    assert np.array_equal(last.historical[rows], now.historical[rows])
    assert not np.array_equal(last.historical[1], now.historical[1])


def test_what_is_no_number_has_moved_beyond_all_bounds(rng: np.random.Generator) -> None:
    now, reference, last = figures(rng), figures(rng), figures(rng)
    now.historical[4, 77] = np.nan
    underlying, measures, steps = (
        np.zeros(N_ROWS, dtype=np.int64),
        np.zeros((4, 1)),
        np.zeros((4, 1)),
    )
    screening_compiled.follow_rows(
        np.array([4]),
        (now, reference, last),
        np.ones(N_ROWS),
        COLUMNS,
        (underlying, measures, steps),
    )
    assert measures[0, 0] == steps[0, 0] == np.inf


def test_clocks_agree_with_the_plain_twin(rng: np.random.Generator) -> None:
    ptr = np.append(0, np.cumsum(rng.integers(0, 4, N_SETS)))
    rests_on = (ptr, rng.integers(0, 6, ptr[-1]), rng.random(N_SETS) < 0.8)
    clocks = (rng.integers(-1, 9, N_SETS), rng.integers(0, 9, 6), 7)
    rows = rng.permutation(N_SETS)
    ours = screening_compiled.current_rows(rows, rests_on, clocks)
    assert np.array_equal(ours, screening_plain.current_rows(rows, rests_on, clocks))
    assert 0 < ours.sum() < N_SETS

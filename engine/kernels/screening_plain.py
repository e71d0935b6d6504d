"""Plain twin of `engine.kernels.screening_compiled`, to be read."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.kernels.screening_layout import ROOM, Costs, Held, Looked, Moves, RowFigures


def apart(
    row: int,
    now: RowFigures,
    then: RowFigures,
    columns: tuple[tuple[int, int], tuple[float, float, float, float]],
) -> tuple[float, float, float]:
    """Return how far tail, other figures and delta of one row are from another time's. [USD]"""
    (n_stress, n_jumps), weights = columns
    tail = np.abs(now.historical[row] - then.historical[row]).max(initial=0.0)
    special = np.abs(now.special[row] - then.special[row])
    parts = (special[:n_stress], special[n_stress:n_jumps], special[n_jumps:])
    other = sum(w * part.max(initial=0.0) for w, part in zip(weights[:3], parts, strict=True))
    other += abs(now.spread[row] - then.spread[row])
    other += weights[3] * abs(now.value[row] - then.value[row])
    return float(tail), float(other), float(abs(now.delta[row] - then.delta[row]))


def bounds_of(
    rows: Int64Array1D, held: Held, looked: Looked, moves: Moves, costs: Costs
) -> Float64Array1D:
    """Do what the compiled ``bounds_of`` does."""
    found = np.zeros(len(rows))
    for i, row in enumerate(rows.tolist()):
        at = np.arange(held.ptr[row], held.ptr[row + 1])
        there = looked.reach[:, at] + moves.measures[:, held.asset[at]]
        along = moves.path[:, held.asset[at]] - looked.path[:, at]
        moved = np.minimum(there, along)
        found[i] = _costs(at, moved, np.zeros(len(at)), held, moves, costs).sum() * ROOM
    return found


def changes_of(
    at: Int64Array1D,
    further: Float64Array1D,
    held: Held,
    looked: Looked,
    moves: Moves,
    costs: Costs,
) -> Float64Array1D:
    """Do what the compiled ``changes_of`` does."""
    moved = looked.reach[:, at] + moves.measures[:, held.asset[at]]
    moved = moved + costs.per_travelled[:, np.newaxis] * further
    return _costs(at, moved, further, held, moves, costs)


def current_rows(
    rows: Int64Array1D,
    rests_on: tuple[Int64Array1D, Int64Array1D, BoolArray1D],
    clocks: tuple[Int64Array1D, Int64Array1D, int],
) -> BoolArray1D:
    """Do what the compiled ``current_rows`` does."""
    ptr, on, is_laid_out = rests_on
    computed_at, moved_at, last_moved = clocks
    newest = [
        moved_at[on[ptr[row] : ptr[row + 1]]].max(initial=0) if is_laid_out[row] else last_moved
        for row in rows.tolist()
    ]
    current: BoolArray1D = computed_at[rows] >= np.array(newest, dtype=np.int64)
    return current


def _costs(
    at: Int64Array1D,
    moved: np.ndarray,
    further: Float64Array1D,
    held: Held,
    moves: Moves,
    costs: Costs,
) -> Float64Array1D:
    tail, other, delta, rate = moved
    asset, gross = held.asset[at], held.gross[at]
    change = gross * (held.of_tail[at] * tail + other) + held.pledged[at] * rate
    volume, size = costs.volume[asset], gross * delta
    in_all = moves.delta_in_all[asset] + costs.per_travelled[2] * further
    whole = held.net[at] + gross * in_all + size
    impact = size * np.sqrt(whole / volume) + whole * np.sqrt(size / volume)
    is_free = whole / volume <= costs.free
    found: Float64Array1D = change + np.where(is_free, 0.0, costs.impact[asset] * impact)
    return found

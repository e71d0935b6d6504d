"""Compiled loops of the screen: how far a market moved, what that may have cost, what is of now.

Plain twin: `engine.kernels.screening_plain`. The bound that they work out is derived in
`engine.intraday.screening`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.screening_layout import ROOM, Costs, Held, Looked, Moves, RowFigures

_PATH_ROOM: Final = 1e-14
_ROOM = ROOM
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


@_compiled
def follow_rows(
    rows: Int64Array1D,
    figures: tuple[RowFigures, RowFigures, RowFigures],
    scale: Float64Array1D,
    columns: tuple[tuple[int, int], tuple[float, float, float, float]],
    of_asset: tuple[Int64Array1D, Float64Array2D, Float64Array2D],
) -> None:
    """Measure the rows that have moved, and keep them as the last ones.

    Parameters
    ----------
    figures
        Now, at the reference, and when they were last followed.
    columns
        Where gaps and cells begin among the special columns, and what stress days, gaps, cells and
        values weigh.
    of_asset
        Underlying of each row; largest measures by underlying, shape (3, n_assets), which grow;
        and, like them, the largest step of this call, which begins at 0.
    """
    now, reference, last = figures
    underlying, measures, steps = of_asset
    for row in rows:
        asset = underlying[row]
        far = _apart(row, now, reference, columns)
        step = _apart(row, now, last, columns)
        for k in range(3):
            measures[k, asset] = _larger(measures[k, asset], far[k] / scale[row])
            steps[k, asset] = _larger(steps[k, asset], step[k] / scale[row])
        last.historical[row] = now.historical[row]
        last.special[row] = now.special[row]
        last.delta[row], last.spread[row] = now.delta[row], now.spread[row]
        last.value[row] = now.value[row]


@_inlined
def _larger(known, found):  # type: ignore[no-untyped-def]
    # What is no number has moved beyond all bounds.
    return known if found <= known else (found if found < np.inf else np.inf)


@_inlined
def _apart(row, now, then, columns):  # type: ignore[no-untyped-def]
    (n_stress, n_jumps), weights = columns
    tail = _largest(now.historical[row], then.historical[row], 0, now.historical.shape[1])
    n_special = now.special.shape[1]
    other = weights[0] * _largest(now.special[row], then.special[row], 0, n_stress)
    other += weights[1] * _largest(now.special[row], then.special[row], n_stress, n_jumps)
    other += weights[2] * _largest(now.special[row], then.special[row], n_jumps, n_special)
    other += abs(now.spread[row] - then.spread[row])
    other += weights[3] * abs(now.value[row] - then.value[row])
    return tail, other, abs(now.delta[row] - then.delta[row])


@_inlined
def _largest(now, then, first, stop):  # type: ignore[no-untyped-def]
    largest, is_number = 0.0, True
    for s in range(first, stop):
        apart = abs(now[s] - then[s])
        largest = max(largest, apart)
        is_number &= apart < np.inf
    return largest if is_number else np.inf


@_compiled
def note_looked(rows: Int64Array1D, held: Held, looked: Looked, moves: Moves) -> None:
    """Note that the figures of ``rows`` are of now."""
    for row in rows:
        for e in range(held.ptr[row], held.ptr[row + 1]):
            for k in range(4):
                looked.reach[k, e] = moves.measures[k, held.asset[e]]
                looked.path[k, e] = moves.path[k, held.asset[e]]


@_compiled
def bounds_of(
    rows: Int64Array1D, held: Held, looked: Looked, moves: Moves, costs: Costs
) -> Float64Array1D:
    """Return by how much the distance of ``rows`` to a level may have shrunk. [USD]"""
    found = np.empty(rows.size)
    for i in range(rows.size):
        total = 0.0
        for e in range(held.ptr[rows[i]], held.ptr[rows[i] + 1]):
            total += _change(e, 0.0, True, held, looked, moves, costs)
        found[i] = total * _ROOM
    return found


@_compiled
def changes_of(
    at: Int64Array1D,
    further: Float64Array1D,
    held: Held,
    looked: Looked,
    moves: Moves,
    costs: Costs,
) -> Float64Array1D:
    """Return what exposures ``at`` may have changed by, once assets travel ``further``. [USD]"""
    found = np.empty(at.size)
    for i in range(at.size):
        found[i] = _change(at[i], further[i], False, held, looked, moves, costs)
    return found


@_inlined
def _change(e, further, by_path, held, looked, moves, costs):  # type: ignore[no-untyped-def]
    asset, gross = held.asset[e], held.gross[e]
    tail = _moved(0, e, asset, further, by_path, looked, moves, costs)
    other = _moved(1, e, asset, further, by_path, looked, moves, costs)
    delta = _moved(2, e, asset, further, by_path, looked, moves, costs)
    rate = _moved(3, e, asset, further, by_path, looked, moves, costs)
    change = gross * (held.of_tail[e] * tail + other) + held.pledged[e] * rate
    volume, moved = costs.volume[asset], gross * delta
    whole = held.net[e] + gross * (moves.delta_in_all[asset] + costs.per_travelled[2] * further)
    whole += moved
    if whole / volume <= costs.free:
        return change
    impact = moved * np.sqrt(whole / volume) + whole * np.sqrt(moved / volume)
    return change + costs.impact[asset] * impact


@_inlined
def _moved(k, e, asset, further, by_path, looked, moves, costs):  # type: ignore[no-untyped-def]
    """Return by how much a measure may have changed since exposure ``e`` was looked at.

    No more than by the way from there to the reference and back, nor than along the path.
    """
    moved = looked.reach[k, e] + moves.measures[k, asset] + costs.per_travelled[k] * further
    if by_path:
        path = moves.path[k, asset]
        moved = min(moved, path - looked.path[k, e] + _PATH_ROOM * path)
    return moved


@_compiled
def current_rows(
    rows: Int64Array1D,
    rests_on: tuple[Int64Array1D, Int64Array1D, BoolArray1D],
    clocks: tuple[Int64Array1D, Int64Array1D, int],
) -> BoolArray1D:
    """Return whether the figures of netting sets are of now.

    Parameters
    ----------
    rests_on
        Ranges of what each netting set rests on, what that is, and whether it has been laid out.
    clocks
        When each was computed, when each thing moved, and when anything last did.
    """
    ptr, on, is_laid_out = rests_on
    computed_at, moved_at, last_moved = clocks
    found = np.empty(rows.size, dtype=np.bool_)
    for i in range(rows.size):
        row = rows[i]
        newest = last_moved
        if is_laid_out[row]:
            newest = 0
            for k in range(ptr[row], ptr[row + 1]):
                newest = max(newest, moved_at[on[k]])
        found[i] = computed_at[row] >= newest
    return found

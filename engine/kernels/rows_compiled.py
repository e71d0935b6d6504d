"""Compiled loops over rows that keep every outcome. Plain twin: `engine.kernels.tail_plain`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.arrays import (
    BoolArray1D,
    Float64Array1D,
    Float64Array2D,
    Float64Array3D,
    Int64Array1D,
)
from engine.kernels.layout import read_only
from engine.kernels.rows import NETTED, Int32Array2D, LegRows
from engine.kernels.tiles import TILE_WIDTH, TiledPnl

_NETTED = NETTED
_WIDTH = TILE_WIDTH
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


def fill_tiles(pnl: Float64Array2D, tiled: TiledPnl, first_row: int) -> None:
    """Copy rows of ``pnl`` into ``tiled`` from ``first_row`` on and note which are finite."""
    _fill(read_only(pnl), tiled.tiles, read_only(tiled.order), tiled.is_finite, first_row)


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return what `engine.kernels.tail.aggregate_rows` describes, inputs checked."""
    leg_pnl = np.zeros((rows.n_legs, pnl.shape[1]))
    group_pnl = np.zeros((rows.n_groups, pnl.shape[1]))
    _aggregate(
        read_only(pnl),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        leg_pnl,
        group_pnl,
    )
    return leg_pnl, group_pnl


def tail_contributions(
    columns: tuple[Float64Array3D, Int64Array1D],
    rows: LegRows,
    tail: Int32Array2D,
    n_tail: Float64Array1D,
    choice: tuple[bool, BoolArray1D],
) -> Float64Array1D:
    """Return what `engine.kernels.tail.tail_contributions` describes, inputs checked.

    ``columns`` holds tiles and the place of each scenario in them; ``choice`` says whether tails
    go by leg, and which leg roles count.
    """
    contribution = np.zeros(rows.n_positions)
    _contributions(
        (read_only(columns[0]), read_only(columns[1])),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        read_only(tail),
        read_only(n_tail),
        choice,
        contribution,
    )
    return contribution


@_compiled
def _fill(pnl, tiles, scenario_order, is_finite, first_row):  # type: ignore[no-untyped-def]
    for row in range(pnl.shape[0]):
        source = pnl[row]
        not_finite = 0
        for t in range(tiles.shape[0]):
            numbers = scenario_order[t * _WIDTH : (t + 1) * _WIDTH]
            tile_row = tiles[t, first_row + row]
            for s in range(numbers.size):
                outcome = source[numbers[s]]
                tile_row[s] = outcome
                not_finite += not abs(outcome) < np.inf
            for s in range(numbers.size, _WIDTH):
                tile_row[s] = 0.0
        is_finite[first_row + row] = not_finite == 0


@_compiled
def _aggregate(pnl, csr, leg_pnl, group_pnl):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    for group in range(group_ptr.size - 1):
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                row, factor = pnl[index[position]], weight[position]
                for s in range(row.size):
                    leg_pnl[leg, s] += factor * row[s]
            if leg_role[leg] == _NETTED:
                for s in range(pnl.shape[1]):
                    group_pnl[group, s] += leg_pnl[leg, s]


@_compiled
def _contributions(columns, csr, tail, n_tail, choice, contribution):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    per_leg, counted = choice
    tiles, column_of = columns
    width = tiles.shape[2]
    for group in range(group_ptr.size - 1):
        n_whole = int(np.floor(n_tail[group]))
        fraction = n_tail[group] - n_whole
        n_worst = n_whole + (fraction > 0.0)
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            scenarios = tail[leg] if per_leg else tail[group]
            if not counted[leg_role[leg]] or scenarios[0] < 0:
                continue
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                row, factor = index[position], weight[position]
                loss = 0.0
                for rank in range(n_worst):
                    s = column_of[scenarios[rank]]
                    outcome = factor * tiles[s // width, row, s % width]
                    loss -= outcome if rank < n_whole else fraction * outcome
                contribution[position] = loss / n_tail[group]

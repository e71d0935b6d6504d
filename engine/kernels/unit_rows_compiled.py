"""Compiled revaluation of rows of a market, in place. Plain twin: `engine.market.unit_figures`.

Every product and sum is the twin's, rounded one by one in the same order; what it works out by
exponentials and logarithms comes in as factors. A row that is not of the usual kind, such as one
whose outcome is not finite, is named and left to the twin.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from engine.arrays import (
    BoolArray1D,
    Float64Array1D,
    Float64Array2D,
    Float64Array3D,
    Int32Array1D,
    Int64Array1D,
)
from engine.kernels.tiles import TILE_WIDTH

LINEAR: Final = 0
INVERSE: Final = 1
SPOT: Final = 2
# Beyond it the stress grid takes an instrument out.
_LARGEST: Final = 1e200
_WIDTH = TILE_WIDTH
_LINEAR, _INVERSE, _SPOT = LINEAR, INVERSE, SPOT
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


class UnitTerms(NamedTuple):
    """Of every instrument: how it pays, its group of factors, its class in the stress grid.

    ``multiplier``, ``mark`` and ``rate`` are those of ``PricedInstruments``; ``own`` is 1 where a
    linear payoff comes in the very coin that moves, else 0.
    """

    form: Int64Array1D
    slot: Int64Array1D
    stress_class: Int64Array1D
    own: Int64Array1D
    multiplier: Float64Array1D
    mark: Float64Array1D
    rate: Float64Array1D
    spread: Float64Array1D


class GridCells(NamedTuple):
    """Price shock and weight of the stress grid's cells, shape (n_classes, n_cells), and counts."""

    shock: Float64Array2D
    weight: Float64Array2D
    n_cells: Int64Array1D


class MarketRows(NamedTuple):
    """Where the figures go: matrices of ``PreparedMarket``, and tiles of the first."""

    historical: Float64Array2D
    special: Float64Array2D
    unit_value: Float64Array1D
    delta_notional: Float64Array1D
    half_spread: Float64Array1D
    tiles: Float64Array3D
    order: Int32Array1D
    is_finite: BoolArray1D


@_compiled
def revalue_delta_one(
    rows: Int64Array1D,
    terms: UnitTerms,
    factors: tuple[Float64Array2D, Float64Array2D],
    grid: GridCells,
    out: MarketRows,
) -> int:
    """Write the figures of spot, perpetuals and futures; return one that the twin has to do, or -1.

    ``factors`` are those of price and of settlement by slot, over historical and special columns.
    """
    n_historical = out.historical.shape[1]
    n_grid = grid.shock.shape[1]
    n_special = out.special.shape[1] - n_grid
    for row in rows:
        multiplier, mark, rate = terms.multiplier[row], terms.mark[row], terms.rate[row]
        form, slot = terms.form[row], terms.slot[row]
        price, settlement = factors[0][slot], factors[1][slot]
        notional = multiplier / mark * rate if form == _INVERSE else multiplier * mark * rate
        one = (form, multiplier, mark, rate)
        is_sound = _gains(one, price[:n_historical], settlement[:n_historical],
                          out.historical[row])  # fmt: skip
        is_sound &= _gains(one, price[n_historical:], settlement[n_historical:],
                           out.special[row, :n_special])  # fmt: skip
        if not (is_sound and 0.0 < notional < np.inf):
            return int(row)
        k, own = terms.stress_class[row], terms.own[row]
        cells = out.special[row, n_special:]
        cells[:] = 0.0
        for c in range(grid.n_cells[k]):
            shock, weight = grid.shock[k, c], grid.weight[k, c]
            gain = notional * shock * weight
            if own:
                gain = gain * (1.0 + shock) + 0.0 * shock * weight
            if not abs(gain) < np.inf:
                return int(row)
            cells[c] = gain
        out.unit_value[row] = out.delta_notional[row] = notional
        out.half_spread[row] = 0.5 * terms.spread[row] * abs(notional)
        _tile(row, out)
    return -1


@_inlined
def _gains(one, price, settlement, gains):  # type: ignore[no-untyped-def]
    form, multiplier, mark, rate = one
    is_sound = True
    if form == _INVERSE:
        start = 1.0 / mark
        for s in range(gains.size):
            gain = multiplier * (start - 1.0 / (mark * price[s])) * (rate * settlement[s])
            is_sound &= abs(gain) < _LARGEST
            gains[s] = gain
    elif form == _SPOT:
        start = mark * rate
        for s in range(gains.size):
            gain = multiplier * (mark * price[s] * (rate * settlement[s]) - start)
            is_sound &= abs(gain) < _LARGEST
            gains[s] = gain
    else:
        for s in range(gains.size):
            gain = multiplier * (mark * price[s] - mark) * (rate * settlement[s])
            is_sound &= abs(gain) < _LARGEST
            gains[s] = gain
    return is_sound


@_compiled
def revalue_options(
    rows: Int64Array1D,
    terms: UnitTerms,
    values: tuple[Float64Array2D, Float64Array2D, Float64Array2D],
    payment: tuple[Float64Array1D, Float64Array1D, Float64Array1D],
    grid: GridCells,
    out: MarketRows,
) -> int:
    """Write the figures of options of one group; return one that the twin has to do, or -1.

    Parameters
    ----------
    values
        Value today, in the scenarios and at the two bumps of delta; value today as the grid counts
        it; and in the cells of the grid. Rows as ``rows``. [quote currency]
    payment
        Factor of what a unit of value is paid in, of today, the scenarios and the bumps; what it is
        paid in by option, and the same as the grid counts it. [-], [USD]
    """
    scenarios, before, after = values
    factor, coin, coin_of_grid = payment
    n_historical = out.historical.shape[1]
    n_grid = grid.shock.shape[1]
    n_special = out.special.shape[1] - n_grid
    n_moved = n_historical + n_special
    bumps = factor[n_moved + 3]
    for i in range(rows.size):
        row = rows[i]
        multiplier = terms.multiplier[row]
        today = multiplier * scenarios[i, 0] * (coin[i] * factor[0])
        is_sound = abs(today) < np.inf
        for s in range(n_historical):
            worth = multiplier * scenarios[i, 1 + s] * (coin[i] * factor[1 + s])
            gain = worth - today
            is_sound &= abs(gain) < _LARGEST
            out.historical[row, s] = gain
        for s in range(n_special):
            at = 1 + n_historical + s
            worth = multiplier * scenarios[i, at] * (coin[i] * factor[at])
            gain = worth - today
            is_sound &= abs(gain) < _LARGEST
            out.special[row, s] = gain
        up = multiplier * scenarios[i, n_moved + 1] * (coin[i] * factor[n_moved + 1])
        down = multiplier * scenarios[i, n_moved + 2] * (coin[i] * factor[n_moved + 2])
        slope = (up - down) / bumps
        of_grid = multiplier * coin_of_grid[i]
        is_sound &= abs(slope) < np.inf and 0.0 < of_grid < np.inf
        if not is_sound:
            return int(row)
        k, own = terms.stress_class[row], terms.own[row]
        cells = out.special[row, n_special:]
        cells[:] = 0.0
        for c in range(grid.n_cells[k]):
            shock, weight = grid.shock[k, c], grid.weight[k, c]
            gain = of_grid * (after[i, c] - before[i, 0]) * weight
            if own:
                gain = gain * (1.0 + shock) + today * shock * weight
            if not abs(gain) < np.inf:
                return int(row)
            cells[c] = gain
        out.unit_value[row] = today
        out.delta_notional[row] = slope
        out.half_spread[row] = 0.5 * terms.spread[row] * max(abs(slope), abs(today))
        _tile(row, out)
    return -1


@_inlined
def _tile(row, out):  # type: ignore[no-untyped-def]
    for c in range(out.order.size):
        out.tiles[c // _WIDTH, row, c % _WIDTH] = out.historical[row, out.order[c]]
    out.is_finite[row] = True

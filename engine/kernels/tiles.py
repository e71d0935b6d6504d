"""Scenario P&L cut into tiles of columns, so that one tile of every instrument stays in cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array2D, Float64Array3D, Int32Array1D
from engine.errors import ModelInputError
from engine.kernels.layout import read_only

# One tile row is eight cache lines and fills the vector registers with one running total.
TILE_WIDTH: Final = 64
_CACHE_LINE_BYTES: Final = 64
_SAMPLE_ROWS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class TiledPnl:
    """P&L of instruments by scenarios, stored tile by tile.

    Attributes
    ----------
    tiles : Float64Array3D, shape (n_tiles, n_instruments, TILE_WIDTH)
        Column ``c`` of instrument ``i`` is ``tiles[c // TILE_WIDTH, i, c % TILE_WIDTH]`` and holds
        scenario ``order[c]``; the columns behind the last scenario are 0.
    order : Int32Array1D, shape (n_scenarios,)
        Scenario of each column. Results do not depend on it, but a search for the worst outcomes
        is quickest when scenarios with large moves come first.
    is_finite : BoolArray1D, shape (n_instruments,)
        Whether every outcome of the row is finite. Rows that nobody holds may be anything.
    """

    tiles: Float64Array3D
    order: Int32Array1D
    is_finite: BoolArray1D

    @property
    def n_scenarios(self) -> int:
        return len(self.order)

    @property
    def n_instruments(self) -> int:
        return len(self.is_finite)

    def fill(self, first_row: int, pnl: Float64Array2D) -> None:
        """Store ``pnl`` as the rows from ``first_row`` on."""
        stop_row = first_row + len(pnl)
        if pnl.shape[1] != self.n_scenarios or not 0 <= first_row <= stop_row <= self.n_instruments:
            raise ModelInputError(
                f"rows {first_row} to {stop_row} with {pnl.shape[1]} scenarios do not fit into "
                f"{self.n_instruments} instruments with {self.n_scenarios}"
            )
        from engine.kernels import rows_compiled

        rows_compiled.fill_tiles(pnl, self, first_row)


def empty_tiles(n_instruments: int, order: Int32Array1D) -> TiledPnl:
    """Return tiles that await `TiledPnl.fill`; rows not filled are not finite.

    Raises
    ------
    ModelInputError
        If ``order`` is not a permutation of the scenario numbers.
    """
    n_tiles = -(-len(order) // TILE_WIDTH)
    if order.dtype != np.int32 or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ModelInputError("order needs each scenario number once, as int32")
    shape = (n_tiles, n_instruments, TILE_WIDTH)
    return TiledPnl(_aligned(shape), order, np.zeros(n_instruments, dtype=np.bool_))


def tile_pnl(pnl: Float64Array2D) -> TiledPnl:
    """Return ``pnl`` (n_instruments, n_scenarios) in tiles, worth it when many blocks share it."""
    if pnl.ndim != 2 or pnl.dtype != np.float64:
        raise ModelInputError(f"pnl needs a float64 matrix, found {pnl.dtype} with {pnl.ndim} axes")
    tiled = empty_tiles(len(pnl), largest_moves_first(pnl))
    tiled.fill(0, pnl)
    return tiled


def largest_moves_first(pnl: Float64Array2D) -> Int32Array1D:
    """Return the scenario numbers, those in which a sample of instruments moves most first."""
    sample = np.abs(pnl[:: max(1, len(pnl) // _SAMPLE_ROWS)])
    sample[~np.isfinite(sample)] = 0.0
    scale = sample.max(axis=1, initial=0.0, keepdims=True)
    moves = (sample / np.where(scale > 0.0, scale, 1.0)).sum(axis=0)
    return np.argsort(-moves, kind="stable").astype(np.int32)


def frozen_tiles(tiled: TiledPnl) -> TiledPnl:
    """Return a read-only view, the one type that kernels are compiled for."""
    return TiledPnl(read_only(tiled.tiles), read_only(tiled.order), tiled.is_finite)


def _aligned(shape: tuple[int, int, int]) -> Float64Array3D:
    # A row that straddles cache lines costs a third of the speed; numpy aligns to 16 bytes only.
    n_bytes = int(np.prod(shape)) * 8
    room = np.empty(n_bytes + _CACHE_LINE_BYTES, dtype=np.uint8)
    offset = -room.ctypes.data % _CACHE_LINE_BYTES
    tiles: Float64Array3D = room[offset : offset + n_bytes].view(np.float64).reshape(shape)
    return tiles

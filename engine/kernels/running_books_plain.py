"""Plain twin of the compiled kernel of running books: every book written out and added up whole."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array2D, Int64Array1D
from engine.kernels import tail_plain
from engine.kernels.rows import LegRows
from engine.kernels.running_books import RunningBooks, RunningUnits
from engine.kernels.tiles import TiledPnl


def refreshed(units: RunningUnits, books: RunningBooks, groups: Int64Array1D) -> None:
    """Do what `engine.kernels.running_books.refreshed` does, totals and clocks left alone."""
    pnl = untiled(units.pnl)
    slope, cost = (_with_zeros(values, len(pnl)) for values in (units.slope, units.cost))
    for group in groups.tolist():
        first, stop = books.rows.group_ptr[group : group + 2].tolist()
        book = one_book(books.rows, group)
        n_tail = books.n_tail[group : group + 1]
        tail = tail_plain.nested_expected_shortfall(pnl, book, n_tail, int(np.ceil(n_tail[0])))
        sums, _ = tail_plain.aggregate_rows(units.figures, book)
        steep, _ = tail_plain.aggregate_rows(slope, book)
        books.leg_shortfall[first:stop] = tail.leg_shortfall
        books.leg_slope[first:stop] = steep[:, 0]
        books.leg_sums[first:stop] = sums[:, : books.columns[0]]
        for r, span in enumerate(zip(books.columns, books.columns[1:], strict=False)):
            if span[0] < span[1]:
                part = sums[:, slice(*span)]
                books.leg_least[first:stop, r] = part.min(axis=1)
                books.leg_least_at[first:stop, r] = part.argmin(axis=1)
        books.group_shortfall[group] = tail.group_shortfall[0]
        books.group_wrong_way[group] = tail.group_wrong_way[0]
        spent = 0.0
        for row, weight in zip(book.index, book.weight, strict=True):
            spent += abs(weight) * cost[row, 0]
        books.group_cost[group] = spent


def untiled(tiled: TiledPnl) -> Float64Array2D:
    """Return the matrix of instruments by scenarios."""
    wide = tiled.tiles.transpose(1, 0, 2).reshape(tiled.n_instruments, -1)
    pnl = np.empty((tiled.n_instruments, tiled.n_scenarios))
    pnl[:, tiled.order] = wide[:, : tiled.n_scenarios]
    return pnl


def one_book(rows: LegRows, group: int) -> LegRows:
    """Return one book by itself."""
    group_ptr = rows.group_ptr[group : group + 2]
    leg_ptr = rows.leg_ptr[group_ptr[0] : group_ptr[1] + 1]
    legs, positions = slice(*group_ptr.tolist()), slice(int(leg_ptr[0]), int(leg_ptr[-1]))
    return LegRows(
        group_ptr=group_ptr - group_ptr[0],
        leg_ptr=leg_ptr - leg_ptr[0],
        leg_role=rows.leg_role[legs],
        index=rows.index[positions],
        weight=rows.weight[positions],
    )


def _with_zeros(values: np.ndarray, n_rows: int) -> Float64Array2D:
    padded: Float64Array2D = np.pad(values, (0, n_rows - len(values)))[:, np.newaxis]
    return padded

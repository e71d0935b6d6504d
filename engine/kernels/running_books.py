"""Scenario totals of held books that run along as rows move, with figures equal to the whole books.

Of each book the total of its netted legs is kept, scenario by scenario. When rows have moved, the
legs that hold them are added up anew, as they are now and as they were, and the total is moved on
by the difference. That is not yet what adding all positions in order gives, because sums of floats
depend on their order. So the running total only says which scenarios can be among the worst, with a
margin for every rounding error there may be; in those few the positions are added up in stored
order, and the mean is taken of these. Legs need no such care: one that moved is added up whole.

Memory: 8 bytes per book and scenario for the totals, 8 more per row and scenario for the rows as
they were, and about 130 bytes per leg. 70,000 books (50,000 netting sets) of 1,000 scenarios are
0.6 GiB. Books beyond `RunningBooks.n_kept` have no total and are added up whole each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import (
    Float64Array1D,
    Float64Array2D,
    Float64Array3D,
    Int64Array1D,
    Int64Array2D,
)
from engine.errors import ModelInputError
from engine.kernels.layout import frozen, read_only
from engine.kernels.rows import LegRows, checked_rows
from engine.kernels.tiles import TILE_WIDTH, TiledPnl

__all__ = ["RunningBooks", "RunningUnits", "refreshed", "running_books"]

# Totals take no more than this; 2 GiB are 250,000 books of 1,000 scenarios.
TOTAL_BYTES_MAX: Final = 2 * 1024**3
_CHUNK: Final = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class RunningUnits:
    """Figures of one unit of each row, as they are now.

    Attributes
    ----------
    pnl : TiledPnl
        Profit (+) or loss (-) in each scenario. [currency of the rows]
    figures : Float64Array2D, shape (n_rows, n_columns)
        Summed by leg: first columns whose sums are kept, then ranges of which the least is.
    slope, cost : Float64Array1D, shape (n_units,)
        Summed by leg, and by group per unit either way; rows from ``n_units`` on have none.
    """

    pnl: TiledPnl
    figures: Float64Array2D
    slope: Float64Array1D
    cost: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class RunningBooks:
    """Books with their running totals, one writer.

    Attributes
    ----------
    rows : LegRows
    n_tail : Float64Array1D, shape (n_groups,)
    columns : tuple of int
        Ends of the columns of `RunningUnits.figures`: of sums, and of each range after them.
    total : Float64Array3D, shape (n_tiles, n_kept, TILE_WIDTH)
        Running total of the ``NETTED`` legs, in the order of the tiles' columns.
    before : Float64Array3D, shape of the tiles
        Rows as totals have them.
    n_steps : Int64Array1D, shape (n_groups,)
        Differences that a total has taken in since it was added up whole.
    seen : Int64Array1D, shape (n_groups,)
        Clock of the rows when a group was last refreshed; -1 before the first time.
    moved_at, settled_at : Int64Array1D, shape (n_rows,)
        Clock of the last move of a row, and of the last one that is in ``before``.
    clock : Int64Array1D, shape (1,)
        Moves so far.
    largest : Float64Array1D, shape (n_rows,)
        Largest absolute outcome of a row since the totals began: the scale of rounding errors.
    leg_shortfall, leg_slope : Float64Array1D, shape (n_legs,)
    leg_sums : Float64Array2D, shape (n_legs, columns[0])
    leg_least : Float64Array2D, shape (n_legs, n_ranges)
    leg_least_at : Int64Array2D, shape (n_legs, n_ranges)
        Column inside its range, the first of equals; -1 of an empty one.
    group_shortfall, group_wrong_way, group_cost : Float64Array1D, shape (n_groups,)
        As in `engine.kernels.tail.NestedTail`, and the sum of absolute weight times cost.
    """

    rows: LegRows
    n_tail: Float64Array1D
    columns: tuple[int, ...]
    total: Float64Array3D
    before: Float64Array3D
    n_steps: Int64Array1D
    seen: Int64Array1D
    moved_at: Int64Array1D
    settled_at: Int64Array1D
    clock: Int64Array1D
    largest: Float64Array1D
    leg_shortfall: Float64Array1D
    leg_slope: Float64Array1D
    leg_sums: Float64Array2D
    leg_least: Float64Array2D
    leg_least_at: Int64Array2D
    group_shortfall: Float64Array1D
    group_wrong_way: Float64Array1D
    group_cost: Float64Array1D

    @property
    def n_kept(self) -> int:
        """Number of groups that have a running total, the first ones."""
        return self.total.shape[1]

    def moved(self, rows: Int64Array1D) -> None:
        """Note that rows of the units have been written."""
        self.clock[0] += 1
        self.moved_at[rows] = self.clock[0]

    def forget(self, groups: Int64Array1D) -> None:
        """Let groups be added up whole when they are next refreshed."""
        self.seen[groups] = -1


def running_books(
    units: RunningUnits,
    rows: LegRows,
    n_tail: Float64Array1D,
    columns: tuple[int, ...],
    bytes_max: int = TOTAL_BYTES_MAX,
) -> RunningBooks:
    """Return books of which nothing is added up yet.

    Parameters
    ----------
    n_tail : Float64Array1D, shape (n_groups,)
        Scenarios in the tail of each book.
    columns : tuple of int
        See `RunningBooks.columns`; the last one is the number of columns.
    bytes_max : int
        Room for the totals.

    Raises
    ------
    ModelInputError
        If shapes do not fit, a row index is unknown, or a tail is out of its limits.
    """
    tiles = units.pnl.tiles
    n_rows, n_scenarios = units.pnl.n_instruments, units.pnl.n_scenarios
    rows = checked_rows(rows, n_rows, np.ones(n_rows, dtype=np.bool_))
    if n_tail.shape != (rows.n_groups,) or not bool(
        ((n_tail >= 1.0) & (n_tail <= n_scenarios)).all()
    ):
        raise ModelInputError(
            f"n_tail needs 1 to {n_scenarios} scenarios for each of {rows.n_groups} groups"
        )
    if units.figures.shape != (n_rows, columns[-1]) or list(columns) != sorted(columns):
        raise ModelInputError(
            f"figures needs {n_rows} rows of {columns[-1]} columns, found {units.figures.shape}"
        )
    if not len(units.slope) == len(units.cost) <= n_rows:
        raise ModelInputError(
            f"slope has {len(units.slope)} rows, cost {len(units.cost)}, limit {n_rows}"
        )
    n_kept = min(rows.n_groups, bytes_max // (tiles.shape[0] * TILE_WIDTH * 8))
    n_groups, n_legs, n_ranges = rows.n_groups, rows.n_legs, len(columns) - 1
    return RunningBooks(
        rows=rows,
        n_tail=frozen("n_tail", n_tail, np.float64),
        columns=columns,
        total=np.empty((tiles.shape[0], n_kept, TILE_WIDTH)),
        before=tiles.copy(),
        n_steps=np.zeros(n_groups, dtype=np.int64),
        seen=np.full(n_groups, -1, dtype=np.int64),
        moved_at=np.zeros(n_rows, dtype=np.int64),
        settled_at=np.zeros(n_rows, dtype=np.int64),
        clock=np.zeros(1, dtype=np.int64),
        largest=np.abs(tiles).max(axis=(0, 2), initial=0.0),
        leg_shortfall=np.zeros(n_legs),
        leg_slope=np.zeros(n_legs),
        leg_sums=np.zeros((n_legs, columns[0])),
        leg_least=np.zeros((n_legs, n_ranges)),
        leg_least_at=np.full((n_legs, n_ranges), -1, dtype=np.int64),
        group_shortfall=np.zeros(n_groups),
        group_wrong_way=np.zeros(n_groups),
        group_cost=np.zeros(n_groups),
    )


def refreshed(units: RunningUnits, books: RunningBooks, groups: Int64Array1D) -> None:
    """Bring all figures of ``groups``, ascending, to the rows of now.

    They are the same bytes as `engine.kernels.tail.nested_expected_shortfall` and sums in stored
    order give. Twin: `engine.kernels.running_books_plain`.

    Raises
    ------
    ModelInputError
        If a group is unknown, holds a row without finite P&L, or an outcome overflows.
    """
    if not len(groups):
        return
    if not 0 <= int(groups.min()) <= int(groups.max()) < books.rows.n_groups:
        raise ModelInputError(
            f"groups run from 0 to {books.rows.n_groups - 1}, found {groups.min()}..{groups.max()}"
        )
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import running_books_compiled

    frozen_units = RunningUnits(
        TiledPnl(
            read_only(units.pnl.tiles), read_only(units.pnl.order), read_only(units.pnl.is_finite)
        ),
        read_only(units.figures),
        read_only(units.slope),
        read_only(units.cost),
    )
    bad_row = running_books_compiled.refresh(frozen_units, books, groups)
    if bad_row >= 0:
        raise ModelInputError(f"pnl of row {bad_row} is not finite, but a position holds it")
    for name in ("group_shortfall", "group_wrong_way"):
        overflown = groups[~np.isfinite(getattr(books, name)[groups])]
        if len(overflown):
            books.forget(overflown)
            raise ModelInputError(f"{name}[{overflown[0]}] is not finite: its outcomes overflow")


def drift(units: RunningUnits, books: RunningBooks) -> float:
    """Return how far running totals are from totals added up whole, and put these in their place.

    The largest distance in any scenario over all books that are of now, relative to the sum of the
    largest absolute outcomes of their positions.
    """
    of_now = np.flatnonzero(books.seen[: books.n_kept] == books.clock[0])
    largest = 0.0
    for first in range(0, len(of_now), _CHUNK):
        groups = of_now[first : first + _CHUNK]
        running = books.total[:, groups]
        books.forget(groups)
        refreshed(units, books, groups)
        apart = np.abs(books.total[:, groups] - running).max(axis=(0, 2), initial=0.0)
        gross = _gross(books, groups)
        relative = np.divide(apart, gross, out=np.zeros_like(apart), where=gross > 0.0)
        largest = max(largest, float(relative.max(initial=0.0)))
    return largest


def _gross(books: RunningBooks, groups: Int64Array1D) -> Float64Array1D:
    rows = books.rows
    size = np.append(np.abs(rows.weight) * books.largest[rows.index], 0.0)
    running = np.concatenate([[0.0], np.cumsum(size)])
    first = rows.leg_ptr[rows.group_ptr[groups]]
    stop = rows.leg_ptr[rows.group_ptr[groups + 1]]
    gross: Float64Array1D = running[stop] - running[first]
    return gross

"""Scenario totals of nested books and the mean of their worst outcomes.

A book (*group*) holds *legs*, usually one per underlying, and a leg holds positions. One pass over
the book yields the expected shortfall of every leg, of the group as a whole, and of the group
together with its collateral. A figure of a group depends on that group's positions alone, never on
the other groups of the call, so blocks may be cut and spread in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.kernels.rows import (
    COLLATERAL,
    NETTED,
    STANDALONE,
    Int32Array2D,
    LegRows,
    checked_rows,
    finite_rows,
)
from engine.kernels.tiles import TiledPnl, frozen_tiles, tile_pnl

__all__ = [
    "COLLATERAL",
    "NETTED",
    "STANDALONE",
    "LegRows",
    "NestedTail",
    "TiledPnl",
    "aggregate_rows",
    "nested_expected_shortfall",
    "tail_contributions",
    "tile_pnl",
]

Level: TypeAlias = Literal["leg", "group", "wrong_way"]

# Positions and running tails of a block share the cache with one tile of the P&L.
BLOCK_GROUPS: Final = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class NestedTail:
    """Expected shortfall of each leg and group, with the scenarios that make it up.

    Shortfalls are losses > 0 and are not floored: a book that gains in every scenario has a
    negative one. Tails hold scenario numbers, worst first, padded with -1; equal outcomes are
    ordered by scenario number.

    Attributes
    ----------
    leg_shortfall : Float64Array1D, shape (n_legs,)
    leg_tail : Int32Array2D, shape (n_legs, k_max)
    group_shortfall : Float64Array1D, shape (n_groups,)
        Of the sum of ``NETTED`` legs; 0 with an empty tail where a group has none.
    group_tail : Int32Array2D, shape (n_groups, k_max)
    group_wrong_way : Float64Array1D, shape (n_groups,)
        Of the sum of ``NETTED`` and ``COLLATERAL`` legs; equals ``group_shortfall`` where there
        is no collateral.
    wrong_way_tail : Int32Array2D, shape (n_groups, k_max)
    """

    leg_shortfall: Float64Array1D
    leg_tail: Int32Array2D
    group_shortfall: Float64Array1D
    group_tail: Int32Array2D
    group_wrong_way: Float64Array1D
    wrong_way_tail: Int32Array2D


def nested_expected_shortfall(
    pnl: Float64Array2D | TiledPnl,
    rows: LegRows,
    n_tail: Float64Array1D,
    k_max: int,
    *,
    n_threads: int = 1,
) -> NestedTail:
    """Return the expected shortfall of every leg and group, netted and with collateral.

    The worst ``n_tail`` outcomes are averaged; when that number is fractional, the last scenario
    counts with the leftover fraction [1]_. Positions are added in stored order, legs in leg
    order, each product and sum rounded once, so a group's figures are the same bytes in any block.

    Parameters
    ----------
    pnl : Float64Array2D, shape (n_instruments, n_scenarios), or TiledPnl
        Profit (+) or loss (-) of one unit of each instrument. [currency of the rows] A matrix is
        tiled first; give the result of `tile_pnl` where many blocks share one matrix.
    rows : LegRows
        The books.
    n_tail : Float64Array1D, shape (n_groups,)
        Number of scenarios in each group's tail, 1 to ``min(k_max, n_scenarios)``.
    k_max : int
        Width of the tails that are returned.
    n_threads : int
        Threads that share the work; the result does not depend on it.

    Raises
    ------
    ModelInputError
        If shapes do not fit, a row index is outside ``pnl``, an input is not finite, or a tail is
        out of its limits.

    References
    ----------
    .. [1] C. Acerbi and D. Tasche, "On the coherence of expected shortfall,"
       J. Bank. Finance, vol. 26, pp. 1487-1503, 2002.
    """
    tiled, rows = _tiled(pnl, rows)
    n_tail = np.asarray(n_tail, dtype=np.float64)
    _require_tails(n_tail, rows.n_groups, k_max, tiled.n_scenarios)
    found = _empty_tails(rows, k_max)
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import tail_compiled

    def fill(block: range) -> None:
        tail_compiled.nested_tails(tiled, rows, n_tail, block, found)

    n_blocks = max(n_threads, -(-rows.n_groups // BLOCK_GROUPS))
    edges = [rows.n_groups * i // n_blocks for i in range(n_blocks + 1)]
    _run(fill, map(range, edges[:-1], edges[1:]), n_threads)
    for name in ("leg_shortfall", "group_shortfall", "group_wrong_way"):
        overflown = np.flatnonzero(~np.isfinite(getattr(found, name)))
        if len(overflown):
            raise ModelInputError(f"{name}[{overflown[0]}] is not finite: its outcomes overflow")
    return found


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return the outcomes of each leg and of each group's ``NETTED`` legs, scenario by scenario.

    Shapes are ``(n_legs, n_scenarios)`` and ``(n_groups, n_scenarios)``. This keeps every outcome,
    so it is meant for the few columns of named stress and gap scenarios.
    """
    _require_matrix(pnl)
    rows = checked_rows(rows, len(pnl), finite_rows(pnl))
    from engine.kernels import rows_compiled

    return rows_compiled.aggregate_rows(pnl, rows)


def tail_contributions(
    pnl: Float64Array2D | TiledPnl,
    rows: LegRows,
    tail: Int32Array2D,
    n_tail: Float64Array1D,
    *,
    level: Level,
) -> Float64Array1D:
    """Return what each position adds to an expected shortfall, its Euler contribution.

    Minus the mean of ``weight * pnl[index]`` over the tail's scenarios. Contributions sum, up to
    rounding, to the shortfall whose tail is given.

    Parameters
    ----------
    tail : Int32Array2D, shape (n_legs or n_groups, k_max)
        ``leg_tail`` with level ``"leg"``, ``group_tail`` with ``"group"`` or ``wrong_way_tail``
        with ``"wrong_way"``. Positions outside the sum that the level describes get 0.
    n_tail : Float64Array1D, shape (n_groups,)
        As given to `nested_expected_shortfall`.

    Returns
    -------
    Float64Array1D, shape (n_positions,)
        Contribution, a loss > 0. [currency of the rows]
    """
    if isinstance(pnl, TiledPnl):
        tiles, order, is_finite = pnl.tiles, pnl.order, pnl.is_finite
    else:
        _require_matrix(pnl)
        tiles, order = pnl[np.newaxis], np.arange(pnl.shape[1], dtype=np.int32)
        is_finite = finite_rows(pnl)
    n_scenarios = len(order)
    n_tail = np.asarray(n_tail, dtype=np.float64)
    rows = checked_rows(rows, tiles.shape[1], is_finite)
    n_tails = rows.n_legs if level == "leg" else rows.n_groups
    if tail.ndim != 2 or tail.shape[0] != n_tails:
        raise ModelInputError(f"{level} tails need {n_tails} rows, found shape {tail.shape}")
    _require_tails(n_tail, rows.n_groups, tail.shape[1], n_scenarios)
    if tail.size and not -1 <= int(tail.min()) <= int(tail.max()) < n_scenarios:
        raise ModelInputError(f"{level} tails name scenarios outside 0 to {n_scenarios - 1}")
    from engine.kernels import rows_compiled

    counted = np.array([True, level == "leg", level != "group"])
    columns = (tiles, np.argsort(order))
    return rows_compiled.tail_contributions(columns, rows, tail, n_tail, (level == "leg", counted))


def _tiled(pnl: Float64Array2D | TiledPnl, rows: LegRows) -> tuple[TiledPnl, LegRows]:
    if isinstance(pnl, TiledPnl):
        return frozen_tiles(pnl), checked_rows(rows, pnl.n_instruments, pnl.is_finite)
    _require_matrix(pnl)
    checked = checked_rows(rows, len(pnl), np.ones(len(pnl), dtype=np.bool_))
    is_used = np.zeros(len(pnl), dtype=np.bool_)
    is_used[checked.index] = True
    used = np.flatnonzero(is_used)
    if len(used) < len(pnl):
        # A small book does not pay for instruments that it does not hold.
        place = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
        checked = replace(checked, index=place[checked.index])
        pnl = pnl[used]
    tiled = tile_pnl(pnl)
    if not tiled.is_finite.all():
        row = int(used[~tiled.is_finite][0])
        raise ModelInputError(f"pnl of row {row} is not finite, but a position holds it")
    return frozen_tiles(tiled), checked_rows(checked, len(pnl), tiled.is_finite)


def _empty_tails(rows: LegRows, k_max: int) -> NestedTail:
    def tails(n_rows: int) -> Int32Array2D:
        return np.full((n_rows, k_max), -1, dtype=np.int32)

    return NestedTail(
        np.zeros(rows.n_legs),
        tails(rows.n_legs),
        np.zeros(rows.n_groups),
        tails(rows.n_groups),
        np.zeros(rows.n_groups),
        tails(rows.n_groups),
    )


def _run(fill: Callable[[range], None], blocks: Iterable[range], n_threads: int) -> None:
    if n_threads == 1:
        for block in blocks:
            fill(block)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(fill, block) for block in blocks]:
            done.result()


def _require_matrix(pnl: Float64Array2D) -> None:
    if pnl.ndim != 2 or pnl.dtype != np.float64:
        raise ModelInputError(f"pnl needs a float64 matrix, found {pnl.dtype} with {pnl.ndim} axes")


def _require_tails(n_tail: Float64Array1D, n_groups: int, k_max: int, n_scenarios: int) -> None:
    if n_tail.shape != (n_groups,):
        raise ModelInputError(f"n_tail needs {n_groups} groups, found shape {n_tail.shape}")
    limit = min(k_max, n_scenarios)
    fits = (n_tail >= 1.0) & (n_tail <= limit)
    if not fits.all():
        group = int(np.flatnonzero(~fits)[0])
        raise ModelInputError(
            f"n_tail of group {group} is {n_tail[group]}, needs 1 to {limit} scenarios"
        )

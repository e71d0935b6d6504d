"""Scenario totals of nested books and the mean of their worst outcomes.

A book (*group*) holds *legs*, usually one per underlying, and a leg holds positions. One pass over
the book yields the expected shortfall of every leg, of the group as a whole, and of the group
together with its collateral. A figure of a group depends on that group's positions alone, never on
the other groups of the call, so blocks may be cut and spread in any way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int32Array1D, Int64Array1D
from engine.errors import ModelInputError

Int8Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int8]]
Int32Array2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int32]]

NETTED: Final = 0
STANDALONE: Final = 1
COLLATERAL: Final = 2

Level: TypeAlias = Literal["leg", "group", "wrong_way"]


@dataclass(frozen=True, slots=True, eq=False)
class LegRows:
    """Positions of many books: group -> legs -> positions, each level a range of the next.

    Attributes
    ----------
    group_ptr : Int64Array1D, shape (n_groups + 1,)
        Legs ``group_ptr[g]`` to ``group_ptr[g + 1]`` belong to group ``g``.
    leg_ptr : Int64Array1D, shape (n_legs + 1,)
        Positions ``leg_ptr[i]`` to ``leg_ptr[i + 1]`` belong to leg ``i``.
    leg_role : Int8Array1D, shape (n_legs,)
        ``NETTED``: part of the group's total. ``STANDALONE``: own expected shortfall only, for an
        underlying that may not offset. ``COLLATERAL``: enters only the wrong-way total.
    index : Int32Array1D, shape (n_positions,)
        Row of the P&L matrix that the position holds.
    weight : Float64Array1D, shape (n_positions,)
        Signed quantity times whatever scales a row to the group's currency.
    """

    group_ptr: Int64Array1D
    leg_ptr: Int64Array1D
    leg_role: Int8Array1D
    index: Int32Array1D
    weight: Float64Array1D

    @property
    def n_groups(self) -> int:
        return len(self.group_ptr) - 1

    @property
    def n_legs(self) -> int:
        return len(self.leg_ptr) - 1

    @property
    def n_positions(self) -> int:
        return len(self.index)


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
    pnl: Float64Array2D, rows: LegRows, n_tail: Float64Array1D, k_max: int
) -> NestedTail:
    """Return the expected shortfall of every leg and group, netted and with collateral.

    The worst ``n_tail`` outcomes are averaged; when that number is fractional, the last scenario
    counts with the leftover fraction [1]_. Positions are added in stored order, legs in leg
    order, each product and sum rounded once, so a group's figures are the same bytes in any block.

    Parameters
    ----------
    pnl : Float64Array2D, shape (n_instruments, n_scenarios)
        Profit (+) or loss (-) of one unit of each instrument. [currency of the rows]
    rows : LegRows
        The books.
    n_tail : Float64Array1D, shape (n_groups,)
        Number of scenarios in each group's tail, 1 to ``min(k_max, n_scenarios)``.
    k_max : int
        Width of the tails that are returned.

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
    require_rows(pnl, rows)
    require_tails(n_tail, rows.n_groups, k_max, pnl.shape[1])
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import tail_compiled

    return tail_compiled.nested_expected_shortfall(pnl, rows, n_tail, k_max)


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return the outcomes of each leg and of each group's ``NETTED`` legs, scenario by scenario.

    Shapes are ``(n_legs, n_scenarios)`` and ``(n_groups, n_scenarios)``. This keeps every outcome,
    so it is meant for the few columns of named stress and gap scenarios.
    """
    require_rows(pnl, rows)
    from engine.kernels import tail_compiled

    return tail_compiled.aggregate_rows(pnl, rows)


def tail_contributions(
    pnl: Float64Array2D,
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
    require_rows(pnl, rows)
    n_tails = rows.n_legs if level == "leg" else rows.n_groups
    if tail.ndim != 2 or tail.shape[0] != n_tails:
        raise ModelInputError(f"{level} tails need {n_tails} rows, found shape {tail.shape}")
    require_tails(n_tail, rows.n_groups, tail.shape[1], pnl.shape[1])
    if tail.size and not -1 <= int(tail.min()) <= int(tail.max()) < pnl.shape[1]:
        raise ModelInputError(f"{level} tails name scenarios outside 0 to {pnl.shape[1] - 1}")
    from engine.kernels import tail_compiled

    return tail_compiled.tail_contributions(pnl, rows, tail, n_tail, level)


def require_rows(pnl: Float64Array2D, rows: LegRows) -> None:
    """Raise ModelInputError unless the rows are well formed and lie inside ``pnl``."""
    if pnl.ndim != 2 or pnl.dtype != np.float64:
        raise ModelInputError(f"pnl needs a float64 matrix, found {pnl.dtype} with {pnl.ndim} axes")
    n_legs = len(rows.leg_role)
    _require_ranges("group_ptr", rows.group_ptr, n_legs)
    _require_ranges("leg_ptr", rows.leg_ptr, len(rows.index))
    if len(rows.leg_ptr) != n_legs + 1:
        raise ModelInputError(f"leg_role holds {n_legs} legs, leg_ptr {len(rows.leg_ptr) - 1}")
    if n_legs and not NETTED <= int(rows.leg_role.min()) <= int(rows.leg_role.max()) <= COLLATERAL:
        raise ModelInputError(f"leg_role needs 0, 1 or 2, found {np.unique(rows.leg_role)}")
    if len(rows.weight) != len(rows.index):
        raise ModelInputError(f"index holds {len(rows.index)} positions, weight {len(rows.weight)}")
    if len(rows.index) and not 0 <= int(rows.index.min()) <= int(rows.index.max()) < len(pnl):
        raise ModelInputError(
            f"index needs rows 0 to {len(pnl) - 1}, found {rows.index.min()} to {rows.index.max()}"
        )
    if not np.isfinite(rows.weight).all():
        position = int(np.flatnonzero(~np.isfinite(rows.weight))[0])
        raise ModelInputError(f"weight of position {position} is {rows.weight[position]}")


def require_tails(n_tail: Float64Array1D, n_groups: int, k_max: int, n_scenarios: int) -> None:
    """Raise ModelInputError unless every group has a tail that fits."""
    if n_tail.shape != (n_groups,):
        raise ModelInputError(f"n_tail needs {n_groups} groups, found shape {n_tail.shape}")
    limit = min(k_max, n_scenarios)
    if n_groups and not bool(((n_tail >= 1.0) & (n_tail <= limit)).all()):
        group = int(np.flatnonzero(~((n_tail >= 1.0) & (n_tail <= limit)))[0])
        raise ModelInputError(
            f"n_tail of group {group} is {n_tail[group]}, needs 1 to {limit} scenarios"
        )


def _require_ranges(name: str, ptr: Int64Array1D, n_items: int) -> None:
    if ptr.ndim != 1 or len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != n_items:
        raise ModelInputError(
            f"{name} needs to run from 0 to {n_items}, found {ptr[:1]} to {ptr[-1:]}"
        )
    if len(ptr) > 1 and bool((np.diff(ptr) < 0).any()):
        raise ModelInputError(f"{name} needs to be ascending")

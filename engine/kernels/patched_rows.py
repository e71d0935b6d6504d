"""Held books with a few positions changed: what is kept of the books, and what each case changes.

A *case* is one held book with some positions replaced, added or taken out. What the positions earn
in each scenario is kept, so that a case costs what it changes and not what the book holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import (
    BoolArray1D,
    Float64Array1D,
    Float64Array2D,
    Int32Array2D,
    Int64Array1D,
)
from engine.errors import ModelInputError
from engine.kernels.layout import frozen, read_only
from engine.kernels.rows import (
    COLLATERAL,
    NETTED,
    Int8Array1D,
    LegRows,
    checked_rows,
    finite_rows,
)
from engine.kernels.tail import NestedTail, nested_expected_shortfall
from engine.kernels.tiles import TILE_WIDTH


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Figures of one unit of each row.

    Attributes
    ----------
    pnl : Float64Array2D, shape (n_rows, n_scenarios)
        Profit (+) or loss (-) in each scenario. [currency of the rows]
    figures : Float64Array2D, shape (n_rows, n_columns)
        Whatever else is summed by leg.
    cost : Float64Array1D, shape (n_rows,)
        What one unit either way costs, summed by group.
    """

    pnl: Float64Array2D
    figures: Float64Array2D
    cost: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class HeldBooks:
    """What is kept of held books: about 16 bytes per position and scenario.

    Attributes
    ----------
    rows : LegRows
        The books. Inside a leg, ``index`` ascends.
    n_tail : Float64Array1D, shape (n_groups,)
    tail : NestedTail
        Of the books as they are held.
    outcome, running : Float64Array2D, shape (n_scenarios, n_positions)
        Weight times unit P&L of each position, and the sum of it from the first position of the
        leg to this one, added in stored order.
    leg_total : Float64Array2D, shape (n_legs, n_scenarios)
    netted_total, pledged_total : Float64Array2D, shape (n_groups, n_scenarios)
        Sum of the ``NETTED`` legs, and of these and the ``COLLATERAL`` legs.
    leg_worst : Int32Array2D, shape (n_legs, n_worst)
    netted_worst, pledged_worst : Int32Array2D, shape (n_groups, n_worst)
        Scenarios with the smallest of these totals, smallest first: as many as the longest tail.
    leg_gross : Float64Array1D, shape (n_legs,)
        Largest sum of absolute outcomes in any scenario: the scale of rounding errors.
    unit_largest : Float64Array1D, shape (n_rows,)
        Largest absolute P&L of one unit in any scenario.
    figures, figures_running : Float64Array2D, shape (n_positions, n_padded)
        Weight times unit figures, and their sum from the first position of the leg on; columns of
        zeros fill the last register.
    cost, cost_running : Float64Array1D, shape (n_positions,)
        Absolute weight times unit cost, and its sum from the first position of the group on.
    """

    rows: LegRows
    n_tail: Float64Array1D
    tail: NestedTail
    outcome: Float64Array2D
    running: Float64Array2D
    leg_total: Float64Array2D
    netted_total: Float64Array2D
    pledged_total: Float64Array2D
    leg_worst: Int32Array2D
    netted_worst: Int32Array2D
    pledged_worst: Int32Array2D
    leg_gross: Float64Array1D
    unit_largest: Float64Array1D
    figures: Float64Array2D
    figures_running: Float64Array2D
    cost: Float64Array1D
    cost_running: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Changed positions of many cases: case -> patched legs -> entries.

    Attributes
    ----------
    case_group : Int64Array1D, shape (n_cases,)
        Held book that each case starts from.
    leg_ptr : Int64Array1D, shape (n_cases + 1,)
        Patched legs of each case, in the order of the book's legs.
    leg : Int64Array1D, shape (n_patched,)
        Leg of the held rows that is patched, or in front of which a new leg stands.
    is_new : BoolArray1D, shape (n_patched,)
    role : Int8Array1D, shape (n_patched,)
        Role of the leg, as in `LegRows`.
    entry_ptr : Int64Array1D, shape (n_patched + 1,)
        Entries of each patched leg, ``row`` ascending.
    place : Int64Array1D, shape (n_entries,)
        Position of the held rows that the entry replaces, or in front of which it stands.
    replaces : BoolArray1D, shape (n_entries,)
    row : Int64Array1D, shape (n_entries,)
        Row of `Units` that the entry holds.
    weight : Float64Array1D, shape (n_entries,)
        New weight; a position replaced by 0 is taken out.
    """

    case_group: Int64Array1D
    leg_ptr: Int64Array1D
    leg: Int64Array1D
    is_new: BoolArray1D
    role: Int8Array1D
    entry_ptr: Int64Array1D
    place: Int64Array1D
    replaces: BoolArray1D
    row: Int64Array1D
    weight: Float64Array1D

    @property
    def n_cases(self) -> int:
        return len(self.case_group)

    @property
    def n_patched(self) -> int:
        return len(self.leg)


def held_books(units: Units, rows: LegRows, n_tail: Float64Array1D) -> HeldBooks:
    """Return what is kept of the books in ``rows``.

    Parameters
    ----------
    n_tail : Float64Array1D, shape (n_groups,)
        Scenarios in the tail of each book.

    Raises
    ------
    ModelInputError
        As `engine.kernels.tail.nested_expected_shortfall`, or if an index does not ascend.
    """
    n_rows = len(units.pnl)
    k_max = int(np.ceil(n_tail.max(initial=1.0)))
    tail = nested_expected_shortfall(units.pnl, rows, n_tail, k_max)
    rows = checked_rows(rows, n_rows, np.ones(n_rows, dtype=np.bool_))
    _require_ascending(rows)
    outcome = np.ascontiguousarray((units.pnl[rows.index] * rows.weight[:, np.newaxis]).T)
    figures = _padded(units.figures[rows.index] * rows.weight[:, np.newaxis])
    cost = np.abs(rows.weight) * units.cost[rows.index]
    running, figures_running = np.zeros_like(outcome), np.zeros_like(figures)
    leg_total, leg_gross = np.zeros((rows.n_legs, units.pnl.shape[1])), np.zeros(rows.n_legs)
    for leg in range(rows.n_legs):
        span = slice(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1]))
        if span.start < span.stop:
            # accumulate adds one position after the other, as the other kernels do.
            np.add.accumulate(outcome[:, span], axis=1, out=running[:, span])
            np.add.accumulate(figures[span], axis=0, out=figures_running[span])
            leg_total[leg] = running[:, span.stop - 1]
            leg_gross[leg] = np.abs(outcome[:, span]).sum(axis=1).max(initial=0.0)
    netted, pledged = _group_totals(rows, leg_total)
    with np.errstate(invalid="ignore"):
        unit_largest = np.maximum(units.pnl.max(axis=1), -units.pnl.min(axis=1))
    worst = (_worst(total, k_max) for total in (leg_total, netted, pledged))
    kept = (
        outcome, running, leg_total, netted, pledged, *worst, leg_gross, unit_largest, figures,
        figures_running, cost, _running_cost(rows, cost),
    )  # fmt: skip
    n_tail = frozen("n_tail", n_tail, np.float64)
    return HeldBooks(rows, n_tail, tail, *(read_only(array) for array in kept))


def _padded(figures: Float64Array2D) -> Float64Array2D:
    missing = -figures.shape[1] % TILE_WIDTH
    return np.pad(figures, ((0, 0), (0, missing)))


def _worst(total: Float64Array2D, n_worst: int) -> Int32Array2D:
    """Return the scenarios with the smallest totals of each row, smallest first."""
    order = np.argsort(total, axis=1, kind="stable")[:, :n_worst]
    return np.ascontiguousarray(order, dtype=np.int32)


def _running_cost(rows: LegRows, cost: Float64Array1D) -> Float64Array1D:
    running = np.zeros_like(cost)
    for group in range(rows.n_groups):
        first, last = rows.group_ptr[group], rows.group_ptr[group + 1]
        span = slice(int(rows.leg_ptr[first]), int(rows.leg_ptr[last]))
        np.add.accumulate(cost[span], out=running[span])
    return running


def _group_totals(
    rows: LegRows, leg_total: Float64Array2D
) -> tuple[Float64Array2D, Float64Array2D]:
    netted = np.zeros((rows.n_groups, leg_total.shape[1]))
    collateral = np.zeros_like(netted)
    for group in range(rows.n_groups):
        for leg in range(int(rows.group_ptr[group]), int(rows.group_ptr[group + 1])):
            if rows.leg_role[leg] == NETTED:
                netted[group] += leg_total[leg]
            elif rows.leg_role[leg] == COLLATERAL:
                collateral[group] += leg_total[leg]
    return netted, netted + collateral


def _require_ascending(rows: LegRows) -> None:
    starts_leg = np.zeros(rows.n_positions + 1, dtype=np.bool_)
    starts_leg[rows.leg_ptr] = True
    falls = np.flatnonzero((np.diff(rows.index) <= 0) & ~starts_leg[1 : rows.n_positions])
    if len(falls):
        raise ModelInputError(f"index of position {falls[0] + 1} does not ascend inside its leg")


def checked_patches(patches: Patches, units: Units, rows: LegRows) -> Patches:
    """Return ``patches`` as read-only contiguous arrays of the stated types.

    Raises
    ------
    ModelInputError
        If ranges do not nest, a leg is not of the case's book, a place is outside its leg, a row
        is unknown or without finite P&L, or a weight is not finite.
    """
    _require_span("leg_ptr", patches.leg_ptr, patches.n_cases, patches.n_patched)
    _require_span("entry_ptr", patches.entry_ptr, patches.n_patched, len(patches.row))
    _require_within("case_group", patches.case_group, 0, rows.n_groups - 1)
    _require_within("row", patches.row, 0, len(units.pnl) - 1)
    group = np.repeat(patches.case_group, np.diff(patches.leg_ptr))
    last = rows.group_ptr[group + 1] - np.where(patches.is_new, 0, 1)
    _require_within("leg", patches.leg, rows.group_ptr[group], last)
    patched = np.repeat(np.arange(patches.n_patched), np.diff(patches.entry_ptr))
    leg = patches.leg[patched]
    stop = np.where(patches.is_new[patched], leg, leg + 1)
    last = rows.leg_ptr[stop] - np.where(patches.replaces, 1, 0)
    _require_within("place", patches.place, rows.leg_ptr[leg], last)
    if not np.isfinite(patches.weight).all():
        entry = int(np.flatnonzero(~np.isfinite(patches.weight))[0])
        raise ModelInputError(f"weight of entry {entry} is {patches.weight[entry]}")
    used = np.unique(patches.row)
    is_finite = finite_rows(units.pnl[used])
    if not is_finite.all():
        raise ModelInputError(
            f"pnl of row {used[~is_finite][0]} is not finite, but a case holds it"
        )
    return Patches(
        frozen("case_group", patches.case_group, np.int64),
        frozen("leg_ptr", patches.leg_ptr, np.int64),
        frozen("leg", patches.leg, np.int64),
        frozen("is_new", patches.is_new, np.bool_),
        frozen("role", patches.role, np.int8),
        frozen("entry_ptr", patches.entry_ptr, np.int64),
        frozen("place", patches.place, np.int64),
        frozen("replaces", patches.replaces, np.bool_),
        frozen("row", patches.row, np.int64),
        frozen("weight", patches.weight, np.float64),
    )


def _require_span(name: str, ptr: Int64Array1D, n_owners: int, n_items: int) -> None:
    fits = len(ptr) == n_owners + 1 and ptr[0] == 0 and ptr[-1] == n_items
    if not fits or bool((np.diff(ptr) < 0).any()):
        raise ModelInputError(f"{name} needs to ascend from 0 to {n_items} in {n_owners} steps")


def _require_within(
    name: str, values: Int64Array1D, low: int | Int64Array1D, high: int | Int64Array1D
) -> None:
    outside = np.flatnonzero((values < low) | (values > high))
    if len(outside):
        raise ModelInputError(f"{name}[{outside[0]}] is {values[outside[0]]}, outside its range")

"""What the legs of a book amount to: the figures from which its requirement is put together.

A full assessment takes them from every position of a block; a what-if keeps those of the legs that
an order leaves alone. Either way `engine.margin.book_margins` makes the requirement of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.rows import Int8Array1D
from engine.kernels.tail import COLLATERAL, LegRows, NestedTail, aggregate_rows
from engine.margin.stress_grid import worst_cells
from engine.market import PreparedMarket
from engine.scenarios.scenario_set import ScenarioSet


@dataclass(frozen=True, slots=True, eq=False)
class LegFigures:
    """Legs of many books, book by book, underlyings in order and collateral last.

    Attributes
    ----------
    group : Int64Array1D, shape (n_legs,)
        Book of each leg; ascending.
    role : Int8Array1D, shape (n_legs,)
        ``NETTED``, ``STANDALONE`` or ``COLLATERAL``.
    asset : Int64Array1D, shape (n_legs,)
        Row of the underlying in the market's assets; -1 for collateral.
    shortfall : Float64Array1D, shape (n_legs,)
        Expected shortfall of the leg alone, not floored. [USD]
    stress : Float64Array2D, shape (n_legs, n_stress)
        P&L over the named stress days. [USD]
    gap_loss : Float64Array1D, shape (n_legs,)
        Worst loss over the gap grid, >= 0. [USD]
    cell_loss : Float64Array1D, shape (n_legs,)
        Worst loss over the cells of the stress grid, >= 0. [USD]
    cell : Int64Array1D, shape (n_legs,)
        That cell; -1 where there is no loss.
    net_delta : Float64Array1D, shape (n_legs,)
        Signed delta exposure of all positions together; 0 for collateral. [USD]
    """

    group: Int64Array1D
    role: Int8Array1D
    asset: Int64Array1D
    shortfall: Float64Array1D
    stress: Float64Array2D
    gap_loss: Float64Array1D
    cell_loss: Float64Array1D
    cell: Int64Array1D
    net_delta: Float64Array1D

    @property
    def is_held(self) -> BoolArray1D:
        """Return whether each leg holds positions, not collateral."""
        held: BoolArray1D = self.role != COLLATERAL
        return held


@dataclass(frozen=True, slots=True, eq=False)
class BookFigures:
    """Whole books, each of shape (n_groups,). [USD]

    ``shortfall`` is of the netted legs, ``wrong_way`` of these with the collateral, neither
    floored; ``spread_cost`` is half the spread on every position.
    """

    shortfall: Float64Array1D
    wrong_way: Float64Array1D
    spread_cost: Float64Array1D

    @property
    def n_groups(self) -> int:
        """Number of books."""
        return len(self.shortfall)


def figures_of(
    market: PreparedMarket, rows: LegRows, leg_asset: Int64Array1D, tail: NestedTail
) -> tuple[LegFigures, BookFigures]:
    """Return the figures of the books in ``rows``, whose tails are found already."""
    special, _ = aggregate_rows(market.special, rows)
    group = leg_groups(rows)
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    delta, crossing = position_exposures(market, rows)
    net_delta = np.bincount(leg_of, weights=delta, minlength=rows.n_legs)
    spread_cost = np.bincount(group[leg_of], weights=crossing, minlength=rows.n_groups)
    found = special_figures(special, rows.leg_role != COLLATERAL, market.scenarios)
    legs = LegFigures(
        group=group,
        role=rows.leg_role,
        asset=leg_asset,
        shortfall=tail.leg_shortfall,
        stress=found.stress,
        gap_loss=found.gap_loss,
        cell_loss=found.cell_loss,
        cell=found.cell,
        net_delta=net_delta.astype(np.float64),
    )
    books = BookFigures(
        shortfall=tail.group_shortfall,
        wrong_way=tail.group_wrong_way,
        spread_cost=spread_cost.astype(np.float64),
    )
    return legs, books


@dataclass(frozen=True, slots=True, eq=False)
class SpecialFigures:
    """What of a leg's outcomes beyond history is needed; fields as of ``LegFigures``."""

    stress: Float64Array2D
    gap_loss: Float64Array1D
    cell_loss: Float64Array1D
    cell: Int64Array1D


def special_figures(
    special: Float64Array2D, is_held: BoolArray1D, scenarios: ScenarioSet
) -> SpecialFigures:
    """Return the figures of legs from their outcomes over stress days, gap grid and stress grid.

    Parameters
    ----------
    special : Float64Array2D, shape (n_legs, n_stress + n_gap + n_cells)
        Columns as of ``PreparedMarket.special``. [USD]
    is_held : BoolArray1D, shape (n_legs,)
        Whether each leg holds positions; collateral loses nothing here.
    scenarios : ScenarioSet
        Says how many columns are stress days and gaps.
    """
    n_stress, n_gap = scenarios.n_stress, scenarios.n_gap
    jumps = special[:, n_stress : n_stress + n_gap]
    gap_loss = np.maximum(-jumps.min(axis=1, initial=0.0), 0.0)
    cell, cell_loss = worst_cells(special[:, n_stress + n_gap :], is_held)
    return SpecialFigures(
        stress=special[:, :n_stress],
        gap_loss=np.where(is_held, gap_loss, 0.0),
        cell_loss=cell_loss,
        cell=cell,
    )


def position_exposures(
    market: PreparedMarket, rows: LegRows
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return signed delta exposure and half-spread cost of each position, in USD.

    Both are 0 for collateral.
    """
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    row = np.minimum(rows.index, market.n_instruments - 1)
    counts = (rows.leg_role != COLLATERAL)[leg_of]
    crossing = np.where(counts, np.abs(rows.weight) * market.half_spread[row], 0.0)
    delta = np.where(counts, rows.weight * market.delta_notional[row], 0.0)
    return delta, crossing


def leg_groups(rows: LegRows) -> Int64Array1D:
    """Return the book of each leg."""
    return np.repeat(np.arange(rows.n_groups), np.diff(rows.group_ptr))


def sum_by_group(values: Float64Array1D, group: Int64Array1D, n_groups: int) -> Float64Array1D:
    """Return the sum of ``values`` of each group, added in stored order.

    bincount adds one element after the other: a group's sum does not depend on other groups.
    """
    return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64)

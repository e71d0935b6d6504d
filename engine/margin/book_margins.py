"""Requirement of books from the figures of their legs, component by component. All in USD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.kernels.tail import NETTED, STANDALONE
from engine.margin.book_figures import BookFigures, LegFigures, sum_by_group
from engine.margin.gap import combined_losses, gap_losses
from engine.margin.liquidity import liquidation_costs
from engine.market import PreparedMarket
from engine.rules import HouseParameters


@dataclass(frozen=True, slots=True, eq=False)
class BookMargins:
    """Components of every book's requirement, each of shape (n_groups,). [USD]

    ``core`` is the netted shortfall plus standalone underlyings, ``offset`` the part of the offset
    between underlyings that is not granted, ``stressed`` the worst named stress loss
    (memorandum). ``stress_grid`` is the loss of the stress grid (memorandum), ``floor`` what is
    missing to it where it binds. ``total`` is the sum of all but the two memoranda.
    """

    core: Float64Array1D
    offset: Float64Array1D
    stressed: Float64Array1D
    anti_procyclicality: Float64Array1D
    gap: Float64Array1D
    liquidity: Float64Array1D
    wrong_way: Float64Array1D
    stress_grid: Float64Array1D
    floor: Float64Array1D

    @property
    def total(self) -> Float64Array1D:
        """Requirement before holds. [USD]"""
        return (
            self.core
            + self.offset
            + self.anti_procyclicality
            + self.gap
            + self.liquidity
            + self.wrong_way
            + self.floor
        )


def book_margins(
    market: PreparedMarket, house: HouseParameters, legs: LegFigures, books: BookFigures
) -> BookMargins:
    """Return the requirement of each book with its components."""
    n_groups = books.n_groups
    shortfall = np.maximum(legs.shortfall, 0.0)
    netted = np.maximum(books.shortfall, 0.0)
    alone = sum_by_group(np.where(legs.role == STANDALONE, shortfall, 0.0), legs.group, n_groups)
    gross = sum_by_group(np.where(legs.role == NETTED, shortfall, 0.0), legs.group, n_groups)
    core = netted + alone
    offset = (1.0 - house.offset_cap) * np.maximum(gross - netted, 0.0)
    stressed = _stressed(market, legs, n_groups)
    tools = house.anti_procyclicality
    base = core + offset
    weighted = np.maximum(tools.stress_weight * (stressed - base), 0.0)
    buffer = np.zeros(n_groups) if tools.buffer_released else tools.buffer_rate * base
    tooled = np.maximum(weighted, buffer)
    grid = combined_losses(market, house.gap, legs, legs.cell_loss, n_groups)
    binds = house.stress_grid is not None and house.stress_grid.binds
    floor = np.maximum(grid - (base + tooled), 0.0) if binds else np.zeros(n_groups)
    # What the floor holds already is not charged again as a gap.
    uncovered = gap_losses(market, house.gap, legs, n_groups) - (base + floor)
    wrong_way = np.maximum(np.maximum(books.wrong_way, 0.0) - netted, 0.0)
    has_positions = np.bincount(legs.group[legs.is_held], minlength=n_groups) > 0
    return BookMargins(
        core=core,
        offset=offset,
        stressed=stressed,
        anti_procyclicality=tooled,
        gap=house.gap.share * np.maximum(uncovered, 0.0),
        liquidity=liquidation_costs(market, house.liquidity, legs, books),
        wrong_way=np.where(has_positions, wrong_way, 0.0),
        stress_grid=grid,
        floor=floor,
    )


def governing_books(
    total: Float64Array1D, netting_set: Int64Array1D, n_netting_sets: int
) -> Int64Array1D:
    """Return, for each netting set, its book with the largest total; the first of equals."""
    order = np.lexsort((np.arange(total.size), -total, netting_set))
    first = np.searchsorted(netting_set[order], np.arange(n_netting_sets))
    return order[first]


def _stressed(market: PreparedMarket, legs: LegFigures, n_groups: int) -> Float64Array1D:
    """Return the worst loss of each book over the named stress days, all underlyings netted."""
    n_stress = market.scenarios.n_stress
    losses = np.zeros((n_groups, n_stress))
    held = legs.is_held
    group, stress = legs.group[held], legs.stress[held]
    for column in range(n_stress):
        losses[:, column] = -sum_by_group(stress[:, column], group, n_groups)
    worst: Float64Array1D = np.maximum(losses.max(axis=1, initial=0.0), 0.0)
    return worst

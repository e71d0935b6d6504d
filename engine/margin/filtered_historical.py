"""The house model: filtered-historical expected shortfall with stress, gap and liquidity.

Per book: expected shortfall of the netted underlyings, offsets between underlyings granted only up
to the cap, underlyings on proxies added without offset, then the anti-procyclicality tools, then
the add-ons. The netting set owes the worst of its books. Everything here is in USD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.tail import (
    COLLATERAL,
    NETTED,
    NestedTail,
    nested_expected_shortfall,
    tail_contributions,
)
from engine.margin.block import WORST_SCENARIOS, Block
from engine.margin.book_figures import LegFigures, figures_of, leg_groups, sum_by_group
from engine.margin.book_margins import BookMargins, book_margins, governing_books
from engine.market import PreparedMarket


@dataclass(frozen=True, slots=True, eq=False)
class BlockMargins:
    """What a block answers: margins of every book, and the explanation of the governing ones.

    Attributes
    ----------
    margins : BookMargins
        Of all books of the block.
    governing : Int64Array1D, shape (n_netting_sets,)
        Book that each netting set owes, counted from the block's first.
    position_group, position_row : Int64Array1D
        Positions of the governing books: their book and instrument row.
    position_weight : Float64Array1D
        Signed quantities. [contracts]
    position_core : Float64Array1D
        Share of core and offset margin; sums to them per book. [USD]
    position_share : Float64Array1D
        Share by absolute delta exposure, by which add-ons are spread; sums to one per book. [-]
    worst_scenario : Int64Array2D, shape (n_netting_sets, WORST_SCENARIOS)
        Column of the scenario, largest loss first; -1 where there are fewer.
    worst_loss : Float64Array2D, same shape
        Loss of the governing book, all underlyings netted. [USD]
    cell_group, cell_asset, cell : Int64Array1D
        Legs of the governing books that lose in the stress grid: their book, underlying and worst
        cell.
    cell_loss : Float64Array1D
        Loss in that cell. [USD]
    """

    margins: BookMargins
    governing: Int64Array1D
    position_group: Int64Array1D
    position_row: Int64Array1D
    position_weight: Float64Array1D
    position_core: Float64Array1D
    position_share: Float64Array1D
    worst_scenario: Int64Array1D
    worst_loss: Float64Array2D
    cell_group: Int64Array1D
    cell_asset: Int64Array1D
    cell: Int64Array1D
    cell_loss: Float64Array1D


def margin_block(market: PreparedMarket, block: Block) -> BlockMargins:
    """Return the requirement of every netting set of ``block`` with its explanation."""
    k_max = max(int(np.ceil(block.n_tail.max(initial=1.0))), WORST_SCENARIOS)
    tail = nested_expected_shortfall(market.historical, block.rows, block.n_tail, k_max)
    legs, books = figures_of(market, block.rows, block.leg_asset, tail)
    margins = book_margins(market, block.house, legs, books)
    governing = governing_books(margins.total, block.group_netting_set, block.n_netting_sets)
    return _explained(market, block, tail, legs, margins, governing)


def _explained(
    market: PreparedMarket,
    block: Block,
    tail: NestedTail,
    legs: LegFigures,
    margins: BookMargins,
    governing: Int64Array1D,
) -> BlockMargins:
    rows = block.rows
    core = _core_contributions(market, block, tail)
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    group_of = leg_groups(rows)[leg_of]
    is_governing = np.zeros(rows.n_groups, dtype=np.bool_)
    is_governing[governing] = True
    chosen = is_governing[group_of] & (rows.leg_role[leg_of] != COLLATERAL)
    group, row, weight = group_of[chosen], rows.index[chosen].astype(np.int64), rows.weight[chosen]
    exposure = np.abs(weight * market.delta_notional[row])
    total = sum_by_group(exposure, group, rows.n_groups)
    count = np.bincount(group, minlength=rows.n_groups)
    share = np.where(total[group] > 0.0, exposure / np.where(total > 0.0, total, 1.0)[group], 0.0)
    share = np.where(total[group] > 0.0, share, 1.0 / np.maximum(count, 1)[group])
    worst_scenario, worst_loss = _worst(market, block, tail, legs, governing)
    loses = is_governing[legs.group] & (legs.cell >= 0)
    return BlockMargins(
        margins=margins,
        governing=governing,
        position_group=group,
        position_row=row,
        position_weight=weight,
        position_core=core[chosen],
        position_share=share,
        worst_scenario=worst_scenario,
        worst_loss=worst_loss,
        cell_group=legs.group[loses],
        cell_asset=legs.asset[loses],
        cell=legs.cell[loses],
        cell_loss=legs.cell_loss[loses],
    )


def _core_contributions(market: PreparedMarket, block: Block, tail: NestedTail) -> Float64Array1D:
    """Return each position's Euler share of core plus offset margin.

    With cap c: core + offset = c x netted + (1 - c) x sum of netted legs + standalone legs, and
    each term is a tail mean, hence a sum over positions. A negative shortfall counts as zero.
    """
    rows, cap = block.rows, block.house.offset_cap
    of_group = tail_contributions(
        market.historical, rows, tail.group_tail, block.n_tail, level="group"
    )
    of_leg = tail_contributions(market.historical, rows, tail.leg_tail, block.n_tail, level="leg")
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    group_of = leg_groups(rows)[leg_of]
    role = rows.leg_role[leg_of]
    counts_leg = tail.leg_shortfall[leg_of] > 0.0
    counts_group = tail.group_shortfall[group_of] > 0.0
    leg_weight = np.where(role == NETTED, 1.0 - cap, 1.0) * counts_leg
    contributions: Float64Array1D = np.where(
        role == COLLATERAL, 0.0, cap * counts_group * of_group + leg_weight * of_leg
    )
    return contributions


def _worst(
    market: PreparedMarket,
    block: Block,
    tail: NestedTail,
    legs: LegFigures,
    governing: Int64Array1D,
) -> tuple[Int64Array1D, Float64Array2D]:
    """Return the largest losses of the governing books over their tail and the stress days."""
    rows = block.rows
    n_stress = market.scenarios.n_stress
    leg_group = leg_groups(rows)
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    counted = rows.leg_role[leg_of] != COLLATERAL
    group_of, index, weight = leg_group[leg_of][counted], rows.index[counted], rows.weight[counted]
    k = min(WORST_SCENARIOS, tail.group_tail.shape[1])
    columns = np.full((rows.n_groups, k + n_stress), -1, dtype=np.int64)
    losses = np.full((rows.n_groups, k + n_stress), -np.inf)
    for rank in range(k):
        scenario = tail.group_tail[:, rank].astype(np.int64)
        seen = scenario[group_of] >= 0
        pnl = weight * market.historical[index, np.maximum(scenario[group_of], 0)]
        summed = sum_by_group(np.where(seen, pnl, 0.0), group_of, rows.n_groups)
        columns[:, rank] = scenario
        losses[:, rank] = np.where(scenario >= 0, -summed, -np.inf)
    held = legs.is_held
    for column in range(n_stress):
        columns[:, k + column] = market.scenarios.n_historical + column
        losses[:, k + column] = -sum_by_group(
            legs.stress[held, column], leg_group[held], rows.n_groups
        )
    columns, losses = columns[governing], losses[governing]
    order = np.argsort(-losses, axis=1, kind="stable")[:, :WORST_SCENARIOS]
    picked = np.take_along_axis(losses, order, axis=1)
    scenarios = np.where(picked > 0.0, np.take_along_axis(columns, order, axis=1), -1)
    return scenarios, np.where(picked > 0.0, picked, 0.0)

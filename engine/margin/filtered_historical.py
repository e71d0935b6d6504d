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
    STANDALONE,
    LegRows,
    NestedTail,
    aggregate_rows,
    nested_expected_shortfall,
    tail_contributions,
)
from engine.margin.block import WORST_SCENARIOS, Block
from engine.margin.gap import gap_losses
from engine.margin.liquidity import liquidation_costs
from engine.market import PreparedMarket


@dataclass(frozen=True, slots=True, eq=False)
class BookMargins:
    """Components of every book's requirement, each of shape (n_groups,). [USD]

    ``core`` is the netted shortfall plus standalone underlyings, ``offset`` the part of the offset
    between underlyings that is not granted, ``stressed`` the worst named stress loss
    (memorandum). ``total`` is the sum of all but ``stressed``.
    """

    core: Float64Array1D
    offset: Float64Array1D
    stressed: Float64Array1D
    anti_procyclicality: Float64Array1D
    gap: Float64Array1D
    liquidity: Float64Array1D
    wrong_way: Float64Array1D

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
        )


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


def margin_block(market: PreparedMarket, block: Block) -> BlockMargins:
    """Return the requirement of every netting set of ``block`` with its explanation."""
    k_max = max(int(np.ceil(block.n_tail.max(initial=1.0))), WORST_SCENARIOS)
    tail = nested_expected_shortfall(market.historical, block.rows, block.n_tail, k_max)
    leg_special, _ = aggregate_rows(market.special, block.rows)
    margins = _margins(market, block, tail, leg_special)
    governing = _governing(margins.total, block)
    return _explained(market, block, tail, leg_special, margins, governing)


def _leg_group(rows: LegRows) -> Int64Array1D:
    return np.repeat(np.arange(rows.n_groups), np.diff(rows.group_ptr))


def _sum_by_group(values: Float64Array1D, group: Int64Array1D, n_groups: int) -> Float64Array1D:
    # bincount adds in stored order, one group at a time: no dependence on the other groups.
    return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64)


def _margins(
    market: PreparedMarket, block: Block, tail: NestedTail, leg_special: Float64Array2D
) -> BookMargins:
    rows, house = block.rows, block.house
    leg_group = _leg_group(rows)
    n_groups = rows.n_groups
    shortfall = np.maximum(tail.leg_shortfall, 0.0)
    netted = np.maximum(tail.group_shortfall, 0.0)
    alone = _sum_by_group(
        np.where(rows.leg_role == STANDALONE, shortfall, 0.0), leg_group, n_groups
    )
    gross = _sum_by_group(np.where(rows.leg_role == NETTED, shortfall, 0.0), leg_group, n_groups)
    core = netted + alone
    offset = (1.0 - house.offset_cap) * np.maximum(gross - netted, 0.0)
    stressed = _stressed(market, rows, leg_special, leg_group)
    tools = house.anti_procyclicality
    base = core + offset
    weighted = np.maximum(tools.stress_weight * (stressed - base), 0.0)
    buffer = np.zeros(n_groups) if tools.buffer_released else tools.buffer_rate * base
    gaps = gap_losses(market, block, leg_special, leg_group)
    wrong_way = np.maximum(np.maximum(tail.group_wrong_way, 0.0) - netted, 0.0)
    has_positions = np.bincount(leg_group[rows.leg_role != COLLATERAL], minlength=n_groups) > 0
    return BookMargins(
        core=core,
        offset=offset,
        stressed=stressed,
        anti_procyclicality=np.maximum(weighted, buffer),
        gap=house.gap.share * np.maximum(gaps - base, 0.0),
        liquidity=liquidation_costs(market, block, leg_group),
        wrong_way=np.where(has_positions, wrong_way, 0.0),
    )


def _stressed(
    market: PreparedMarket,
    rows: LegRows,
    leg_special: Float64Array2D,
    leg_group: Int64Array1D,
) -> Float64Array1D:
    """Return the worst loss of each book over the named stress days, all underlyings netted."""
    n_stress = market.scenarios.n_stress
    losses = np.zeros((rows.n_groups, n_stress))
    held = rows.leg_role != COLLATERAL
    for column in range(n_stress):
        losses[:, column] = -_sum_by_group(
            leg_special[held, column], leg_group[held], rows.n_groups
        )
    worst: Float64Array1D = np.maximum(losses.max(axis=1, initial=0.0), 0.0)
    return worst


def _governing(total: Float64Array1D, block: Block) -> Int64Array1D:
    """Return, for each netting set, its book with the largest requirement; the first of equals."""
    order = np.lexsort((np.arange(total.size), -total, block.group_netting_set))
    first = np.searchsorted(block.group_netting_set[order], np.arange(block.n_netting_sets))
    return order[first]


def _explained(
    market: PreparedMarket,
    block: Block,
    tail: NestedTail,
    leg_special: Float64Array2D,
    margins: BookMargins,
    governing: Int64Array1D,
) -> BlockMargins:
    rows = block.rows
    core = _core_contributions(market, block, tail)
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    group_of = _leg_group(rows)[leg_of]
    is_governing = np.zeros(rows.n_groups, dtype=np.bool_)
    is_governing[governing] = True
    chosen = is_governing[group_of] & (rows.leg_role[leg_of] != COLLATERAL)
    group, row, weight = group_of[chosen], rows.index[chosen].astype(np.int64), rows.weight[chosen]
    exposure = np.abs(weight * market.delta_notional[row])
    total = _sum_by_group(exposure, group, rows.n_groups)
    count = np.bincount(group, minlength=rows.n_groups)
    share = np.where(total[group] > 0.0, exposure / np.where(total > 0.0, total, 1.0)[group], 0.0)
    share = np.where(total[group] > 0.0, share, 1.0 / np.maximum(count, 1)[group])
    worst_scenario, worst_loss = _worst(market, block, tail, leg_special, governing)
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
    group_of = _leg_group(rows)[leg_of]
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
    leg_special: Float64Array2D,
    governing: Int64Array1D,
) -> tuple[Int64Array1D, Float64Array2D]:
    """Return the largest losses of the governing books over their tail and the stress days."""
    rows = block.rows
    n_stress = market.scenarios.n_stress
    leg_group = _leg_group(rows)
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
        summed = _sum_by_group(np.where(seen, pnl, 0.0), group_of, rows.n_groups)
        columns[:, rank] = scenario
        losses[:, rank] = np.where(scenario >= 0, -summed, -np.inf)
    held = rows.leg_role != COLLATERAL
    for column in range(n_stress):
        columns[:, k + column] = market.scenarios.n_historical + column
        losses[:, k + column] = -_sum_by_group(
            leg_special[held, column], leg_group[held], rows.n_groups
        )
    columns, losses = columns[governing], losses[governing]
    order = np.argsort(-losses, axis=1, kind="stable")[:, :WORST_SCENARIOS]
    picked = np.take_along_axis(losses, order, axis=1)
    scenarios = np.where(picked > 0.0, np.take_along_axis(columns, order, axis=1), -1)
    return scenarios, np.where(picked > 0.0, picked, 0.0)

"""Plain twin of the compiled tail kernel: the same figures, written to be read."""

from __future__ import annotations

import math

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.kernels.rows import COLLATERAL, NETTED, Int32Array2D, LegRows
from engine.kernels.tail import Level, NestedTail


def nested_expected_shortfall(
    pnl: Float64Array2D, rows: LegRows, n_tail: Float64Array1D, k_max: int
) -> NestedTail:
    """Return what `engine.kernels.tail.nested_expected_shortfall` returns, group by group."""
    leg_shortfall, leg_tail = np.zeros(rows.n_legs), _empty_tails(rows.n_legs, k_max)
    shortfall, tail = np.zeros(rows.n_groups), _empty_tails(rows.n_groups, k_max)
    wrong_way, wrong_way_tail = np.zeros(rows.n_groups), _empty_tails(rows.n_groups, k_max)
    leg_pnl = _leg_outcomes(pnl, rows)
    for group in range(rows.n_groups):
        legs = range(int(rows.group_ptr[group]), int(rows.group_ptr[group + 1]))
        for leg in legs:
            leg_shortfall[leg] = _tail_mean(leg_pnl[leg], n_tail[group], leg_tail[leg])
        total = _group_outcomes(leg_pnl, rows, group, NETTED)
        if total is not None:
            shortfall[group] = _tail_mean(total, n_tail[group], tail[group])
        pledged = _group_outcomes(leg_pnl, rows, group, COLLATERAL)
        if pledged is None:
            wrong_way[group], wrong_way_tail[group] = shortfall[group], tail[group]
            continue
        both = pledged if total is None else total + pledged
        wrong_way[group] = _tail_mean(both, n_tail[group], wrong_way_tail[group])
    return NestedTail(leg_shortfall, leg_tail, shortfall, tail, wrong_way, wrong_way_tail)


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return what `engine.kernels.tail.aggregate_rows` returns."""
    leg_pnl = _leg_outcomes(pnl, rows)
    group_pnl = np.zeros((rows.n_groups, pnl.shape[1]))
    for group in range(rows.n_groups):
        total = _group_outcomes(leg_pnl, rows, group, NETTED)
        if total is not None:
            group_pnl[group] = total
    return leg_pnl, group_pnl


def tail_contributions(
    pnl: Float64Array2D,
    rows: LegRows,
    tail: Int32Array2D,
    n_tail: Float64Array1D,
    level: Level,
) -> Float64Array1D:
    """Return what `engine.kernels.tail.tail_contributions` returns."""
    counted = {"leg": (0, 1, 2), "group": (NETTED,), "wrong_way": (NETTED, COLLATERAL)}[level]
    contribution = np.zeros(rows.n_positions)
    for group in range(rows.n_groups):
        for leg in range(int(rows.group_ptr[group]), int(rows.group_ptr[group + 1])):
            scenarios = tail[leg if level == "leg" else group]
            scenarios = scenarios[scenarios >= 0]
            if rows.leg_role[leg] not in counted or not len(scenarios):
                continue
            for position in range(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1])):
                outcomes = rows.weight[position] * pnl[rows.index[position], scenarios]
                contribution[position] = _mean_loss(outcomes, n_tail[group])
    return contribution


def _leg_outcomes(pnl: Float64Array2D, rows: LegRows) -> Float64Array2D:
    leg_pnl = np.zeros((rows.n_legs, pnl.shape[1]))
    for leg in range(rows.n_legs):
        for position in range(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1])):
            leg_pnl[leg] += rows.weight[position] * pnl[rows.index[position]]
    return leg_pnl


def _group_outcomes(
    leg_pnl: Float64Array2D, rows: LegRows, group: int, role: int
) -> Float64Array1D | None:
    legs = np.arange(rows.group_ptr[group], rows.group_ptr[group + 1])
    legs = legs[rows.leg_role[legs] == role]
    if not len(legs):
        return None
    total: Float64Array1D = leg_pnl[legs[0]].copy()
    for leg in legs[1:]:
        total += leg_pnl[leg]
    return total


def _tail_mean(outcomes: Float64Array1D, n_tail: float, scenarios: Int32Array2D) -> float:
    n_worst = math.ceil(n_tail)
    worst = np.argsort(outcomes, kind="stable")[:n_worst]
    scenarios[:n_worst] = worst
    return _mean_loss(outcomes[worst], n_tail)


def _mean_loss(worst_outcomes: Float64Array1D, n_tail: float) -> float:
    n_whole = math.floor(n_tail)
    total = 0.0
    for outcome in worst_outcomes[:n_whole]:
        total -= float(outcome)
    if n_whole < len(worst_outcomes):
        total -= (n_tail - n_whole) * float(worst_outcomes[n_whole])
    return total / n_tail


def _empty_tails(n_rows: int, k_max: int) -> Int32Array2D:
    return np.full((n_rows, k_max), -1, dtype=np.int32)

"""Compiled tail kernels. Plain twin: `engine.kernels.tail_plain`.

Products and sums are rounded separately (no contraction to fused multiply-add) and added in a
fixed order, so the plain twin agrees bit for bit and so do machines with other vector units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.kernels.tail import COLLATERAL, NETTED, Int32Array2D, LegRows, Level, NestedTail

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


def nested_expected_shortfall(
    pnl: Float64Array2D, rows: LegRows, n_tail: Float64Array1D, k_max: int
) -> NestedTail:
    """Return what `engine.kernels.tail.nested_expected_shortfall` describes, inputs checked."""
    result = NestedTail(
        np.zeros(rows.n_legs),
        _empty_tails(rows.n_legs, k_max),
        np.zeros(rows.n_groups),
        _empty_tails(rows.n_groups, k_max),
        np.zeros(rows.n_groups),
        _empty_tails(rows.n_groups, k_max),
    )
    _require_finite(pnl)
    _nested(
        np.ascontiguousarray(pnl),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        n_tail,
        (result.leg_shortfall, result.group_shortfall, result.group_wrong_way),
        (result.leg_tail, result.group_tail, result.wrong_way_tail),
    )
    return result


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return what `engine.kernels.tail.aggregate_rows` describes, inputs checked."""
    _require_finite(pnl)
    leg_pnl = np.zeros((rows.n_legs, pnl.shape[1]))
    group_pnl = np.zeros((rows.n_groups, pnl.shape[1]))
    _aggregate(
        np.ascontiguousarray(pnl),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        leg_pnl,
        group_pnl,
    )
    return leg_pnl, group_pnl


def tail_contributions(
    pnl: Float64Array2D,
    rows: LegRows,
    tail: Int32Array2D,
    n_tail: Float64Array1D,
    level: Level,
) -> Float64Array1D:
    """Return what `engine.kernels.tail.tail_contributions` describes, inputs checked."""
    contribution = np.zeros(rows.n_positions)
    counted = np.array([True, level == "leg", level != "group"])
    _contributions(
        np.ascontiguousarray(pnl),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        np.ascontiguousarray(tail),
        n_tail,
        (level == "leg", counted),
        contribution,
    )
    return contribution


def _require_finite(pnl: Float64Array2D) -> None:
    if not np.isfinite(pnl).all():
        row, scenario = np.argwhere(~np.isfinite(pnl))[0]
        raise ModelInputError(
            f"pnl of row {row} in scenario {scenario} is {pnl[row, scenario]}, needs a finite value"
        )


def _empty_tails(n_rows: int, k_max: int) -> Int32Array2D:
    return np.full((n_rows, k_max), -1, dtype=np.int32)


@_compiled
def _nested(pnl, csr, n_tail, shortfalls, tails):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    leg_shortfall, group_shortfall, group_wrong_way = shortfalls
    leg_tail, group_tail, wrong_way_tail = tails
    n_scenarios = pnl.shape[1]
    leg_sum = np.empty(n_scenarios)
    total = np.empty(n_scenarios)
    pledged = np.empty(n_scenarios)
    worst = np.empty(group_tail.shape[1])
    for group in range(group_ptr.size - 1):
        total[:] = 0.0
        n_netted = 0
        n_pledged = 0
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            leg_sum[:] = 0.0
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                _add_row(leg_sum, pnl[index[position]], weight[position])
            leg_shortfall[leg] = _tail_mean(leg_sum, n_tail[group], leg_tail[leg], worst)
            if leg_role[leg] == _NETTED:
                n_netted += 1
                _add_row(total, leg_sum, 1.0)
            n_pledged += leg_role[leg] == _COLLATERAL
        if n_netted > 0:
            group_shortfall[group] = _tail_mean(total, n_tail[group], group_tail[group], worst)
        group_wrong_way[group] = group_shortfall[group]
        wrong_way_tail[group] = group_tail[group]
        if n_pledged > 0:
            pledged[:] = total
            for leg in range(group_ptr[group], group_ptr[group + 1]):
                if leg_role[leg] == _COLLATERAL:
                    leg_sum[:] = 0.0
                    for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                        _add_row(leg_sum, pnl[index[position]], weight[position])
                    _add_row(pledged, leg_sum, 1.0)
            group_wrong_way[group] = _tail_mean(
                pledged, n_tail[group], wrong_way_tail[group], worst
            )


@_compiled
def _aggregate(pnl, csr, leg_pnl, group_pnl):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    for group in range(group_ptr.size - 1):
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                _add_row(leg_pnl[leg], pnl[index[position]], weight[position])
            if leg_role[leg] == _NETTED:
                _add_row(group_pnl[group], leg_pnl[leg], 1.0)


@_compiled
def _contributions(pnl, csr, tail, n_tail, choice, contribution):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    per_leg, counted = choice
    for group in range(group_ptr.size - 1):
        n_whole = int(np.floor(n_tail[group]))
        fraction = n_tail[group] - n_whole
        n_worst = n_whole + (fraction > 0.0)
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            scenarios = tail[leg] if per_leg else tail[group]
            if not counted[leg_role[leg]] or scenarios[0] < 0:
                continue
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                row = pnl[index[position]]
                loss = 0.0
                for rank in range(n_worst):
                    outcome = weight[position] * row[scenarios[rank]]
                    loss -= outcome if rank < n_whole else fraction * outcome
                contribution[position] = loss / n_tail[group]


@_compiled
def _add_row(total, row, factor):  # type: ignore[no-untyped-def]
    for scenario in range(total.size):
        total[scenario] += factor * row[scenario]


@_compiled
def _tail_mean(outcomes, n_tail, scenarios, worst):  # type: ignore[no-untyped-def]
    n_whole = int(np.floor(n_tail))
    fraction = n_tail - n_whole
    n_worst = n_whole + (fraction > 0.0)
    n_found = 0
    for scenario in range(outcomes.size):
        outcome = outcomes[scenario]
        if n_found == n_worst:
            if not outcome < worst[n_worst - 1]:
                continue
            place = n_worst - 1
        else:
            place = n_found
            n_found += 1
        # A later scenario goes behind equal outcomes, so ties keep the lowest number first.
        while place > 0 and outcome < worst[place - 1]:
            worst[place] = worst[place - 1]
            scenarios[place] = scenarios[place - 1]
            place -= 1
        worst[place] = outcome
        scenarios[place] = scenario
    loss = 0.0
    for rank in range(n_whole):
        loss -= worst[rank]
    if fraction > 0.0:
        loss -= fraction * worst[n_whole]
    return loss / n_tail

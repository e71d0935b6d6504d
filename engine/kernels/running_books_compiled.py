"""Compiled kernel of running books. Plain twin: `engine.kernels.running_books_plain`.

The tile loop is outermost, as in the tail kernel: what moved of one tile stays in the nearest
caches while every book passes. Products and sums are rounded separately and added in stored order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.arrays import Int64Array1D
from engine.kernels.layout import read_only
from engine.kernels.rows import COLLATERAL, NETTED
from engine.kernels.running_books import RunningBooks, RunningUnits
from engine.kernels.running_plan_compiled import (
    SPARE,
    bad_row,
    list_active,
    measure,
    open_all,
    open_list,
    plan_groups,
    settle,
)
from engine.kernels.tail_compiled import _add, _admit, _insert, _sum_rows
from engine.kernels.tiles import TILE_WIDTH

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_WIDTH = TILE_WIDTH
_EPSILON = 2.0**-52
# Sizes of the sorted lists that fit into vector registers; longer ones are kept in memory.
_ROOMS = (8, 16, 32)
# Groups that share the lists of one pass.
_BLOCK = 4_096
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
# Calls between compiled functions count references of the arrays that they pass.
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


def refresh(units: RunningUnits, books: RunningBooks, groups: Int64Array1D) -> int:
    """Bring figures of ``groups`` up to date, inputs checked; return a row not finite, or -1."""
    rows = books.rows
    csr = (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight)
    clocks = (books.moved_at, books.settled_at, books.seen, books.n_steps)
    row = int(bad_row(csr, read_only(units.pnl.is_finite), read_only(groups)))
    if row >= 0:
        return row
    tiles, before = units.pnl.tiles, books.before
    measure(tiles, books.moved_at, books.settled_at, books.largest)
    n_worst = np.ceil(books.n_tail[groups]).astype(np.int64)
    rooms = np.array([*_ROOMS, 2**62])[np.searchsorted(_ROOMS, n_worst + SPARE)]
    edges = np.array(books.columns, dtype=np.int64)
    for room in np.unique(rooms).tolist():
        chosen = groups[rooms == room]
        size = room if room in _ROOMS else int(n_worst.max()) + SPARE
        for first in range(0, len(chosen), _BLOCK):
            _refresh(
                (tiles, before, units.pnl.order),
                csr,
                read_only(chosen[first : first + _BLOCK]),
                (books.n_tail, size, int(books.clock[0])),
                books.total,
                clocks,
                books.largest,
                (units.figures, units.slope, units.cost, edges),
                (books.leg_shortfall, books.leg_slope, books.leg_sums, books.leg_least,
                 books.leg_least_at),
                (books.group_shortfall, books.group_wrong_way, books.group_cost),
            )  # fmt: skip
    settle(tiles, before, books.moved_at, books.settled_at, int(books.clock[0]))
    return -1


@_compiled
def _refresh(pnl, csr, groups, terms, total, clocks, largest, units, of_legs, of_groups):  # type: ignore[no-untyped-def]
    tiles, before, order = pnl
    group_ptr, leg_ptr, _, index, weight = csr
    n_tail, room, clock = terms
    seen, n_steps = clocks[2], clocks[3]
    n_groups, n_legs = groups.size, 0
    for group in groups:
        n_legs += group_ptr[group + 1] - group_ptr[group]
    slot = np.empty(n_legs, dtype=np.int64)
    mode = np.empty(n_groups, dtype=np.int64)
    shape = (total.shape[1], tiles.shape[0])
    n_moved = plan_groups(csr, groups, clocks, shape, n_tail, slot, mode)
    plan = (np.empty((n_legs, 2), dtype=np.int64), np.empty((n_groups, 3), dtype=np.int64))
    list_active(csr, groups, slot, mode, plan)
    lists = (
        np.empty((n_moved, room)), np.empty((n_moved, room), dtype=np.int32),
        np.empty((n_groups, room)), np.empty((n_groups, room), dtype=np.int32),
        np.empty((n_groups, room)), np.empty((n_groups, room), dtype=np.int32),
    )  # fmt: skip
    open_all(csr, groups, n_tail, slot, mode, lists)
    for t in range(tiles.shape[0]):
        numbers = order[t * _WIDTH : (t + 1) * _WIDTH]
        _pass_tile((tiles[t], before[t], numbers, total[t]), csr, groups, plan, mode, lists)
    sums = np.empty(units[3][-1])
    leg_shortfall = of_legs[0]
    i = 0
    for g in range(n_groups):
        group = groups[g]
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            if slot[i] >= 0:
                leg_shortfall[leg] = _mean_loss(lists[0], slot[i], n_tail[group])
                _leg_figures(csr, leg, units, of_legs, sums)
            i += 1
    _group_tails(
        pnl, csr, groups, terms, (mode, plan[1]), (n_steps, largest), lists,
        (leg_shortfall, of_groups),
    )  # fmt: skip
    for g in range(n_groups):
        group = groups[g]
        spent = 0.0
        for p in range(leg_ptr[group_ptr[group]], leg_ptr[group_ptr[group + 1]]):
            if index[p] < units[2].size:
                spent += abs(weight[p]) * units[2][index[p]]
        of_groups[2][group] = spent
        seen[group] = clock
        if mode[g] == 0:
            n_steps[group] = 0
        elif mode[g] == 1:
            n_steps[group] += 1


@_inlined
def _mean_loss(worst, row, n_tail):  # type: ignore[no-untyped-def]
    """Return the mean of the worst outcomes, the last of which counts with the fraction left."""
    n_whole = int(np.floor(n_tail))
    first = worst.shape[1] - int(np.ceil(n_tail))
    loss = 0.0
    for rank in range(n_whole):
        loss -= worst[row, first + rank]
    if n_tail > n_whole:
        loss -= (n_tail - n_whole) * worst[row, worst.shape[1] - 1]
    return loss / n_tail


@_compiled
def _pass_tile(tile, csr, groups, plan, mode, lists):  # type: ignore[no-untyped-def]
    rows, rows_before, numbers, running = tile
    _, leg_ptr, leg_role, index, weight = csr
    active, counts = plan
    leg_sum, leg_before = np.empty(_WIDTH), np.empty(_WIDTH)
    total, pledged = np.empty(_WIDTH), np.empty(_WIDTH)
    first = 0
    for g in range(groups.size):
        group = groups[g]
        if mode[g] == 0:
            total[:] = 0.0
        else:
            for s in range(_WIDTH):
                total[s] = running[group, s]
        if counts[g, 1]:
            pledged[:] = 0.0
        for i in range(first, counts[g, 2]):
            leg, place = active[i, 0], active[i, 1]
            _sum_rows(rows, index, weight, leg_ptr[leg], leg_ptr[leg + 1], leg_sum)
            if place >= 0:
                _admit(leg_sum, numbers, lists[0], lists[1], place)
            if leg_role[leg] == _COLLATERAL:
                _add(pledged, leg_sum)
            elif leg_role[leg] == _NETTED and mode[g] == 0:
                _add(total, leg_sum)
            elif leg_role[leg] == _NETTED:
                _sum_rows(rows_before, index, weight, leg_ptr[leg], leg_ptr[leg + 1], leg_before)
                for s in range(_WIDTH):
                    total[s] += leg_sum[s] - leg_before[s]
        first = counts[g, 2]
        if mode[g] < 2:
            if group < running.shape[0]:
                for s in range(_WIDTH):
                    running[group, s] = total[s]
            if counts[g, 0] > 1:
                _admit(total, numbers, lists[2], lists[3], g)
        if counts[g, 1]:
            _add(total, pledged)
            _admit(total, numbers, lists[4], lists[5], g)


@_compiled
def _leg_figures(csr, leg, units, of_legs, sums):  # type: ignore[no-untyped-def]
    leg_ptr, index, weight = csr[1], csr[3], csr[4]
    figures, slope, _, edges = units
    _, leg_slope, leg_sums, leg_least, leg_least_at = of_legs
    for column in range(sums.size):
        sums[column] = 0.0
    steep = 0.0
    for p in range(leg_ptr[leg], leg_ptr[leg + 1]):
        for column in range(sums.size):
            sums[column] += weight[p] * figures[index[p], column]
        if index[p] < slope.size:
            steep += weight[p] * slope[index[p]]
    leg_slope[leg] = steep
    for column in range(edges[0]):
        leg_sums[leg, column] = sums[column]
    for r in range(edges.size - 1):
        least, at = 0.0, -1
        for column in range(edges[r], edges[r + 1]):
            if at < 0 or sums[column] < least:
                least, at = sums[column], column - edges[r]
        leg_least[leg, r], leg_least_at[leg, r] = least, at


@_compiled
def _group_tails(pnl, csr, groups, terms, plan, state, lists, results):  # type: ignore[no-untyped-def]
    group_ptr, leg_role = csr[0], csr[2]
    n_tail, room, _ = terms
    mode, counts = plan
    n_steps, largest = state
    leg_shortfall, (shortfall, wrong_way, _) = results
    worst, at = (lists[2], lists[4]), (lists[3], lists[5])
    n_columns = pnl[2].size
    place = np.empty(n_columns, dtype=np.int64)
    for column in range(n_columns):
        place[pnl[2][column]] = column
    # By scenario, the group whose outcome there is known, and that.
    memory = (place, np.full(n_columns, -1, dtype=np.int64), np.empty(n_columns))
    best = (np.empty((1, room)), np.empty((1, room), dtype=np.int32))
    for g in range(groups.size):
        group = groups[g]
        if counts[g, 0] == 1:
            for leg in range(group_ptr[group], group_ptr[group + 1]):
                if leg_role[leg] == _NETTED:
                    shortfall[group] = leg_shortfall[leg]
        for level in range(2):
            is_asked = counts[g, 0] > 1 if level == 0 else counts[g, 1] > 0
            if not is_asked or (level == 0 and mode[g] == 2):
                continue
            if mode[g] == 0:
                found = _mean_loss(worst[level], g, n_tail[group])
            else:
                case = (g, group, n_tail[group], n_steps[group], level)
                found = _confirmed(pnl, csr, case, largest, worst[level], at[level], memory, best)
            if level == 0:
                shortfall[group] = found
            else:
                wrong_way[group] = found
        if counts[g, 1] == 0:
            wrong_way[group] = shortfall[group]


@_inlined
def _confirmed(pnl, csr, case, largest, worst, at, memory, best):  # type: ignore[no-untyped-def]
    """Return the shortfall of the netted legs (level 0), or of these with collateral (1)."""
    g, group, n_tail, n_steps, level = case
    group_ptr, leg_ptr, _, index, weight = csr
    order = pnl[2]
    n_worst, room = int(np.ceil(n_tail)), worst.shape[1]
    first_leg, stop_leg = group_ptr[group], group_ptr[group + 1]
    start, stop = leg_ptr[first_leg], leg_ptr[stop_leg]
    gross = 0.0
    for p in range(start, stop):
        gross += abs(weight[p]) * largest[index[p]]
    # A sum of n rounded products is off by less than n + 1 half units of all that it adds up. The
    # total carries one such error from when it was added up whole and two more for each difference
    # of now and before; what it is compared with carries one. Each is taken twice.
    margin = 2.0 * _EPSILON * (stop - start + stop_leg - first_leg + 8) * (2 * n_steps + 5) * gross
    first = room - n_worst - SPARE
    limit = worst[g, first + n_worst - 1] + 2.0 * margin
    n_chosen = n_worst
    while n_chosen < n_worst + SPARE and worst[g, first + n_chosen] <= limit:
        n_chosen += 1
    open_list(best[0], best[1], 0, n_worst)
    # Ties all over, as in a flat book: rounding could lift any scenario into the tail.
    is_any = n_chosen == n_worst + SPARE
    for k in range(order.size if is_any else n_chosen):
        scenario = np.int64(k if is_any else at[g, first + k])
        outcome = _outcome(pnl, csr, (group, scenario, level), memory)
        _insert(outcome, scenario, best[0], best[1], 0)
    return _mean_loss(best[0], 0, n_tail)


@_inlined
def _outcome(pnl, csr, where, memory):  # type: ignore[no-untyped-def]
    """Return the outcome of a group in one scenario, positions added in order, then legs."""
    group, scenario, level = where
    group_ptr, leg_ptr, leg_role, index, weight = csr
    place, known, netted = memory
    tile, s = place[scenario] // _WIDTH, place[scenario] % _WIDTH
    tiles = pnl[0]
    if known[scenario] != group:
        total = 0.0
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            if leg_role[leg] == _NETTED:
                of_leg = 0.0
                for p in range(leg_ptr[leg], leg_ptr[leg + 1]):
                    of_leg += weight[p] * tiles[tile, index[p], s]
                total += of_leg
        known[scenario], netted[scenario] = group, total
    if level == 0:
        return netted[scenario]
    pledged = 0.0
    for leg in range(group_ptr[group], group_ptr[group + 1]):
        if leg_role[leg] == _COLLATERAL:
            of_leg = 0.0
            for p in range(leg_ptr[leg], leg_ptr[leg + 1]):
                of_leg += weight[p] * tiles[tile, index[p], s]
            pledged += of_leg
    return netted[scenario] + pledged

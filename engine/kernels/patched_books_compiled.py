"""Compiled kernel of patched books. Plain twin: `engine.kernels.patched_books_plain`.

Products and sums are rounded separately and added in stored order, as in the tail kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.kernels.patched_books import PatchedBooks
from engine.kernels.patched_rows import HeldBooks, Patches, Units
from engine.kernels.patched_sums_compiled import sums
from engine.kernels.rows import COLLATERAL, NETTED
from engine.kernels.tail_compiled import _admit, _clear, _finish, _insert
from engine.kernels.tiles import TILE_WIDTH

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_WIDTH = TILE_WIDTH
_EPSILON = 2.0**-52
# Sizes of the sorted lists that fit into vector registers; longer ones are kept in memory.
_ROOMS = (8, 16, 32)
# Places beside the tail, for scenarios that rounding errors might lift into it.
_SPARE = 2
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


def patched_books(units: Units, held: HeldBooks, patches: Patches, found: PatchedBooks) -> None:
    """Fill ``found``, all inputs checked; group figures come in as those of the held books."""
    n_scenarios = units.pnl.shape[1]
    n_worst = int(np.ceil(held.n_tail.max(initial=1.0)))
    room = next((room for room in _ROOMS if room >= n_worst + _SPARE), n_worst + _SPARE)
    n_legs_max = int(np.diff(patches.leg_ptr).max(initial=0))
    csr = (held.rows.group_ptr, held.rows.leg_ptr, held.rows.leg_role, held.rows.weight)
    changes = tuple(getattr(patches, name) for name in Patches.__slots__)
    scratch = (
        np.empty((1, room)),
        np.empty((1, room), dtype=np.int32),
        np.arange(n_scenarios, dtype=np.int32),
        np.empty((n_legs_max, n_scenarios)),
        np.full((n_legs_max, n_scenarios), -1, dtype=np.int64),
        np.empty(n_scenarios, dtype=np.int32),
        np.empty(n_scenarios),
    )
    best = (np.empty((1, n_worst)), np.empty((1, n_worst), dtype=np.int32))
    _tails(
        units.pnl,
        csr,
        (held.n_tail, held.outcome, held.running),
        (held.leg_total, held.netted_total, held.pledged_total),
        (held.leg_worst, held.netted_worst, held.pledged_worst),
        (held.leg_gross, held.unit_largest),
        changes,
        (scratch, best),
        (found.leg_shortfall, found.group_shortfall, found.group_wrong_way),
    )
    sums(
        (units.figures, units.cost),
        csr,
        (held.figures, held.figures_running, held.cost, held.cost_running),
        changes,
        (found.leg_figures, found.group_cost),
    )


@_compiled
def _tails(pnl, csr, kept, totals, worst, sizes, changes, rooms, found):  # type: ignore[no-untyped-def]
    case_group, leg_ptr, leg, is_new, role = changes[:5]
    n_tail = kept[0]
    leg_total, netted_total, pledged_total = totals
    leg_worst, netted_worst, pledged_worst = worst
    leg_gross, unit_largest = sizes
    leg_shortfall, group_shortfall, group_wrong_way = found
    nothing, nowhere = np.zeros(pnl.shape[1]), np.zeros(0, dtype=np.int32)
    for case in range(case_group.size):
        group = case_group[case]
        first, stop = leg_ptr[case], leg_ptr[case + 1]
        n_netted, n_pledged = 0, 0
        for i in range(first, stop):
            base = (nothing, nowhere)
            gross = 0.0
            if not is_new[i]:
                base = (leg_total[leg[i]], leg_worst[leg[i]])
                gross = leg_gross[leg[i]]
            scale = (gross, unit_largest)
            leg_shortfall[i] = _mean_of_worst(
                pnl, csr, kept, changes, rooms, (case, i, i + 1, -1), base, scale, n_tail[group]
            )
            n_netted += role[i] == _NETTED
            n_pledged += role[i] == _COLLATERAL
        if n_netted + n_pledged == 0:
            continue
        gross = 0.0
        is_pledged = n_pledged > 0
        for held_leg in range(csr[0][group], csr[0][group + 1]):
            gross += leg_gross[held_leg]
            is_pledged |= csr[2][held_leg] == _COLLATERAL
        scale = (gross, unit_largest)
        if n_netted:
            group_shortfall[case] = _mean_of_worst(
                pnl, csr, kept, changes, rooms, (case, first, stop, 0),
                (netted_total[group], netted_worst[group]), scale, n_tail[group],
            )  # fmt: skip
        group_wrong_way[case] = group_shortfall[case]
        if is_pledged:
            group_wrong_way[case] = _mean_of_worst(
                pnl, csr, kept, changes, rooms, (case, first, stop, 1),
                (pledged_total[group], pledged_worst[group]), scale, n_tail[group],
            )  # fmt: skip


@_compiled
def _mean_of_worst(pnl, csr, kept, changes, rooms, span, base, scale, n_tail):  # type: ignore[no-untyped-def]
    """Return the shortfall of one patched leg (level -1), the netted legs (0) or all but
    standalone ones (1) of a case."""
    scratch, best = rooms
    worst, at = scratch[0], scratch[1]
    n_worst = int(np.ceil(n_tail))
    margin = _search(pnl, csr, changes, span, base, scale, scratch, n_worst)
    room = worst.shape[1]
    limit = worst[0, n_worst - 1] + 2.0 * margin
    if worst[0, room - 1] > limit:
        n_chosen = n_worst
        while worst[0, n_chosen] <= limit:
            n_chosen += 1
        chosen = at[0, :n_chosen]
    else:
        # Ties all over, as in a flat book: rounding could lift any scenario into the tail.
        chosen = scratch[2]
    _outcomes(pnl, csr, kept, changes, span, chosen, scratch)
    exact = scratch[6]
    _clear(best[0][0], best[1][0], n_tail)
    for j in range(chosen.size):
        _insert(exact[j], chosen[j], best[0], best[1], 0)
    return _finish(best[0][0], best[1][0], n_tail, at[0])


@_inlined
def _search(pnl, csr, changes, span, base, scale, scratch, n_worst):  # type: ignore[no-untyped-def]
    """List the scenarios with the smallest totals, and return how far these may be off.

    As many scenarios as the tail has, those that were worst before the change, say how large a
    total may be at most to be in it; larger ones are passed over. Places of the list that nothing
    has come to hold a limit above that, and no scenario.
    """
    worst, at, numbers = scratch[0], scratch[1], scratch[2]
    case, first, stop, level = span
    case_group, _, _, _, role, entry_ptr, place, replaces, row, weight = changes
    group_ptr, leg_ptr, _, old_weight = csr
    held_total, seeds = base
    total = np.empty(_WIDTH)
    n_scenarios = pnl.shape[1]
    gross, unit_largest = scale
    n_entries = 0
    for i in range(first, stop):
        if not _counts(role[i], level):
            continue
        n_entries += entry_ptr[i + 1] - entry_ptr[i]
        for e in range(entry_ptr[i], entry_ptr[i + 1]):
            before = old_weight[place[e]] if replaces[e] else 0.0
            gross += (abs(before) + 2.0 * abs(weight[e])) * unit_largest[row[e]]
    group = case_group[case]
    n_legs = group_ptr[group + 1] - group_ptr[group]
    n_held = leg_ptr[group_ptr[group + 1]] - leg_ptr[group_ptr[group]]
    # n sums of rounded products are off by less than n + 1 half units of all they add up; here
    # two such sums are compared, and every bound is taken twice.
    margin = 2.0 * _EPSILON * (n_held + n_legs + 2 * n_entries + 8) * gross
    limit = -np.inf if seeds.size >= n_worst else np.inf
    for k in range(min(n_worst, seeds.size)):
        seeded = held_total[seeds[k]]
        for i in range(first, stop):
            if _counts(role[i], level):
                for e in range(entry_ptr[i], entry_ptr[i + 1]):
                    change = weight[e] - (old_weight[place[e]] if replaces[e] else 0.0)
                    seeded += change * pnl[row[e], seeds[k]]
        limit = max(limit, seeded)
    worst[:] = limit + 3.0 * margin
    at[:] = -1
    for start in range(0, n_scenarios, _WIDTH):
        width = min(_WIDTH, n_scenarios - start)
        total[:width] = held_total[start : start + width]
        for i in range(first, stop):
            if not _counts(role[i], level):
                continue
            for e in range(entry_ptr[i], entry_ptr[i + 1]):
                change = weight[e] - (old_weight[place[e]] if replaces[e] else 0.0)
                unit = pnl[row[e], start : start + width]
                for s in range(width):
                    total[s] += change * unit[s]
        _admit(total, numbers[start : start + width], worst, at, 0)
    return margin


@_inlined
def _counts(role, level):  # type: ignore[no-untyped-def]
    return level < 0 or role == _NETTED or (level == 1 and role == _COLLATERAL)


@_inlined
def _outcomes(pnl, csr, kept, changes, span, chosen, scratch):  # type: ignore[no-untyped-def]
    """Write the outcome in each chosen scenario, positions added in order, then legs in order."""
    case, first, stop, level = span
    case_group, _, leg, is_new, role = changes[:5]
    group_ptr, leg_ptr, leg_role, _ = csr
    running = kept[2]
    of_leg, exact = scratch[3], scratch[6]
    start = changes[1][case]
    for i in range(first, stop):
        if _counts(role[i], level):
            _find_outcomes(pnl, csr, kept, changes, (case, i, i - start), chosen, scratch)
    if level < 0:
        for j in range(chosen.size):
            exact[j] = of_leg[first - start, chosen[j]]
        return
    group = case_group[case]
    for j in range(chosen.size):
        netted, pledged = 0.0, 0.0
        i = first
        for held_leg in range(group_ptr[group], group_ptr[group + 1] + 1):
            replaced = False
            while i < stop and leg[i] == held_leg and not replaced:
                if role[i] == _NETTED:
                    netted += of_leg[i - start, chosen[j]]
                elif role[i] == _COLLATERAL and level == 1:
                    pledged += of_leg[i - start, chosen[j]]
                replaced = not is_new[i]
                i += 1
            if replaced or held_leg == group_ptr[group + 1]:
                continue
            last = leg_ptr[held_leg + 1] - 1
            if last < leg_ptr[held_leg]:
                continue
            if leg_role[held_leg] == _NETTED:
                netted += running[chosen[j], last]
            elif leg_role[held_leg] == _COLLATERAL and level == 1:
                pledged += running[chosen[j], last]
        exact[j] = netted + pledged if level == 1 else netted


@_inlined
def _find_outcomes(pnl, csr, kept, changes, at, chosen, scratch):  # type: ignore[no-untyped-def]
    """Work out what is not known yet: a leg's own tail and its book's have most scenarios alike."""
    case, i, slot = at
    of_leg, known, missing = scratch[3], scratch[4], scratch[5]
    n_missing = 0
    for scenario in chosen:
        if known[slot, scenario] != case:
            known[slot, scenario] = case
            missing[n_missing] = scenario
            n_missing += 1
    if n_missing:
        _leg_outcomes(pnl, csr, kept, changes, i, missing[:n_missing], of_leg[slot])


@_inlined
def _leg_outcomes(pnl, csr, kept, changes, i, chosen, out):  # type: ignore[no-untyped-def]
    leg, is_new = changes[2], changes[3]
    entry_ptr, place, replaces, row, weight = changes[5:]
    leg_ptr = csr[1]
    outcome, running = kept[1], kept[2]
    start = leg_ptr[leg[i]]
    stop = start if is_new[i] else leg_ptr[leg[i] + 1]
    first = place[entry_ptr[i]] if entry_ptr[i] < entry_ptr[i + 1] else stop
    last = chosen.size - 1
    # Eight scenarios at a time: a sum in order waits for each addition, eight sums do not.
    for j in range(0, chosen.size, 8):
        c0, c1 = chosen[j], chosen[min(j + 1, last)]
        c2, c3 = chosen[min(j + 2, last)], chosen[min(j + 3, last)]
        c4, c5 = chosen[min(j + 4, last)], chosen[min(j + 5, last)]
        c6, c7 = chosen[min(j + 6, last)], chosen[min(j + 7, last)]
        s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if first > start:
            s0, s1 = running[c0, first - 1], running[c1, first - 1]
            s2, s3 = running[c2, first - 1], running[c3, first - 1]
            s4, s5 = running[c4, first - 1], running[c5, first - 1]
            s6, s7 = running[c6, first - 1], running[c7, first - 1]
        p = first
        for e in range(entry_ptr[i], entry_ptr[i + 1] + 1):
            # After the last entry, what is left of the leg.
            stretch = place[e] if e < entry_ptr[i + 1] else stop
            while p < stretch:
                s0 += outcome[c0, p]
                s1 += outcome[c1, p]
                s2 += outcome[c2, p]
                s3 += outcome[c3, p]
                s4 += outcome[c4, p]
                s5 += outcome[c5, p]
                s6 += outcome[c6, p]
                s7 += outcome[c7, p]
                p += 1
            if e == entry_ptr[i + 1]:
                break
            if weight[e] != 0.0:
                unit = pnl[row[e]]
                s0 += weight[e] * unit[c0]
                s1 += weight[e] * unit[c1]
                s2 += weight[e] * unit[c2]
                s3 += weight[e] * unit[c3]
                s4 += weight[e] * unit[c4]
                s5 += weight[e] * unit[c5]
                s6 += weight[e] * unit[c6]
                s7 += weight[e] * unit[c7]
            p += replaces[e]
        # The last of eight may stand for one that is there already: it has the same value.
        out[c0], out[c1], out[c2], out[c3] = s0, s1, s2, s3
        out[c4], out[c5], out[c6], out[c7] = s4, s5, s6, s7

"""What a pass over running books has to do: which legs moved, and how each book is added up.

Part of `engine.kernels.running_books_compiled`; the plain twin is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.kernels.rows import COLLATERAL, NETTED
from engine.kernels.tiles import TILE_WIDTH

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_WIDTH = TILE_WIDTH
# Places beside the tail, for scenarios that rounding errors might lift into it.
SPARE = 2
# What is quicker is measured in positions of a tile: adding one up is 1, gathering one outcome to
# confirm it _GATHERED, and a difference costs _BESIDE positions more. Whole has no error: it wins.
_GATHERED = 0.8
_BESIDE = 6
_STEPS_MAX = 100_000
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


@_compiled
def bad_row(csr, is_finite, groups):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, index = csr[0], csr[1], csr[3]
    for group in groups:
        for p in range(leg_ptr[group_ptr[group]], leg_ptr[group_ptr[group + 1]]):
            if not is_finite[index[p]]:
                return index[p]
    return -1


@_compiled
def measure(tiles, moved_at, settled_at, largest):  # type: ignore[no-untyped-def]
    """Note how large the rows have become that moved since they were last settled."""
    for row in range(moved_at.size):
        if moved_at[row] > settled_at[row]:
            size = largest[row]
            for t in range(tiles.shape[0]):
                tile = tiles[t, row]
                for s in range(_WIDTH):
                    size = max(size, abs(tile[s]))
            largest[row] = size


@_compiled
def settle(tiles, before, moved_at, settled_at, clock):  # type: ignore[no-untyped-def]
    """Keep the rows as totals have them from now on."""
    for row in range(moved_at.size):
        if moved_at[row] > settled_at[row]:
            for t in range(tiles.shape[0]):
                before[t, row] = tiles[t, row]
            settled_at[row] = moved_at[row]


@_compiled
def plan_groups(csr, groups, clocks, shape, n_tail, slot, mode):  # type: ignore[no-untyped-def]
    """Say which legs have moved, by a place of their own or -1, and how each group is added up.

    Modes are 0 for whole, 1 by the difference, 2 for nothing of a netted leg having moved.
    """
    group_ptr, leg_ptr, leg_role, index, _ = csr
    moved_at, settled_at, seen, n_steps = clocks
    n_kept, n_tiles = shape
    n_moved, i = 0, 0
    for g in range(groups.size):
        group = groups[g]
        since = seen[group]
        first, stop = leg_ptr[group_ptr[group]], leg_ptr[group_ptr[group + 1]]
        is_lost = since < 0 or group >= n_kept or n_steps[group] >= _STEPS_MAX
        n_changed = 0
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            has_moved = since < 0
            for p in range(leg_ptr[leg], leg_ptr[leg + 1]):
                has_moved |= moved_at[index[p]] > since
                is_lost |= settled_at[index[p]] > since
            slot[i] = -1
            if has_moved:
                slot[i] = n_moved
                n_moved += 1
                if leg_role[leg] == _NETTED:
                    n_changed += leg_ptr[leg + 1] - leg_ptr[leg]
            i += 1
        by_difference = n_tiles * (2 * n_changed + _BESIDE)
        by_difference += _GATHERED * n_tail[group] * (stop - first)
        if is_lost or by_difference > n_tiles * (stop - first):
            mode[g] = 0
        else:
            mode[g] = 1 if n_changed else 2
    return n_moved


@_compiled
def list_active(csr, groups, slot, mode, plan):  # type: ignore[no-untyped-def]
    """List the legs that a pass adds up, with their places, and count roles by group."""
    group_ptr, leg_role = csr[0], csr[2]
    active, counts = plan
    i, n_active = 0, 0
    for g in range(groups.size):
        counts[g, 0] = counts[g, 1] = 0
        for leg in range(group_ptr[groups[g]], group_ptr[groups[g] + 1]):
            role = leg_role[leg]
            counts[g, 0] += role == _NETTED
            counts[g, 1] += role == _COLLATERAL
            if slot[i] >= 0 or role == _COLLATERAL or (mode[g] == 0 and role == _NETTED):
                active[n_active, 0], active[n_active, 1] = leg, slot[i]
                n_active += 1
            i += 1
        counts[g, 2] = n_active


@_compiled
def open_all(csr, groups, n_tail, slot, mode, lists):  # type: ignore[no-untyped-def]
    group_ptr = csr[0]
    i = 0
    for g in range(groups.size):
        group = groups[g]
        n_places = int(np.ceil(n_tail[group]))
        n_spare = n_places + (SPARE if mode[g] else 0)
        open_list(lists[2], lists[3], g, n_spare)
        open_list(lists[4], lists[5], g, n_spare)
        for _ in range(group_ptr[group], group_ptr[group + 1]):
            if slot[i] >= 0:
                open_list(lists[0], lists[1], slot[i], n_places)
            i += 1


@_inlined
def open_list(worst, at, row, n_places):  # type: ignore[no-untyped-def]
    """Start a list: places that the tail does not need are taken at the front, for ever."""
    n_taken = worst.shape[1] - n_places
    for j in range(worst.shape[1]):
        at[row, j] = -1
        worst[row, j] = -np.inf if j < n_taken else np.inf

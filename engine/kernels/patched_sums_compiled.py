"""Sums of patched legs and the costs of patched books, added in stored order. Compiled.

Part of `engine.kernels.patched_books_compiled`; the plain twin is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from engine.kernels.tail_compiled import _LANES, _load, _store
from engine.kernels.tiles import TILE_WIDTH

_WIDTH = TILE_WIDTH
# Cases whose costs are added side by side.
_CASES = 32
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


@intrinsic
def _add_rows(typing_context, figures, start, stop, first_column, total):  # type: ignore[no-untyped-def]
    """Add ``figures[p]`` for start <= p < stop to ``total``, one register row of columns.

    Written as vector operations because the compiler would store and reload the total for every
    position. Each column is added by itself, position after position.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        rows = context.make_array(signature.args[0])(context, builder, arguments[0])
        sums = context.make_array(signature.args[4])(context, builder, arguments[4])
        word, lane = ir.IntType(64), ir.VectorType(ir.DoubleType(), _LANES)
        n_vectors = _WIDTH // _LANES
        stride = builder.extract_value(rows.shape, 1)
        target = builder.gep(sums.data, [arguments[3]])
        old = [_load(builder, target, i, lane) for i in range(n_vectors)]

        before = builder.block
        body = builder.append_basic_block("positions")
        after = builder.append_basic_block("stored")
        builder.cbranch(builder.icmp_signed("<", arguments[1], arguments[2]), body, after)

        builder.position_at_end(body)
        position = builder.phi(word)
        running = [builder.phi(lane) for _ in range(n_vectors)]
        offset = builder.add(builder.mul(position, stride), arguments[3])
        row = builder.gep(rows.data, [offset])
        added = [
            builder.fadd(value, _load(builder, row, i, lane)) for i, value in enumerate(running)
        ]
        following = builder.add(position, ir.Constant(word, 1))
        position.add_incoming(arguments[1], before)
        position.add_incoming(following, body)
        for value, first, later in zip(running, old, added, strict=True):
            value.add_incoming(first, before)
            value.add_incoming(later, body)
        builder.cbranch(builder.icmp_signed("<", following, arguments[2]), body, after)

        builder.position_at_end(after)
        results = [builder.phi(lane) for _ in range(n_vectors)]
        for i, result in enumerate(results):
            result.add_incoming(old[i], before)
            result.add_incoming(added[i], body)
        for i, result in enumerate(results):
            _store(builder, result, target, i, lane)
        return context.get_dummy_value()

    return types.void(figures, start, stop, first_column, total), generate


@_compiled
def sums(units, csr, kept, changes, found):  # type: ignore[no-untyped-def]
    unit_figures, unit_cost = units
    figures, figures_running, cost, cost_running = kept
    case_group, patch_ptr, leg, is_new, _role, entry_ptr, place, replaces, row, weight = changes
    group_ptr, leg_ptr = csr[0], csr[1]
    leg_figures, group_cost = found
    total = np.empty(figures.shape[1])
    rest = np.empty(case_group.size, dtype=np.int64)
    for case in range(case_group.size):
        start = leg_ptr[group_ptr[case_group[case]]]
        stop = leg_ptr[group_ptr[case_group[case] + 1]]
        p = stop
        if patch_ptr[case] < patch_ptr[case + 1] and (
            entry_ptr[patch_ptr[case]] < entry_ptr[patch_ptr[case] + 1]
        ):
            p = place[entry_ptr[patch_ptr[case]]]
        spent = cost_running[p - 1] if p > start else 0.0
        for i in range(patch_ptr[case], patch_ptr[case + 1]):
            for e in range(entry_ptr[i], entry_ptr[i + 1]):
                while p < place[e]:
                    spent += cost[p]
                    p += 1
                if weight[e] != 0.0:
                    spent += abs(weight[e]) * unit_cost[row[e]]
                p += replaces[e]
            last = leg_ptr[leg[i]] if is_new[i] else leg_ptr[leg[i] + 1]
            _leg_sums(
                (unit_figures, figures, figures_running), changes, i, leg_ptr[leg[i]], last, total
            )
            leg_figures[i] = total[: leg_figures.shape[1]]
        group_cost[case], rest[case] = spent, p
    _add_rest(cost, csr, case_group, rest, group_cost)


@_compiled
def _add_rest(cost, csr, case_group, rest, spent):  # type: ignore[no-untyped-def]
    """Add to each case what the positions from ``rest`` on cost, in order.

    Many cases at a time, because a sum in order waits for each addition. Where a case is not there
    yet it gets a zero, which changes no sum of costs.
    """
    group_ptr, leg_ptr = csr[0], csr[1]
    total, begins = np.empty(_CASES), np.empty(_CASES, dtype=np.int64)
    for first in range(0, case_group.size, _CASES):
        n = min(_CASES, case_group.size - first)
        total[:], begins[:] = 0.0, cost.size
        total[:n], begins[:n] = spent[first : first + n], rest[first : first + n]
        stops = leg_ptr[group_ptr[case_group[first : first + n] + 1]]
        if stops.min() == stops.max():
            for p in range(begins.min(), stops[0]):
                for k in range(_CASES):
                    total[k] += cost[p] if p >= begins[k] else 0.0
        else:
            for k in range(n):
                for p in range(begins[k], stops[k]):
                    total[k] += cost[p]
        spent[first : first + n] = total[:n]


@_compiled
def _leg_sums(columns, changes, i, start, stop, total):  # type: ignore[no-untyped-def]
    unit_figures, figures, figures_running = columns
    entry_ptr, place, replaces, row, weight = changes[5:]
    p = place[entry_ptr[i]] if entry_ptr[i] < entry_ptr[i + 1] else stop
    total[:] = 0.0
    if p > start:
        total[:] = figures_running[p - 1]
    for e in range(entry_ptr[i], entry_ptr[i + 1]):
        _add_stretch(figures, p, place[e], total)
        p = max(p, place[e])
        if weight[e] != 0.0:
            for column in range(unit_figures.shape[1]):
                total[column] += weight[e] * unit_figures[row[e], column]
        p += replaces[e]
    _add_stretch(figures, p, stop, total)


@_compiled
def _add_stretch(figures, start, stop, total):  # type: ignore[no-untyped-def]
    for first_column in range(0, total.size, _WIDTH):
        _add_rows(figures, start, stop, first_column, total)

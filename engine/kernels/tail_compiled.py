"""Compiled tail kernels. Plain twin: `engine.kernels.tail_plain`.

The tile loop is outermost: one tile of all instruments (a few MiB) stays in the shared cache while
every book passes. A leg's tile is summed in vector registers and compared at once with the worst
outcomes found so far, so no matrix of outcomes is ever written. Products and sums are rounded
separately (no contraction to fused multiply-add) and added in a fixed order: the plain twin agrees
bit for bit, and so do machines with other vector units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.arrays import Float64Array1D
from engine.kernels.layout import read_only
from engine.kernels.rows import COLLATERAL, NETTED, LegRows
from engine.kernels.tail import NestedTail
from engine.kernels.tiles import TILE_WIDTH, TiledPnl

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_WIDTH = TILE_WIDTH
_LANES = 8
# Sizes of the sorted lists that fit into vector registers; longer ones are kept in memory.
_ROOMS = (8, 16, 32)
_POSITIONS_AHEAD = 12
_ALL_BITS = np.uint64(2**64 - 1)
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
# Calls between compiled functions count references of the arrays that they pass.
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)


def nested_tails(
    tiled: TiledPnl, rows: LegRows, n_tail: Float64Array1D, groups: range, found: NestedTail
) -> None:
    """Fill ``found`` for ``groups``, a range of the books, all inputs checked."""
    n_legs = int(rows.group_ptr[groups.stop] - rows.group_ptr[groups.start])
    k_max = found.group_tail.shape[1]
    room = next((room for room in _ROOMS if room >= k_max), k_max)
    lists = [
        array
        for n_lists in (n_legs, len(groups), len(groups))
        for array in (np.empty((n_lists, room)), np.empty((n_lists, room), dtype=np.int32))
    ]
    _nested(
        (tiled.tiles, tiled.order),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        (groups.start, groups.stop),
        read_only(n_tail),
        tuple(lists),
        (found.leg_shortfall, found.group_shortfall, found.group_wrong_way),
        (found.leg_tail, found.group_tail, found.wrong_way_tail),
    )


@intrinsic
def _sum_rows(typing_context, tile, index, weight, start, stop, total):  # type: ignore[no-untyped-def]
    """Set ``total`` to the sum of ``weight[p] * tile[index[p]]`` over start <= p < stop.

    Written as vector operations because the compiler, which must allow for overlapping arrays,
    would store and reload the running total for every position. Registers of another width get
    the same operations in the same order, element by element.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = [
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 1, 2, 5)
        ]
        n_positions = context.make_array(signature.args[1])(context, builder, arguments[1]).nitems
        word, lane = ir.IntType(64), ir.VectorType(ir.DoubleType(), _LANES)
        n_vectors = _WIDTH // _LANES
        zero = ir.Constant(lane, [0.0] * _LANES)

        before = builder.block
        body = builder.append_basic_block("positions")
        after = builder.append_basic_block("stored")
        builder.cbranch(builder.icmp_signed("<", arguments[3], arguments[4]), body, after)

        builder.position_at_end(body)
        position = builder.phi(word)
        sums = [builder.phi(lane) for _ in range(n_vectors)]
        row = builder.sext(builder.load(builder.gep(data[1], [position])), word)
        factor = builder.load(builder.gep(data[2], [position]))
        factor = _spread(builder, factor, lane)
        first = builder.gep(data[0], [builder.mul(row, ir.Constant(word, _WIDTH))])
        _fetch_ahead(builder, (data[0], data[1], n_positions), position)
        added = [
            builder.fadd(total_lane, builder.fmul(factor, _load(builder, first, i, lane)))
            for i, total_lane in enumerate(sums)
        ]
        following = builder.add(position, ir.Constant(word, 1))
        position.add_incoming(arguments[3], before)
        position.add_incoming(following, body)
        for total_lane, value in zip(sums, added, strict=True):
            total_lane.add_incoming(zero, before)
            total_lane.add_incoming(value, body)
        builder.cbranch(builder.icmp_signed("<", following, arguments[4]), body, after)

        builder.position_at_end(after)
        results = [builder.phi(lane) for _ in range(n_vectors)]
        for i, result in enumerate(results):
            result.add_incoming(zero, before)
            result.add_incoming(added[i], body)
        for i, result in enumerate(results):
            _store(builder, result, data[3], i, lane)
        return context.get_dummy_value()

    return types.void(tile, index, weight, start, stop, total), generate


@intrinsic
def _below(typing_context, total, limit):  # type: ignore[no-untyped-def]
    """Return 64 bits, bit s set unless ``total[s] > limit``: NaN is let through to be found."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lane = ir.VectorType(ir.DoubleType(), _LANES)
        word, small = ir.IntType(64), ir.IntType(_LANES)
        limits = _spread(builder, arguments[1], lane)
        bits = ir.Constant(word, 0)
        for i in range(_WIDTH // _LANES):
            hit = builder.fcmp_unordered("<=", _load(builder, data, i, lane), limits)
            byte = builder.zext(builder.bitcast(hit, small), word)
            bits = builder.or_(bits, builder.shl(byte, ir.Constant(word, i * _LANES)))
        return bits

    return types.uint64(total, types.float64), generate


def _make_insert(n_vectors: int) -> Any:
    """Return the intrinsic that inserts into sorted lists of ``8 * n_vectors`` places.

    The list stays in registers while all marked outcomes enter, and there is no branch on their
    values: each place keeps what ranks before the new outcome, takes the outcome if its left
    neighbour ranks before it, and else takes the neighbour. The last place drops out.
    """

    @intrinsic
    def insert(typing_context, bits, outcomes, numbers, worst, scenarios, row):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            data = [
                context.make_array(signature.args[i])(context, builder, arguments[i]).data
                for i in (1, 2, 3, 4)
            ]
            first = builder.mul(arguments[5], ir.Constant(ir.IntType(64), _LANES * n_vectors))
            lists = [builder.gep(pointer, [first]) for pointer in data[2:]]
            _insert_marked(builder, arguments[0], data[:2], lists, n_vectors)
            return context.get_dummy_value()

        signature = types.void(types.uint64, outcomes, numbers, worst, scenarios, types.int64)
        return signature, generate

    return insert


def _insert_marked(
    builder: Any, bits: Any, incoming: list[Any], lists: list[Any], n_vectors: int
) -> None:
    word = ir.IntType(64)
    kinds = [ir.VectorType(ir.DoubleType(), _LANES), ir.VectorType(ir.IntType(32), _LANES)]
    places = [(i, j) for i in range(n_vectors) for j in range(2)]
    old = {(i, j): _load(builder, lists[j], i, kinds[j]) for i, j in places}

    before = builder.block
    body = builder.append_basic_block("insert")
    after = builder.append_basic_block("inserted")
    builder.branch(body)
    builder.position_at_end(body)
    left_over = builder.phi(word)
    left_over.add_incoming(bits, before)
    current = {(i, j): builder.phi(kinds[j]) for i, j in places}
    s = builder.cttz(left_over, ir.Constant(ir.IntType(1), 1))
    new = [_spread(builder, builder.load(builder.gep(incoming[j], [s])), kinds[j]) for j in (0, 1)]
    changed = _ranked(builder, current, new, n_vectors)
    for place in places:
        current[place].add_incoming(old[place], before)
        current[place].add_incoming(changed[place], body)
    fewer = builder.and_(left_over, builder.sub(left_over, ir.Constant(word, 1)))
    left_over.add_incoming(fewer, body)
    builder.cbranch(builder.icmp_unsigned("!=", fewer, ir.Constant(word, 0)), body, after)

    builder.position_at_end(after)
    for i, j in places:
        _store(builder, changed[i, j], lists[j], i, kinds[j])


def _ranked(builder: Any, current: Any, new: list[Any], n_vectors: int) -> Any:
    one_left = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), list(range(7, 15)))
    lowest = [
        ir.Constant(vector.type, [value] * _LANES)
        for vector, value in zip(new, (-math.inf, -1), strict=True)
    ]
    changed = {}
    for i in range(n_vectors):
        here = [current[i, j] for j in (0, 1)]
        below = [current[i - 1, j] for j in (0, 1)] if i else lowest
        left = [builder.shuffle_vector(below[j], here[j], one_left) for j in (0, 1)]
        stays, lands = _is_before(builder, here, new), _is_before(builder, left, new)
        for j in (0, 1):
            moved = builder.select(lands, new[j], left[j])
            changed[i, j] = builder.select(stays, here[j], moved)
    return changed


_insert_8, _insert_16, _insert_32 = _make_insert(1), _make_insert(2), _make_insert(4)


def _fetch_ahead(builder: Any, data: tuple[Any, Any, Any], position: Any) -> None:
    # The search for worst outcomes stalls the processor's own look-ahead, so rows are asked for
    # a dozen positions early, across the ends of legs and groups.
    tile, index, n_positions = data
    word, small, byte = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
    ahead = builder.add(position, ir.Constant(word, _POSITIONS_AHEAD))
    ahead = builder.select(builder.icmp_signed("<", ahead, n_positions), ahead, position)
    row = builder.sext(builder.load(builder.gep(index, [ahead])), word)
    first = builder.gep(tile, [builder.mul(row, ir.Constant(word, _WIDTH))])
    kind = ir.FunctionType(ir.VoidType(), [byte, small, small, small])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    for i in range(_WIDTH // _LANES):
        line = builder.bitcast(builder.gep(first, [ir.Constant(word, i * _LANES)]), byte)
        # For reading, into every level of cache, as data.
        builder.call(fetch, [line, *(ir.Constant(small, flag) for flag in (0, 3, 1))])


def _lane_pointer(builder: Any, data: Any, i: int, lane: Any) -> Any:
    offset = ir.Constant(ir.IntType(64), i * _LANES)
    return builder.bitcast(builder.gep(data, [offset]), lane.as_pointer())


def _load(builder: Any, data: Any, i: int, lane: Any) -> Any:
    loaded = builder.load(_lane_pointer(builder, data, i, lane))
    # Arrays that travelled between processes may have lost their alignment.
    loaded.align = 4
    return loaded


def _store(builder: Any, value: Any, data: Any, i: int, lane: Any) -> None:
    builder.store(value, _lane_pointer(builder, data, i, lane)).align = 4


def _is_before(builder: Any, one: list[Any], other: list[Any]) -> Any:
    # Equal outcomes rank by scenario number, whatever the order in which they come.
    equal = builder.fcmp_ordered("==", one[0], other[0])
    earlier = builder.and_(equal, builder.icmp_signed("<", one[1], other[1]))
    return builder.or_(builder.fcmp_ordered("<", one[0], other[0]), earlier)


def _spread(builder: Any, value: Any, lane: Any) -> Any:
    undefined = ir.Constant(lane, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(first, undefined, everywhere)


@_compiled
def _nested(tiled, csr, groups, n_tail, lists, shortfalls, tails):  # type: ignore[no-untyped-def]
    tiles, scenario_order = tiled
    group_ptr, leg_role = csr[0], csr[2]
    leg_worst, leg_at, group_worst, group_at, pledged_worst, pledged_at = lists
    first_leg = group_ptr[groups[0]]
    for group in range(groups[0], groups[1]):
        i = group - groups[0]
        _clear(group_worst[i], group_at[i], n_tail[group])
        _clear(pledged_worst[i], pledged_at[i], n_tail[group])
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            _clear(leg_worst[leg - first_leg], leg_at[leg - first_leg], n_tail[group])
    for t in range(tiles.shape[0]):
        numbers = scenario_order[t * _WIDTH : (t + 1) * _WIDTH]
        _pass_tile(tiles[t], numbers, csr, groups, lists)
    leg_shortfall, group_shortfall, group_wrong_way = shortfalls
    leg_tail, group_tail, wrong_way_tail = tails
    for group in range(groups[0], groups[1]):
        k, i = n_tail[group], group - groups[0]
        n_netted, n_pledged = _count_roles(leg_role, group_ptr[group], group_ptr[group + 1])
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            j = leg - first_leg
            leg_shortfall[leg] = _finish(leg_worst[j], leg_at[j], k, leg_tail[leg])
            if n_netted == 1 and leg_role[leg] == _NETTED:
                group_shortfall[group] = leg_shortfall[leg]
                group_tail[group] = leg_tail[leg]
        if n_netted > 1:
            group_shortfall[group] = _finish(group_worst[i], group_at[i], k, group_tail[group])
        if n_pledged > 0:
            group_wrong_way[group] = _finish(
                pledged_worst[i], pledged_at[i], k, wrong_way_tail[group]
            )
        else:
            group_wrong_way[group] = group_shortfall[group]
            wrong_way_tail[group] = group_tail[group]


@_compiled
def _pass_tile(tile, numbers, csr, groups, lists):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    leg_worst, leg_at, group_worst, group_at, pledged_worst, pledged_at = lists
    leg_sum = np.empty(_WIDTH)
    total = np.empty(_WIDTH)
    pledged = np.empty(_WIDTH)
    first_leg = group_ptr[groups[0]]
    for group in range(groups[0], groups[1]):
        i = group - groups[0]
        n_netted, n_pledged = _count_roles(leg_role, group_ptr[group], group_ptr[group + 1])
        total[:] = 0.0
        pledged[:] = 0.0
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            j = leg - first_leg
            _sum_rows(tile, index, weight, leg_ptr[leg], leg_ptr[leg + 1], leg_sum)
            _admit(leg_sum, numbers, leg_worst, leg_at, j)
            if leg_role[leg] == _NETTED and n_netted + n_pledged > 1:
                _add(total, leg_sum)
            elif leg_role[leg] == _COLLATERAL:
                _add(pledged, leg_sum)
        if n_netted > 1:
            _admit(total, numbers, group_worst, group_at, i)
        if n_pledged > 0:
            _add(total, pledged)
            _admit(total, numbers, pledged_worst, pledged_at, i)


@_inlined
def _count_roles(leg_role, first_leg, stop_leg):  # type: ignore[no-untyped-def]
    n_netted = 0
    n_pledged = 0
    for leg in range(first_leg, stop_leg):
        n_netted += leg_role[leg] == _NETTED
        n_pledged += leg_role[leg] == _COLLATERAL
    return n_netted, n_pledged


@_inlined
def _add(total, summand):  # type: ignore[no-untyped-def]
    for s in range(_WIDTH):
        total[s] += summand[s]


@_inlined
def _admit(outcomes, numbers, worst, scenarios, row):  # type: ignore[no-untyped-def]
    """Let the outcomes of one tile into the sorted list of the smallest so far."""
    # Lists are named by row: a view of one row would be counted as a reference, which costs more
    # than the search.
    room = worst.shape[1]
    bits = _below(outcomes, worst[row, room - 1]) & (_ALL_BITS >> np.uint64(_WIDTH - numbers.size))
    if bits == 0:
        return
    if room == 8:
        _insert_8(bits, outcomes, numbers, worst, scenarios, row)
    elif room == 16:
        _insert_16(bits, outcomes, numbers, worst, scenarios, row)
    elif room == 32:
        _insert_32(bits, outcomes, numbers, worst, scenarios, row)
    else:
        for s in range(numbers.size):
            _insert(outcomes[s], numbers[s], worst, scenarios, row)


@_inlined
def _insert(outcome, scenario, worst, scenarios, row):  # type: ignore[no-untyped-def]
    place = worst.shape[1]
    while place > 0 and not (
        worst[row, place - 1] < outcome
        or (worst[row, place - 1] == outcome and scenarios[row, place - 1] < scenario)
    ):
        place -= 1
    for later in range(worst.shape[1] - 1, place, -1):
        worst[row, later] = worst[row, later - 1]
        scenarios[row, later] = scenarios[row, later - 1]
    if place < worst.shape[1]:
        worst[row, place] = outcome
        scenarios[row, place] = scenario


@_compiled
def _clear(worst, scenarios, n_tail):  # type: ignore[no-untyped-def]
    """Start a list: places that the tail does not need are taken at the front, for ever."""
    scenarios[:] = -1
    worst[:] = np.inf
    worst[: worst.size - int(np.ceil(n_tail))] = -np.inf


@_compiled
def _finish(worst, scenarios, n_tail, tail):  # type: ignore[no-untyped-def]
    n_whole = int(np.floor(n_tail))
    first = worst.size - int(np.ceil(n_tail))
    loss = 0.0
    for rank in range(n_whole):
        loss -= worst[first + rank]
        tail[rank] = scenarios[first + rank]
    if n_tail > n_whole:
        loss -= (n_tail - n_whole) * worst[-1]
        tail[n_whole] = scenarios[-1]
    return loss / n_tail

"""Compiled tail kernels. Plain twin: `engine.kernels.tail_plain`.

The tile loop is outermost: one tile of all instruments (a few MiB) stays in the shared cache while
every book passes. A leg's tile is summed in vector registers and compared at once with the worst
outcomes found so far, so no matrix of outcomes is ever written. Products and sums are rounded
separately (no contraction to fused multiply-add) and added in a fixed order: the plain twin agrees
bit for bit, and so do machines with other vector units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Float64Array3D
from engine.kernels.tail import COLLATERAL, NETTED, Int32Array2D, LegRows, NestedTail
from engine.kernels.tiles import TILE_WIDTH, TiledPnl

_NETTED = NETTED
_COLLATERAL = COLLATERAL
_WIDTH = TILE_WIDTH
_LANES = 8
_ALL_BITS = np.uint64(2**64 - 1)
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


def nested_tails(
    tiled: TiledPnl, rows: LegRows, n_tail: Float64Array1D, groups: range, found: NestedTail
) -> None:
    """Fill ``found`` for ``groups``, a range of the books, all inputs checked."""
    k_max = found.group_tail.shape[1]
    n_legs = int(rows.group_ptr[groups.stop] - rows.group_ptr[groups.start])
    _nested(
        (tiled.tiles, tiled.n_scenarios),
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        (groups.start, groups.stop),
        n_tail,
        (
            np.empty((n_legs, k_max)),
            np.empty((len(groups), k_max)),
            np.empty((len(groups), k_max)),
        ),
        (found.leg_shortfall, found.group_shortfall, found.group_wrong_way),
        (found.leg_tail, found.group_tail, found.wrong_way_tail),
    )


def fill_tiles(
    pnl: Float64Array2D, tiles: Float64Array3D, is_finite: BoolArray1D, first_row: int
) -> None:
    """Copy rows of ``pnl`` into ``tiles`` from ``first_row`` on and note which are finite."""
    _fill(np.ascontiguousarray(pnl), tiles, is_finite, first_row)


def aggregate_rows(pnl: Float64Array2D, rows: LegRows) -> tuple[Float64Array2D, Float64Array2D]:
    """Return what `engine.kernels.tail.aggregate_rows` describes, inputs checked."""
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
    tiles: Float64Array3D,
    rows: LegRows,
    tail: Int32Array2D,
    n_tail: Float64Array1D,
    choice: tuple[bool, BoolArray1D],
) -> Float64Array1D:
    """Return what `engine.kernels.tail.tail_contributions` describes, inputs checked.

    ``choice`` says whether tails go by leg, and which leg roles count.
    """
    contribution = np.zeros(rows.n_positions)
    _contributions(
        tiles,
        (rows.group_ptr, rows.leg_ptr, rows.leg_role, rows.index, rows.weight),
        np.ascontiguousarray(tail),
        n_tail,
        choice,
        contribution,
    )
    return contribution


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
        word, lane = ir.IntType(64), ir.VectorType(ir.DoubleType(), _LANES)
        n_vectors = _WIDTH // _LANES
        zero = ir.Constant(lane, [0.0] * _LANES)
        undefined = ir.Constant(lane, ir.Undefined)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)

        before = builder.block
        body = builder.append_basic_block("positions")
        after = builder.append_basic_block("stored")
        builder.cbranch(builder.icmp_signed("<", arguments[3], arguments[4]), body, after)

        builder.position_at_end(body)
        position = builder.phi(word)
        sums = [builder.phi(lane) for _ in range(n_vectors)]
        row = builder.sext(builder.load(builder.gep(data[1], [position])), word)
        factor = builder.load(builder.gep(data[2], [position]))
        factor = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
        factor = builder.shuffle_vector(factor, undefined, spread)
        first = builder.gep(data[0], [builder.mul(row, ir.Constant(word, _WIDTH))])
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
            builder.store(result, _lane_pointer(builder, data[3], i, lane)).align = 8
        return context.get_dummy_value()

    return types.void(tile, index, weight, start, stop, total), generate


@intrinsic
def _below(typing_context, total, limit):  # type: ignore[no-untyped-def]
    """Return 64 bits, bit s set where ``total[s] < limit``."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lane = ir.VectorType(ir.DoubleType(), _LANES)
        word, small = ir.IntType(64), ir.IntType(_LANES)
        undefined = ir.Constant(lane, ir.Undefined)
        spread = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
        limits = builder.insert_element(undefined, arguments[1], ir.Constant(ir.IntType(32), 0))
        limits = builder.shuffle_vector(limits, undefined, spread)
        bits = ir.Constant(word, 0)
        for i in range(_WIDTH // _LANES):
            hit = builder.fcmp_ordered("<", _load(builder, data, i, lane), limits)
            byte = builder.zext(builder.bitcast(hit, small), word)
            bits = builder.or_(bits, builder.shl(byte, ir.Constant(word, i * _LANES)))
        return bits

    return types.uint64(total, types.float64), generate


@intrinsic
def _lowest_bit(typing_context, bits):  # type: ignore[no-untyped-def]
    """Return the number of the lowest bit that is set."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


def _lane_pointer(builder: Any, data: Any, i: int, lane: Any) -> Any:
    offset = ir.Constant(ir.IntType(64), i * _LANES)
    return builder.bitcast(builder.gep(data, [offset]), lane.as_pointer())


def _load(builder: Any, data: Any, i: int, lane: Any) -> Any:
    loaded = builder.load(_lane_pointer(builder, data, i, lane))
    # Arrays that travelled between processes may have lost their alignment.
    loaded.align = 8
    return loaded


@_compiled
def _nested(tiled, csr, groups, n_tail, worst, shortfalls, tails):  # type: ignore[no-untyped-def]
    tiles, n_scenarios = tiled
    for t in range(tiles.shape[0]):
        columns = (t * _WIDTH, min(_WIDTH, n_scenarios - t * _WIDTH))
        _pass_tile(tiles[t], columns, csr, groups, n_tail, worst, tails)
    group_ptr, leg_role = csr[0], csr[2]
    leg_worst, group_worst, pledged_worst = worst
    leg_shortfall, group_shortfall, group_wrong_way = shortfalls
    leg_tail, group_tail, wrong_way_tail = tails
    first_leg = group_ptr[groups[0]]
    for group in range(groups[0], groups[1]):
        n_netted, n_pledged = _count_roles(leg_role, group_ptr[group], group_ptr[group + 1])
        i = group - groups[0]
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            leg_shortfall[leg] = _mean_loss(leg_worst[leg - first_leg], n_tail[group])
            if n_netted == 1 and leg_role[leg] == _NETTED:
                group_shortfall[group] = leg_shortfall[leg]
                group_tail[group] = leg_tail[leg]
        if n_netted > 1:
            group_shortfall[group] = _mean_loss(group_worst[i], n_tail[group])
        if n_pledged > 0:
            group_wrong_way[group] = _mean_loss(pledged_worst[i], n_tail[group])
        else:
            group_wrong_way[group] = group_shortfall[group]
            wrong_way_tail[group] = group_tail[group]


@_compiled
def _pass_tile(tile, columns, csr, groups, n_tail, worst, tails):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    leg_worst, group_worst, pledged_worst = worst
    leg_tail, group_tail, wrong_way_tail = tails
    leg_sum = np.empty(_WIDTH)
    total = np.empty(_WIDTH)
    pledged = np.empty(_WIDTH)
    first_leg = group_ptr[groups[0]]
    for group in range(groups[0], groups[1]):
        n_worst = int(np.ceil(n_tail[group]))
        i = group - groups[0]
        n_netted, n_pledged = _count_roles(leg_role, group_ptr[group], group_ptr[group + 1])
        total[:] = 0.0
        pledged[:] = 0.0
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            _sum_rows(tile, index, weight, leg_ptr[leg], leg_ptr[leg + 1], leg_sum)
            _admit(leg_sum, columns, n_worst, leg_worst[leg - first_leg], leg_tail[leg])
            if leg_role[leg] == _NETTED and n_netted + n_pledged > 1:
                _add(total, leg_sum)
            elif leg_role[leg] == _COLLATERAL:
                _add(pledged, leg_sum)
        if n_netted > 1:
            _admit(total, columns, n_worst, group_worst[i], group_tail[group])
        if n_pledged > 0:
            _add(total, pledged)
            _admit(total, columns, n_worst, pledged_worst[i], wrong_way_tail[group])


@_compiled
def _count_roles(leg_role, first_leg, stop_leg):  # type: ignore[no-untyped-def]
    n_netted = 0
    n_pledged = 0
    for leg in range(first_leg, stop_leg):
        n_netted += leg_role[leg] == _NETTED
        n_pledged += leg_role[leg] == _COLLATERAL
    return n_netted, n_pledged


@_compiled
def _add(total, summand):  # type: ignore[no-untyped-def]
    for s in range(_WIDTH):
        total[s] += summand[s]


@_compiled
def _admit(outcomes, columns, n_worst, worst, scenarios):  # type: ignore[no-untyped-def]
    """Let the outcomes of one tile into the sorted list of the ``n_worst`` smallest so far."""
    start, n_columns = columns
    n_found = min(start, n_worst)
    first = min(n_worst - n_found, n_columns)
    for s in range(first):
        _insert(outcomes[s], start + s, n_found + s, worst, scenarios)
    if first == n_columns:
        return
    last = n_worst - 1
    bits = _below(outcomes, worst[last])
    bits &= (_ALL_BITS >> np.uint64(_WIDTH - n_columns)) & (_ALL_BITS << np.uint64(first))
    while bits != 0:
        s = _lowest_bit(bits)
        bits &= bits - np.uint64(1)
        if outcomes[s] < worst[last]:
            _insert(outcomes[s], start + s, last, worst, scenarios)


@_compiled
def _insert(outcome, scenario, place, worst, scenarios):  # type: ignore[no-untyped-def]
    # A later scenario goes behind equal outcomes, so ties keep the lowest number first.
    while place > 0 and outcome < worst[place - 1]:
        worst[place] = worst[place - 1]
        scenarios[place] = scenarios[place - 1]
        place -= 1
    worst[place] = outcome
    scenarios[place] = scenario


@_compiled
def _mean_loss(worst, n_tail):  # type: ignore[no-untyped-def]
    n_whole = int(np.floor(n_tail))
    loss = 0.0
    for rank in range(n_whole):
        loss -= worst[rank]
    if n_tail > n_whole:
        loss -= (n_tail - n_whole) * worst[n_whole]
    return loss / n_tail


@_compiled
def _fill(pnl, tiles, is_finite, first_row):  # type: ignore[no-untyped-def]
    n_scenarios = pnl.shape[1]
    for row in range(pnl.shape[0]):
        not_finite = 0
        for t in range(tiles.shape[0]):
            tile_row = tiles[t, first_row + row]
            n_columns = min(_WIDTH, n_scenarios - t * _WIDTH)
            source = pnl[row, t * _WIDTH : t * _WIDTH + n_columns]
            for s in range(n_columns):
                tile_row[s] = source[s]
                not_finite += not abs(source[s]) < np.inf
            for s in range(n_columns, _WIDTH):
                tile_row[s] = 0.0
        is_finite[first_row + row] = not_finite == 0


@_compiled
def _aggregate(pnl, csr, leg_pnl, group_pnl):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    for group in range(group_ptr.size - 1):
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                row, factor = pnl[index[position]], weight[position]
                for s in range(row.size):
                    leg_pnl[leg, s] += factor * row[s]
            if leg_role[leg] == _NETTED:
                for s in range(pnl.shape[1]):
                    group_pnl[group, s] += leg_pnl[leg, s]


@_compiled
def _contributions(tiles, csr, tail, n_tail, choice, contribution):  # type: ignore[no-untyped-def]
    group_ptr, leg_ptr, leg_role, index, weight = csr
    per_leg, counted = choice
    width = tiles.shape[2]
    for group in range(group_ptr.size - 1):
        n_whole = int(np.floor(n_tail[group]))
        fraction = n_tail[group] - n_whole
        n_worst = n_whole + (fraction > 0.0)
        for leg in range(group_ptr[group], group_ptr[group + 1]):
            scenarios = tail[leg] if per_leg else tail[group]
            if not counted[leg_role[leg]] or scenarios[0] < 0:
                continue
            for position in range(leg_ptr[leg], leg_ptr[leg + 1]):
                row, factor = index[position], weight[position]
                loss = 0.0
                for rank in range(n_worst):
                    s = scenarios[rank]
                    outcome = factor * tiles[s // width, row, s % width]
                    loss -= outcome if rank < n_whole else fraction * outcome
                contribution[position] = loss / n_tail[group]

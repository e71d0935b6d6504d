"""The loops of price acceptance, compiled; called as plain Python they do the same.

Each takes the arrays of the table, those of the state and those of the limits as tuples, in the
order of the named tuples below.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, Int64Array2D

_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


class TableArrays(NamedTuple):
    """Of ``AcceptanceTable``."""

    asset: Int64Array1D
    source: Int64Array1D
    quote: Int64Array1D
    is_option: BoolArray1D
    at_least: Float64Array1D
    at_most: Float64Array1D
    anchor: Float64Array1D
    start_level: Float64Array1D
    candidate_ptr: Int64Array1D
    candidate_row: Int64Array1D
    candidate_source: Int64Array1D
    candidate_anchor: Float64Array1D
    band: Float64Array1D


class StateArrays(NamedTuple):
    """Of ``PriceState``."""

    price: Float64Array1D
    iv: Float64Array1D
    forward: Float64Array1D
    stamp_ns: Int64Array1D
    received_ns: Int64Array1D
    changed_ns: Int64Array1D
    pending_ns: Int64Array1D
    pending_price: Float64Array1D
    mark: Float64Array1D
    mark_iv: Float64Array1D
    mark_forward: Float64Array1D
    standing: Int64Array1D
    doubt: Float64Array1D
    level: Float64Array1D
    low: Float64Array1D
    high: Float64Array1D
    n_sources: Int64Array1D
    is_outlier: BoolArray1D
    n_verdicts: Int64Array2D


class LimitArrays(NamedTuple):
    """Of ``AcceptanceParameters``, in nanoseconds and fractions."""

    n_sources_min: int
    jump_max: float
    volatility_jump_max: float
    volatility_max: float
    confirm_ns: int
    age_ns: int
    frozen_ns: int
    ahead_ns: int


class TickArrays(NamedTuple):
    """Of ``Ticks``."""

    row: Int64Array1D
    price: Float64Array1D
    iv: Float64Array1D
    forward: Float64Array1D
    stamp_ns: Int64Array1D
    ahead_ns: Int64Array1D
    received_ns: int


@_compiled
def take_ticks(
    table: TableArrays, state: StateArrays, limits: LimitArrays, ticks: TickArrays
) -> Int64Array1D:
    """Take what can be a price as the candidate of its row; return a verdict each."""
    verdict = np.zeros(ticks.row.size, dtype=np.int64)
    for k in range(ticks.row.size):
        row = ticks.row[k]
        if row < 0:
            verdict[k] = 6
            continue
        price, iv, forward = ticks.price[k], ticks.iv[k], ticks.forward[k]
        stamp = ticks.stamp_ns[k]
        found = _verdict(table, state, limits, row, price, iv, forward, stamp, ticks.ahead_ns[k])
        verdict[k] = found
        state.n_verdicts[table.source[row], found] += 1
        if found != 0:
            continue
        same = price == state.price[row]
        if not np.isnan(iv):
            same = same and iv == state.iv[row]
            state.iv[row] = iv
        if not np.isnan(forward):
            same = same and forward == state.forward[row]
            state.forward[row] = forward
        if not same or state.received_ns[row] < 0:
            state.changed_ns[row] = ticks.received_ns
        state.price[row] = price
        state.stamp_ns[row] = max(stamp, state.stamp_ns[row])
        state.received_ns[row] = ticks.received_ns
    return verdict


@_compiled
def _verdict(
    table: TableArrays,
    state: StateArrays,
    limits: LimitArrays,
    row: int,
    price: float,
    iv: float,
    forward: float,
    stamp: int,
    ahead_ns: int,
) -> int:
    if not (np.isfinite(price) and not np.isinf(iv) and not np.isinf(forward)):
        return 1
    if not table.at_least[row] <= price <= table.at_most[row]:
        return 2
    if table.is_option[row] and (iv <= 0.0 or iv > limits.volatility_max or forward <= 0.0):
        return 2
    if ahead_ns > limits.ahead_ns:
        return 5
    if 0 <= stamp < state.stamp_ns[row]:
        return 3
    return 4 if stamp >= 0 and stamp == state.stamp_ns[row] else 0


@_compiled
def is_fresh(state: StateArrays, limits: LimitArrays, row: int, now_ns: int) -> bool:
    """Return whether a row's candidate is young, and has not repeated itself for too long."""
    return bool(
        now_ns - state.received_ns[row] <= limits.age_ns
        and now_ns - state.changed_ns[row] <= limits.frozen_ns
    )


@_compiled
def settle_levels(
    table: TableArrays,
    state: StateArrays,
    limits: LimitArrays,
    assets: Int64Array1D,
    now_ns: int,
) -> BoolArray1D:
    """Set the price of assets from their fresh sources; return which moved."""
    moved = np.zeros(assets.size, dtype=np.bool_)
    found = np.empty(table.candidate_row.size, dtype=np.float64)
    place = np.empty(table.candidate_row.size, dtype=np.int64)
    for k in range(assets.size):
        asset = assets[k]
        n, last = 0, -1
        for c in range(table.candidate_ptr[asset], table.candidate_ptr[asset + 1]):
            row = table.candidate_row[c]
            state.is_outlier[c] = False
            if table.candidate_source[c] == last or not is_fresh(state, limits, row, now_ns):
                continue
            # The best evidence of each source speaks for it.
            last = table.candidate_source[c]
            quote = table.quote[row]
            rate = 1.0 if quote < 0 else state.level[quote] / table.start_level[quote]
            value = state.price[row] / table.candidate_anchor[c] * rate
            if np.isfinite(value) and value > 0.0:
                found[n], place[n] = value, c
                n += 1
        before = (state.level[asset], state.low[asset], state.high[asset])
        state.n_sources[asset] = n
        if n >= limits.n_sources_min:
            ordered = np.sort(found[:n])
            median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
            state.level[asset] = state.low[asset] = state.high[asset] = median
            for j in range(n):
                state.is_outlier[place[j]] = abs(found[j] / median - 1.0) > table.band[asset]
        elif n > 0:
            state.low[asset], state.high[asset] = found[:n].min(), found[:n].max()
            _believe(state, limits, asset, now_ns)
        after = (state.level[asset], state.low[asset], state.high[asset])
        moved[k] = before != after
    return moved


@_compiled
def _believe(state: StateArrays, limits: LimitArrays, asset: int, now_ns: int) -> None:
    """Without a quorum: the last price is a candidate too, until the others have left it."""
    last = state.level[asset]
    if not np.isfinite(last):
        state.level[asset] = state.low[asset]
        return
    jump = max(abs(state.low[asset] / last - 1.0), abs(state.high[asset] / last - 1.0))
    if jump <= limits.jump_max:
        state.level[asset] = 0.5 * (state.low[asset] + state.high[asset])
        return
    # What jumped is believed row by row once it has lasted; until then both count.
    state.low[asset] = min(state.low[asset], last)
    state.high[asset] = max(state.high[asset], last)


@_compiled
def settle_rows(
    table: TableArrays, state: StateArrays, limits: LimitArrays, rows: Int64Array1D, now_ns: int
) -> BoolArray1D:
    """Set the marks that count of rows whose candidate or asset changed; return which moved."""
    moved = np.zeros(rows.size, dtype=np.bool_)
    for k in range(rows.size):
        row = rows[k]
        asset, quote = table.asset[row], table.quote[row]
        price, iv, forward = state.price[row], state.iv[row], state.forward[row]
        rate = 1.0 if quote < 0 else table.start_level[quote] / state.level[quote]
        expected = table.anchor[row] * state.level[asset] * rate
        spoken = forward if table.is_option[row] else price
        standing, doubt = 1, 0.0
        if state.n_sources[asset] >= limits.n_sources_min and np.isfinite(expected):
            low = expected * (1.0 - table.band[asset])
            high = expected * (1.0 + table.band[asset])
            if spoken < low or spoken > high:
                standing = 2
                doubt = abs(spoken / expected - 1.0)
                spoken = min(max(spoken, low), high)
        elif np.isfinite(spoken):
            standing, doubt = _waits(table, state, limits, row, spoken, now_ns)
        if table.is_option[row] and standing != 3:
            volatility = abs(iv / state.mark_iv[row] - 1.0)
            if volatility > limits.volatility_jump_max:
                standing, volatility_doubt = _lasts(state, limits, row, iv, now_ns)
                doubt = max(doubt, volatility * volatility_doubt)
            elif standing == 1:
                state.pending_ns[row] = -1
        state.standing[row], state.doubt[row] = standing, doubt
        if standing == 3:
            continue
        before = (state.mark[row], state.mark_iv[row], state.mark_forward[row])
        if table.is_option[row]:
            # An option whose forward is at the band is worth what its volatility says there.
            state.mark[row], state.mark_iv[row], state.mark_forward[row] = price, iv, spoken
        else:
            state.mark[row] = spoken
            state.mark_forward[row] = spoken if np.isfinite(forward) else forward
        after = (state.mark[row], state.mark_iv[row], state.mark_forward[row])
        moved[k] = before != after
    return moved


@_compiled
def _waits(
    table: TableArrays,
    state: StateArrays,
    limits: LimitArrays,
    row: int,
    spoken: float,
    now_ns: int,
) -> tuple[int, float]:
    """Return standing and doubt of a price without a quorum: a jump has to last."""
    last = state.mark_forward[row] if table.is_option[row] else state.mark[row]
    jump = abs(spoken / last - 1.0)
    if not jump > limits.jump_max:
        state.pending_ns[row] = -1
        return 1, 0.0
    standing, share = _lasts(state, limits, row, spoken, now_ns)
    return standing, jump * share


@_compiled
def _lasts(
    state: StateArrays, limits: LimitArrays, row: int, value: float, now_ns: int
) -> tuple[int, float]:
    """Return (as given, no doubt) once a value has lasted, else (waiting, full doubt)."""
    pending = state.pending_price[row]
    is_same = state.pending_ns[row] >= 0 and abs(value / pending - 1.0) <= limits.jump_max
    if not is_same:
        state.pending_ns[row], state.pending_price[row] = now_ns, value
    elif now_ns - state.pending_ns[row] >= limits.confirm_ns:
        state.pending_ns[row] = -1
        return 1, 0.0
    return 3, 1.0

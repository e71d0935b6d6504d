"""Drawing many instruments at once, by weight and under conditions."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D


def draw(rng: np.random.Generator, weight: Float64Array1D, n: int) -> Int64Array1D:
    """Return ``n`` positions drawn by ``weight``: never negative, somewhere above zero."""
    cumulative = weight.cumsum()
    drawn = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return _never_weightless(drawn, weight)


def draw_within(
    rng: np.random.Generator,
    weight: Float64Array1D,
    group: Int64Array1D,
    wanted: Int64Array1D,
) -> Int64Array1D:
    """Return for each wanted group one of its positions by weight, or -1 where it has none.

    Parameters
    ----------
    rng : numpy.random.Generator
    weight : Float64Array1D, shape (n_positions,)
        Not negative.
    group : Int64Array1D, shape (n_positions,)
        Group of each position, from zero.
    wanted : Int64Array1D, shape (n_draws,)
        Group wanted by each draw.
    """
    n_groups = int(max(group.max(initial=-1), wanted.max(initial=-1))) + 1
    order = np.argsort(group, kind="stable")
    cumulative = weight[order].cumsum()
    ends = np.searchsorted(group[order], np.arange(n_groups), side="right")
    totals = np.concatenate([[0.0], cumulative])[ends]
    starts = np.concatenate([[0.0], totals[:-1]])
    low, high = starts[wanted], totals[wanted]
    target = low + rng.random(len(wanted)) * (high - low)
    place = np.searchsorted(cumulative, target, side="right")
    place = np.minimum(place, np.maximum(ends[wanted] - 1, 0))
    found = order[place] if len(order) else np.zeros(len(wanted), dtype=np.int64)
    empty = high - low <= 0.0
    result: Int64Array1D = np.where(empty, -1, found)
    return result


def shares(rng: np.random.Generator, owner: Int64Array1D, spread: float) -> Float64Array1D:
    """Return lognormal shares that sum to one within each owner; owners are codes from zero."""
    raw = rng.lognormal(0.0, spread, len(owner))
    total = np.bincount(owner, weights=raw)
    result: Float64Array1D = raw / total[owner]
    return result


def _never_weightless(drawn: Int64Array1D, weight: Float64Array1D) -> Int64Array1D:
    # Rounding at the top end may point one past the last position that has any weight.
    last = int(np.flatnonzero(weight)[-1])
    result: Int64Array1D = np.minimum(drawn, last)
    return result

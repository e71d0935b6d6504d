"""The hidden regime of the market: calm, stressed or crash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D


class Regime(IntEnum):
    """State of the Markov chain on one day."""

    CALM = 0
    STRESSED = 1
    CRASH = 2


# Daily transition probabilities, rows from, columns to. Calm lasts 67 days on average, stress 15,
# a crash 1.4; the chain spends about 1 % of days in a crash. BTC lost over 8 % on 25 of 1,931 days.
TRANSITION = np.array([[0.985, 0.0135, 0.0015], [0.045, 0.935, 0.020], [0.000, 0.700, 0.300]])
VOLATILITY_MULTIPLIER = np.array([0.80, 1.45, 2.00])
DEGREES_OF_FREEDOM = np.array([5.0, 4.5, 4.0])
# Share of what is not market variance that turns into market variance: diversification goes
# when it is needed (mean pair correlation of 0.54 in quiet and 0.67 in loud days of 2020 to 2025).
CORRELATION_PULL = np.array([0.00, 0.25, 0.80])

# Crash days that every world has, as days before the last business date, with the market's jump.
PLANTED_CRASHES: tuple[tuple[int, float], ...] = (
    (1320, -0.11),
    (980, -0.14),
    (705, -0.10),
    (410, -0.17),
    (175, -0.12),
)
QUIET_DAYS_BEFORE_END = 30
"""No crash falls into these days: the close that people look at first is an ordinary one."""
STRESSED_DAYS_AFTER_CRASH = 8


@dataclass(frozen=True, slots=True, eq=False)
class RegimePath:
    """Regime and market jump of each day.

    Attributes
    ----------
    regime : Int64Array1D, shape (n_days,)
        ``Regime`` of each day.
    jump : Float64Array1D, shape (n_days,)
        Log return of the market's jump, zero outside a crash and its rebound. [-]
    """

    regime: Int64Array1D
    jump: Float64Array1D


def simulate_regimes(n_days: int, rng: np.random.Generator) -> RegimePath:
    """Return a path of the chain with the planted crashes laid over it."""
    cumulative = TRANSITION.cumsum(axis=1)
    uniforms = rng.random(n_days)
    regime = np.zeros(n_days, dtype=np.int64)
    for day in range(1, n_days):
        regime[day] = int(np.searchsorted(cumulative[regime[day - 1]], uniforms[day]))
    for days_before_end, _ in PLANTED_CRASHES:
        day = n_days - 1 - days_before_end
        if day >= 1:
            after = slice(day + 1, day + 1 + STRESSED_DAYS_AFTER_CRASH)
            regime[after] = np.maximum(regime[after], Regime.STRESSED)
            regime[day] = Regime.CRASH
    quiet = regime[-QUIET_DAYS_BEFORE_END:]
    quiet[quiet == Regime.CRASH] = Regime.STRESSED
    return RegimePath(regime=regime, jump=_jumps(regime, rng))


def _jumps(regime: Int64Array1D, rng: np.random.Generator) -> Float64Array1D:
    n_days = len(regime)
    drawn = -np.minimum(0.035 + rng.gamma(1.5, 0.030, n_days), 0.20)
    # A chain of crash days is one event told over several days: later days fall less.
    later = np.zeros(n_days, dtype=np.bool_)
    later[1:] = (regime[1:] == Regime.CRASH) & (regime[:-1] == Regime.CRASH)
    jump = np.where(regime == Regime.CRASH, np.where(later, 0.5 * drawn, drawn), 0.0)
    for days_before_end, size in PLANTED_CRASHES:
        day = n_days - 1 - days_before_end
        if day >= 1:
            jump[day] = size
    rebound = np.zeros(n_days)
    rebound[1:] = np.where(regime[1:] != Regime.CRASH, -0.25 * jump[:-1], 0.0)
    path: Float64Array1D = jump + rebound
    return path

"""Daily index history: regime-switching jumps and correlated Student-t factors.

With day t, asset i, regime s and independent standardised Student-t variables M (market), A
(sector) and e (own)::

    r[t,i] = mu[t,i] + v[i] m[t] (l M[t] + a A[t] + sqrt(1 - l^2 - a^2) e[t,i])
             + b[i] J[t] + K[t,i]
    m[t]   = multiplier(s[t]) exp(x[t]),   x[t] = 0.95 x[t-1] + 0.07 z[t] - 0.02 y[t-1]

M and A share one chi-square, so they are extreme together; l and a depend on the regime. J is the
market's jump (``regimes.py``), K an asset's own jump, y the first asset's bracket above (the
leverage effect), and mu is a drift, constant between anchors, that bridges the path through
levels at the quarters of its life, the last of which is the end price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from infra.simulator.world.assets import AssetProfile
from infra.simulator.world.regimes import (
    CORRELATION_PULL,
    DEGREES_OF_FREEDOM,
    VOLATILITY_MULTIPLIER,
    Regime,
    simulate_regimes,
)

YEAR_DAYS = 365.0
REFERENCE_DAYS = 1461
"""Days between start and end price of an asset's profile."""
OWN_JUMPS_PER_YEAR = 1.2
END_PRICE_SPREAD = 0.03
N_ANCHORS = 5
ANCHOR_SPREAD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Index history; two-dimensional arrays are (n_days, n_assets), NaN before the listing.

    Attributes
    ----------
    assets : tuple of str
    dates : numpy.ndarray of datetime64[D], shape (n_days,)
    regime : Int64Array1D, shape (n_days,)
    log_return : Float64Array2D
        Close to close, on all days, also those before the listing. [-]
    daily_volatility : Float64Array2D
        Conditional volatility of the diffusive part. [-]
    open, high, low, close : Float64Array2D
        [USD]
    volume_usd : Float64Array2D
        [USD]
    """

    assets: tuple[str, ...]
    dates: np.ndarray
    regime: Int64Array1D
    log_return: Float64Array2D
    daily_volatility: Float64Array2D
    open: Float64Array2D
    high: Float64Array2D
    low: Float64Array2D
    close: Float64Array2D
    volume_usd: Float64Array2D


def simulate_history(
    profiles: Sequence[AssetProfile], dates: np.ndarray, rng: np.random.Generator
) -> History:
    """Return a history of ``profiles`` over ``dates`` (ascending, daily)."""
    n_days, n_assets = len(dates), len(profiles)
    path = simulate_regimes(n_days, rng)
    beta = np.array([p.crash_beta for p in profiles])
    scatter = rng.lognormal(0.0, 0.12, (n_days, n_assets))
    jump = path.jump[:, None] * beta * scatter + _own_jumps(n_days, n_assets, rng)
    shock = _factor_shocks(profiles, path.regime, rng)
    state = _volatility_state(shock[:, 0], path.regime, rng)
    base = np.array([p.volatility for p in profiles]) / np.sqrt(YEAR_DAYS)
    volatility = np.ascontiguousarray(state[:, None] * base)
    free = volatility * shock + jump
    levels, log_return = _bridged(profiles, free, rng)
    opened, high, low, close = _bars(profiles, levels, volatility, path.jump, rng)
    listed = _listed(profiles, n_days)
    turnover = _turnover(profiles, log_return, volatility, rng)
    return History(
        assets=tuple(p.asset for p in profiles),
        dates=dates,
        regime=path.regime,
        log_return=log_return,
        daily_volatility=volatility,
        open=np.where(listed, opened, np.nan),
        high=np.where(listed, high, np.nan),
        low=np.where(listed, low, np.nan),
        close=np.where(listed, close, np.nan),
        volume_usd=np.where(listed, turnover, np.nan),
    )


def loadings(profiles: Sequence[AssetProfile], regime: Regime) -> tuple[Float64Array1D, ...]:
    """Return the loadings on market, sector and own factor in ``regime``; squares sum to one."""
    market = np.array([p.market_loading for p in profiles]) ** 2
    sector = np.array([p.sector_loading for p in profiles]) ** 2
    pull = CORRELATION_PULL[regime]
    pulled_market = market + pull * (1.0 - market)
    pulled_sector = sector * (1.0 - pull)
    own = 1.0 - pulled_market - pulled_sector
    return np.sqrt(pulled_market), np.sqrt(pulled_sector), np.sqrt(own)


def _factor_shocks(
    profiles: Sequence[AssetProfile], regime: Int64Array1D, rng: np.random.Generator
) -> Float64Array2D:
    n_days, n_assets = len(regime), len(profiles)
    freedom = DEGREES_OF_FREEDOM[regime]
    # Dividing by the shared chi-square makes the factors Student-t with unit variance.
    joint = np.sqrt((freedom - 2.0) / rng.chisquare(freedom))
    market = rng.standard_normal(n_days) * joint
    sector = rng.standard_normal(n_days) * joint
    own_scale = np.sqrt(
        (freedom - 2.0)[:, None] / rng.chisquare(freedom[:, None], (n_days, n_assets))
    )
    own = rng.standard_normal((n_days, n_assets)) * own_scale
    by_regime = [loadings(profiles, state) for state in Regime]
    parts = [np.stack([by_regime[state][k] for state in Regime])[regime] for k in range(3)]
    shocks: Float64Array2D = (
        parts[0] * market[:, None] + parts[1] * sector[:, None] + parts[2] * own
    )
    return shocks


def _volatility_state(
    leader: Float64Array1D, regime: Int64Array1D, rng: np.random.Generator
) -> Float64Array1D:
    noise = 0.07 * rng.standard_normal(len(regime))
    state = np.zeros(len(regime))
    for day in range(1, len(regime)):
        # The leader's shock is in units of its volatility: a bad day of two lifts by 4 %.
        state[day] = 0.95 * state[day - 1] + noise[day] - 0.02 * leader[day - 1]
    result: Float64Array1D = VOLATILITY_MULTIPLIER[regime] * np.exp(state)
    return result


def _own_jumps(n_days: int, n_assets: int, rng: np.random.Generator) -> Float64Array2D:
    happens = rng.random((n_days, n_assets)) < OWN_JUMPS_PER_YEAR / YEAR_DAYS
    size = rng.lognormal(np.log(0.10), 0.45, (n_days, n_assets))
    # News about a single coin is more often good: three up for one down.
    sign = np.where(rng.random((n_days, n_assets)) < 0.75, 1.0, -1.0)
    # The first asset moves the market by itself, so half the size is enough.
    size[:, 0] *= 0.5
    jumps: Float64Array2D = np.where(happens, np.minimum(size, 0.45) * sign, 0.0)
    jumps[-30:] = 0.0
    return jumps


def _bridged(
    profiles: Sequence[AssetProfile], free: Float64Array2D, rng: np.random.Generator
) -> tuple[Float64Array2D, Float64Array2D]:
    n_days = len(free)
    days = np.arange(n_days, dtype=np.float64)
    path = free.cumsum(axis=0)
    correction = np.empty_like(path)
    for i, profile in enumerate(profiles):
        life = min(profile.listed_days or REFERENCE_DAYS, REFERENCE_DAYS)
        share = np.linspace(0.0, 1.0, N_ANCHORS)
        trend = np.log(profile.start_price) + share * np.log(
            profile.end_price / profile.start_price
        )
        # Halfway levels stray from the trend as far as a year of calm trading would take them.
        stray = ANCHOR_SPREAD * profile.volatility * np.sqrt(life / REFERENCE_DAYS)
        spread = np.where(share == 0.0, 0.0, np.where(share == 1.0, END_PRICE_SPREAD, stray))
        level = trend + spread * rng.standard_normal(N_ANCHORS)
        at = (n_days - 1) - life * (1.0 - share)
        free_at = np.interp(at, days, path[:, i])
        correction[:, i] = np.interp(days, at, level - free_at)
    log_level = path + correction
    log_return = free.copy()
    log_return[1:] += np.diff(correction, axis=0)
    levels: Float64Array2D = np.exp(log_level)
    return levels, log_return


def _bars(
    profiles: Sequence[AssetProfile],
    close: Float64Array2D,
    volatility: Float64Array2D,
    market_jump: Float64Array1D,
    rng: np.random.Generator,
) -> tuple[Float64Array2D, ...]:
    opened = np.empty_like(close)
    opened[1:] = close[:-1]
    opened[0] = close[0]
    change = np.log(close / opened)
    variance = volatility**2
    # Extremes of a Brownian bridge from open to close, drawn from their exact law.
    up = rng.exponential(1.0, close.shape)
    down = rng.exponential(1.0, close.shape)
    top = 0.5 * (change + np.sqrt(change**2 + 2.0 * variance * up))
    bottom = 0.5 * (change - np.sqrt(change**2 + 2.0 * variance * down))
    # Liquidations overshoot: on a crash day the low lies below what diffusion reaches.
    bottom += 0.5 * np.minimum(market_jump, 0.0)[:, None] * rng.random(close.shape)
    bars = (opened, opened * np.exp(top), opened * np.exp(bottom), close)
    decimals = [p.price_decimals + 2 for p in profiles]
    rounded = [
        np.column_stack([np.round(bar[:, i], decimals[i]) for i in range(len(profiles))])
        for bar in bars
    ]
    high = np.maximum.reduce([rounded[0], rounded[1], rounded[3]])
    low = np.minimum.reduce([rounded[0], rounded[2], rounded[3]])
    return rounded[0], high, low, rounded[3]


def _listed(profiles: Sequence[AssetProfile], n_days: int) -> np.ndarray:
    first = np.array(
        [0 if p.listed_days is None else max(0, n_days - p.listed_days) for p in profiles]
    )
    return np.arange(n_days)[:, None] >= first


def _turnover(
    profiles: Sequence[AssetProfile],
    log_return: Float64Array2D,
    volatility: Float64Array2D,
    rng: np.random.Generator,
) -> Float64Array2D:
    n_days, n_assets = log_return.shape
    noise = np.zeros((n_days, n_assets))
    innovations = 0.18 * rng.standard_normal((n_days, n_assets))
    for day in range(1, n_days):
        noise[day] = 0.85 * noise[day - 1] + innovations[day]
    move = np.minimum(np.abs(log_return) / volatility, 6.0)
    usual = np.array([p.average_daily_volume_usd for p in profiles])
    growth = np.linspace(0.7, 1.0, n_days)[:, None]
    turnover: Float64Array2D = np.round(usual * growth * np.exp(noise) * (0.55 + 0.6 * move), 0)
    return turnover

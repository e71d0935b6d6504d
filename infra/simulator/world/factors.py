"""Volatility levels, basis, stablecoin pegs and the euro, driven by the index history.

Log volatility of asset i and basis b::

    ln v[t] = ln v[t-1] + 0.06 (ln target(s[t]) - ln v[t-1]) - q[t] - 2 min(q[t] + 0.05, 0)
              + 0.03 z[t]
    b[t]    = b[t-1] + 0.07 (target(s[t]) - b[t-1]) + 0.06 r[t] + 0.006 z[t]

with r the asset's log return and q the same in units of BTC's volatility: volatility jumps when
the index falls (BTC's rose by 0.44 in log on 2026-02-05, when BTC fell by 13.5 %; daily changes of
log volatility of 0.054 and a correlation of -0.63 with returns over 2026). A peg is an
Ornstein-Uhlenbeck deviation in basis points with a half-life of three days; on the planted day
USDC breaks its peg as it did on 2023-03-11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from infra.simulator.world.assets import AssetProfile
from infra.simulator.world.history import History

# Multipliers on the long-run level, and the basis that each regime pulls to, as a share of calm.
VOLATILITY_TARGET = np.array([0.90, 1.25, 1.70])
BASIS_TARGET = np.array([1.00, 0.55, -1.20])
LEVERAGE = 1.0
STABLECOIN_NOISE = {"USDT": 0.00018, "USDC": 0.00012}
STABLECOIN_MEAN = {"USDT": 1.0002, "USDC": 0.9999}
DEPEG_DAYS_BEFORE_END = 640
# Closes of USDC on the depeg day and the days after it, and the low of the first two.
DEPEG_CLOSES = (0.9350, 0.9760, 0.9940, 0.9985)
DEPEG_LOWS = (0.8800, 0.9340, 0.9740, 0.9930)
EUR_LEVEL = 1.16
EUR_VOLATILITY = 0.07


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Factors beside the index; rows are days.

    Attributes
    ----------
    implied_volatility : Float64Array2D, shape (n_days, n_assets)
        At-the-money implied volatility at 30 days. [-]
    basis : Float64Array2D, shape (n_days, n_assets)
        Basis of a future of three months. [1/year]
    stablecoins : dict of str to Float64Array2D, shape (n_days, 4)
        Open, high, low and close in USD.
    eur : Float64Array1D, shape (n_days,)
        USD per EUR; unchanged over weekends.
    """

    implied_volatility: Float64Array2D
    basis: Float64Array2D
    stablecoins: dict[str, Float64Array2D]
    eur: Float64Array1D


def simulate_factors(
    profiles: Sequence[AssetProfile], history: History, rng: np.random.Generator
) -> Factors:
    """Return the factors that belong to ``history``."""
    return Factors(
        implied_volatility=_implied_volatility(profiles, history, rng),
        basis=_basis(profiles, history, rng),
        stablecoins={coin: _peg(coin, history, rng) for coin in STABLECOIN_NOISE},
        eur=_euro(history, rng),
    )


def _implied_volatility(
    profiles: Sequence[AssetProfile], history: History, rng: np.random.Generator
) -> Float64Array2D:
    n_days, n_assets = history.log_return.shape
    level = np.log([p.implied_volatility for p in profiles])
    target = level + np.log(VOLATILITY_TARGET)[history.regime][:, None]
    # Two thirds of the noise is common: surfaces of all coins move together.
    common, own = rng.standard_normal((n_days, 1)), rng.standard_normal((n_days, n_assets))
    noise = 0.03 * (np.sqrt(2.0 / 3.0) * common + np.sqrt(1.0 / 3.0) * own)
    # A return counts in units of the first asset's volatility: a tenth is more for BTC than DOGE.
    scale = profiles[0].volatility / np.array([p.volatility for p in profiles])
    scaled = history.log_return * scale
    push = -LEVERAGE * scaled - 2.0 * np.minimum(scaled + 0.05, 0.0)
    path = np.empty((n_days, n_assets))
    path[0] = level
    for day in range(1, n_days):
        pull = 0.06 * (target[day] - path[day - 1])
        path[day] = path[day - 1] + pull + push[day] + noise[day]
    result: Float64Array2D = np.round(np.clip(np.exp(path), 0.15, 3.0), 6)
    return result


def _basis(
    profiles: Sequence[AssetProfile], history: History, rng: np.random.Generator
) -> Float64Array2D:
    n_days, n_assets = history.log_return.shape
    calm = np.array([p.basis for p in profiles])
    target = calm * BASIS_TARGET[history.regime][:, None]
    noise = 0.006 * rng.standard_normal((n_days, n_assets))
    path = np.empty((n_days, n_assets))
    path[0] = calm
    for day in range(1, n_days):
        pull = 0.07 * (target[day] - path[day - 1])
        path[day] = path[day - 1] + pull + 0.06 * history.log_return[day] + noise[day]
    np.clip(path, -0.35, 0.40, out=path)
    return path.round(6)


def _peg(coin: str, history: History, rng: np.random.Generator) -> Float64Array2D:
    n_days = len(history.dates)
    noise = STABLECOIN_NOISE[coin] * rng.standard_normal(n_days)
    # In a crash people flee to stablecoins or from them: the deviation widens threefold.
    noise *= np.array([1.0, 1.5, 3.0])[history.regime]
    deviation = np.zeros(n_days)
    for day in range(1, n_days):
        deviation[day] = 0.79 * deviation[day - 1] + noise[day]
    close = STABLECOIN_MEAN[coin] + deviation
    opened = np.concatenate([close[:1], close[:-1]])
    reach = STABLECOIN_NOISE[coin] * rng.exponential(1.0, (2, n_days))
    high = np.maximum(opened, close) + reach[0]
    low = np.minimum(opened, close) - reach[1]
    bars = np.column_stack([opened, high, low, close])
    start = n_days - 1 - DEPEG_DAYS_BEFORE_END
    if start >= 1:
        _break_peg(coin, bars, start)
    result: Float64Array2D = np.round(bars, 6).astype(np.float64)
    return result


def _break_peg(coin: str, bars: Float64Array2D, start: int) -> None:
    for k, (close, low) in enumerate(zip(DEPEG_CLOSES, DEPEG_LOWS, strict=True)):
        # The other coin takes what flees: a premium of a sixteenth of the discount.
        level, bottom = (close, low) if coin == "USDC" else (1.0 + (1.0 - close) / 16.0, 1.0)
        opened = bars[start + k - 1, 3]
        top = max(opened, level) + (0.0005 if coin == "USDC" else 0.002)
        bars[start + k] = (opened, top, min(opened, level, bottom), level)
    if start + len(DEPEG_CLOSES) < len(bars):
        following = start + len(DEPEG_CLOSES)
        bars[following, 0] = bars[following - 1, 3]
        bars[following, 1] = max(bars[following, 1], bars[following, 0])
        bars[following, 2] = min(bars[following, 2], bars[following, 0])


def _euro(history: History, rng: np.random.Generator) -> Float64Array1D:
    n_days = len(history.dates)
    weekday = (history.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    step = EUR_VOLATILITY / np.sqrt(260.0) * rng.standard_normal(n_days)
    step[weekday >= 5] = 0.0
    level = np.zeros(n_days)
    for day in range(1, n_days):
        # Closed on weekends: neither news nor the pull to the mean moves the rate.
        pull = 0.01 if weekday[day] < 5 else 0.0
        level[day] = (1.0 - pull) * level[day - 1] + step[day]
    rate: Float64Array1D = np.round(EUR_LEVEL * np.exp(level - level[-1]), 5)
    return rate

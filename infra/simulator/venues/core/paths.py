"""Seeded price paths: Brownian motion with jumps, scheduled moves, or a replay of bars."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd

STEP_SECONDS: Final = 1.0
_CHUNK_STEPS: Final = 4096
_YEAR_SECONDS: Final = 365.0 * 86_400.0
SIGNIFICANT_DIGITS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """What moves a price: annual log volatility and drift, jumps a year and their deviation.

    ``implied_volatility`` and ``basis`` [1/year] price the options and futures on it. ``bars`` are
    closing prices, ``bar_seconds`` apart, that replace the random path while they last.
    """

    asset: str
    price: Decimal
    volatility: float = 0.6
    drift: float = 0.0
    jumps_per_year: float = 12.0
    jump_deviation: float = 0.04
    implied_volatility: float = 0.6
    basis: float = 0.05
    bars: tuple[Decimal, ...] = ()
    bar_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Move:
    """A scheduled move: ``fraction`` (-0.3 is a crash by 30 %) over ``over_seconds``."""

    at_seconds: float
    fraction: float
    over_seconds: float = 0.0


def bars_of(frame: pd.DataFrame, asset: str) -> tuple[Decimal, ...]:
    """Return the closing prices of an asset in a frame with columns ``asset`` and ``close``.

    Rows are taken in order of the column ``ts_utc`` or ``date`` where there is one.

    Raises
    ------
    ValueError
        If there is no row of the asset, or a price is not above zero.
    """
    rows = frame[frame["asset"] == asset]
    stamps = [name for name in ("ts_utc", "date") if name in frame.columns]
    closes = rows.sort_values(stamps[:1])["close"] if stamps else rows["close"]
    if closes.empty or not (closes > 0).all():
        raise ValueError(f"{asset}: needs closing prices above 0, found {len(closes)} rows")
    return tuple(Decimal(repr(float(close))) for close in closes)


class PricePath:
    """The price of one underlying as a function of town seconds; the seed decides it whole."""

    def __init__(self, underlying: Underlying, seed: int, moves: Sequence[Move] = ()) -> None:
        self.underlying = underlying
        self._random = np.random.default_rng([seed, zlib.crc32(underlying.asset.encode())])
        self._moves = list(moves)
        self._chunk_start = 0
        self._base = 0.0
        self._chunk = self._draw(0.0)

    def price(self, elapsed_seconds: float) -> Decimal:
        """Return the price; asking about an earlier instant than before is an error."""
        log_price = math.log(float(self.underlying.price)) + shift(self._moves, elapsed_seconds)
        log_price += self._walk(elapsed_seconds)
        return Decimal(f"{math.exp(log_price):.{SIGNIFICANT_DIGITS}g}").normalize() + 0

    def add(self, move: Move) -> None:
        """Schedule a move on top of the path."""
        if move.fraction <= -1.0:
            raise ValueError(f"a price falls by less than 100 %, found {move.fraction}")
        self._moves.append(move)

    def set_price(self, wanted: Decimal, elapsed_seconds: float) -> None:
        """Shift the path so that it stands at ``wanted`` now and goes on from there."""
        ratio = float(wanted) / float(self.price(elapsed_seconds))
        self.add(Move(elapsed_seconds, ratio - 1.0))

    def _walk(self, elapsed_seconds: float) -> float:
        bars = self.underlying.bars
        if bars:
            return self._replayed(bars, elapsed_seconds)
        step = int(elapsed_seconds / STEP_SECONDS)
        if step < self._chunk_start:
            raise ValueError(f"{self.underlying.asset}: step {step} has passed")
        # Whole chunks in order, so that a price depends on the seed and the instant alone.
        while step >= self._chunk_start + _CHUNK_STEPS:
            self._chunk_start += _CHUNK_STEPS
            self._base = float(self._chunk[-1])
            self._chunk = self._draw(self._base)
        return float(self._chunk[step - self._chunk_start])

    def _replayed(self, bars: Sequence[Decimal], elapsed_seconds: float) -> float:
        position = min(elapsed_seconds / self.underlying.bar_seconds, len(bars) - 1.0)
        before = int(position)
        after = min(before + 1, len(bars) - 1)
        low, high = math.log(float(bars[before])), math.log(float(bars[after]))
        level = low + (high - low) * (position - before)
        return level - math.log(float(self.underlying.price))

    def _draw(self, base: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        u, years = self.underlying, STEP_SECONDS / _YEAR_SECONDS
        normal = self._random.standard_normal(_CHUNK_STEPS)
        jumps = self._random.poisson(u.jumps_per_year * years, _CHUNK_STEPS)
        sizes = self._random.standard_normal(_CHUNK_STEPS) * u.jump_deviation
        returns = (u.drift - 0.5 * u.volatility**2) * years
        steps = returns + u.volatility * math.sqrt(years) * normal + jumps * sizes
        path: np.ndarray[tuple[int], np.dtype[np.float64]] = base + np.cumsum(steps)
        return path


def shift(moves: Sequence[Move], elapsed_seconds: float) -> float:
    """Return how far scheduled moves have shifted the logarithm of a price."""
    total = 0.0
    for move in moves:
        passed = elapsed_seconds - move.at_seconds
        share = 1.0 if passed >= move.over_seconds else passed / (move.over_seconds or 1.0)
        total += math.log1p(move.fraction) * min(max(share, 0.0), 1.0) * (passed >= 0.0)
    return total

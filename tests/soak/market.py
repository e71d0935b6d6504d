"""The market that a soak plays in: what is listed, and every true price at every instant.

Prices are a closed form of the seed and of the seconds since the beginning, so that whoever sends
them and whoever checks what became of them need not speak to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

VENUES = ("binance", "bybit", "deribit", "okx")
"""Sources that are sent, each over a socket of its own."""
PERIODS = (37.0, 101.0, 277.0, 911.0)
AMPLITUDES = (0.0004, 0.0008, 0.0016, 0.0030)
NOISE = 2e-5
"""Half the width of the ticks of one instrument around its path. [-]"""
YEAR_SECONDS = 365.0 * 86_400.0


@dataclass(frozen=True, slots=True)
class Crash:
    """All underlyings fall together, stay there, and come back. Seconds since the beginning."""

    at: float
    depth: float
    fall: float = 4.0
    hold: float = 20.0
    rise: float = 20.0

    @property
    def end(self) -> float:
        """Return when prices are back. [s]"""
        return self.at + self.fall + self.hold + self.rise

    def shape(self, seconds: np.ndarray) -> np.ndarray:
        """Return how much of the fall counts at instants, 0 to 1."""
        down = np.clip((seconds - self.at) / self.fall, 0.0, 1.0)
        up = np.clip((seconds - self.at - self.fall - self.hold) / self.rise, 0.0, 1.0)
        return down - up


class Paths:
    """True prices of instruments: a row each of ``instrument_id``, sorted."""

    def __init__(
        self,
        instruments: pd.DataFrame,
        marks: pd.DataFrame,
        seed: int,
        crashes: Sequence[Crash] = (),
    ) -> None:
        listed = instruments.sort_values("instrument_id", ignore_index=True)
        priced = marks.set_index("instrument_id").reindex(listed["instrument_id"])
        self.instrument_id = [str(name) for name in listed["instrument_id"]]
        self.row_of = {name: row for row, name in enumerate(self.instrument_id)}
        self.venue = listed["venue"].astype(str).to_numpy()
        self.crashes = tuple(crashes)
        self.assets = sorted(set(listed["underlying"].astype(str)))
        rank = {name: row for row, name in enumerate(self.assets)}
        self._asset = np.array([rank[str(name)] for name in listed["underlying"]], dtype=np.int64)
        self.close_mark = priced["mark_price"].to_numpy(dtype=np.float64)
        self.close_iv = priced["mark_iv"].to_numpy(dtype=np.float64)
        self.close_forward = priced["forward_price"].to_numpy(dtype=np.float64)
        self._options = _Options.of(listed, priced)
        chance = np.random.default_rng([seed, 1])
        shape = (len(self.assets) + 1, len(PERIODS))
        self._phase = chance.uniform(0.0, 2 * np.pi, shape)
        self._period = np.array(PERIODS) * chance.uniform(0.8, 1.25, shape)
        self._tick = chance.uniform(0.0, 2 * np.pi, len(self.instrument_id))

    def add_crash(self, crash: Crash) -> None:
        """Let prices fall and come back at a time that has not come yet."""
        self.crashes = (*self.crashes, crash)

    def moves(self, seconds: np.ndarray) -> np.ndarray:
        """Return the log of underlyings' prices over those of the close, by instant and asset."""
        at = np.atleast_1d(np.asarray(seconds, dtype=np.float64))
        turns = 2 * np.pi * at[:, None, None] / self._period + self._phase
        waves = ((np.sin(turns) - np.sin(self._phase)) * np.array(AMPLITUDES)).sum(axis=2)
        falls = np.zeros(at.size)
        for crash in self.crashes:
            falls += np.log1p(-crash.depth) * crash.shape(at)
        found: np.ndarray = waves[:, 1:] + waves[:, :1] + falls[:, None]
        return found

    def prices(self, seconds: float, rows: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Return marks, volatilities and forwards of rows at one instant; NaN where it has none."""
        chosen = np.arange(len(self._asset)) if rows is None else rows
        factor = np.exp(self.moves(np.array([seconds]))[0][self._asset[chosen]])
        tick = 1.0 + NOISE * np.sin(977.0 * seconds + self._tick[chosen])
        mark = self.close_mark[chosen] * factor * tick
        forward = self.close_forward[chosen] * factor
        mark = self._options.revalued(mark, chosen, self, forward)
        return mark, self.close_iv[chosen], forward

    def row_array(self, instrument_id: str) -> np.ndarray:
        """Return the row of one instrument as an array."""
        return np.array([self.row_of[instrument_id]], dtype=np.int64)

    def range(self, since: float, until: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the greatest mark of every instrument between two instants."""
        n = max(int((until - since) / 0.5), 1) + 1
        instants = [since, until, *np.linspace(since, until, min(n, 400))]
        every = np.array([self.prices(at)[0] for at in instants])
        return every.min(axis=0), every.max(axis=0)


@dataclass(frozen=True, slots=True)
class _Options:
    """Options by row: a mark moves by what Black's formula says of the move of the forward."""

    is_option: np.ndarray
    is_call: np.ndarray
    in_coin: np.ndarray
    strike: np.ndarray
    years: np.ndarray

    @classmethod
    def of(cls, listed: pd.DataFrame, priced: pd.DataFrame) -> _Options:
        expiry = pd.to_datetime(listed["expiry_utc"], utc=True)
        observed = pd.to_datetime(priced["observed_utc"], utc=True).max()
        years = (expiry - observed).dt.total_seconds().to_numpy(dtype=np.float64) / YEAR_SECONDS
        return cls(
            is_option=(listed["kind"] == "option").to_numpy(),
            is_call=(listed["option_type"] == "call").to_numpy(),
            in_coin=(listed["payoff"] == "inverse").to_numpy(),
            strike=listed["strike"].to_numpy(dtype=np.float64),
            years=np.maximum(years, 1e-6),
        )

    def revalued(
        self, mark: np.ndarray, rows: np.ndarray, paths: Paths, forward: np.ndarray
    ) -> np.ndarray:
        """Return ``mark`` with those of options replaced; they stay above a least premium."""
        at = np.flatnonzero(self.is_option[rows])
        if not at.size:
            return mark
        row = rows[at]
        start, iv = paths.close_mark[row], paths.close_iv[row]
        before = self._value(row, paths.close_forward[row], iv)
        found = mark.copy()
        found[at] = np.maximum(start + self._value(row, forward[at], iv) - before, 0.05 * start)
        return found

    def _value(self, row: np.ndarray, forward: np.ndarray, iv: np.ndarray) -> np.ndarray:
        deviation = iv * np.sqrt(self.years[row])
        d1 = np.log(forward / self.strike[row]) / deviation + 0.5 * deviation
        sign = np.where(self.is_call[row], 1.0, -1.0)
        value = sign * (
            forward * ndtr(sign * d1) - self.strike[row] * ndtr(sign * (d1 - deviation))
        )
        found: np.ndarray = np.where(self.in_coin[row], value / forward, value)
        return found

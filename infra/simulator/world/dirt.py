"""Faults as real data has them, planted so that validation has something to find.

All lie at least 200 days before the last business date, except the spoilt marks that a test asks
for. A gap and a row without open, high and low are no faults: contracts accept both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

AGE_DAYS_MIN = 200
GAP_DAYS = 4
CLOSE_ONLY_DAYS = 90
_PRICES = ("open", "high", "low", "close")
_PREFERRED = {
    "gap": "LTC",
    "close_only": "AVAX",
    "nan": "ADA",
    "zero": "DOGE",
    "crossed": "ADA",
    "duplicate": "LINK",
}


@dataclass(frozen=True, slots=True, eq=False)
class Soiled:
    """A frame with planted faults, and how many rows its contract has to refuse."""

    frame: pd.DataFrame
    n_refused: int


def soil_price_history(frame: pd.DataFrame, rng: np.random.Generator) -> Soiled:
    """Return the history with a gap, close-only rows, and rows that must be refused.

    Refused are a row without a close, one with a price of zero, one whose high lies below its low,
    and two rows of the same day that differ: nobody can say which of them is right.
    """
    last = frame["date"].max()
    old = frame["date"] <= last - pd.Timedelta(days=AGE_DAYS_MIN)
    assets = sorted(set(frame.loc[old & (frame["market"] == "spot"), "asset"]) - {"USDT", "USDC"})
    chosen = {kind: name if name in assets else assets[-1] for kind, name in _PREFERRED.items()}
    soiled = frame.copy()

    def rows_of(kind: str) -> np.ndarray:
        return np.flatnonzero(old & (frame["asset"] == chosen[kind]).to_numpy())

    only = _stretch(rows_of("close_only"), CLOSE_ONLY_DAYS, rng)
    gap = _stretch(rows_of("gap"), GAP_DAYS, rng)
    # Away from the stretches and from each other, so that every fault is one row's own.
    taken = np.concatenate([only, gap])
    single = {}
    for kind in ("nan", "zero", "crossed", "duplicate"):
        single[kind] = int(rng.choice(np.setdiff1d(rows_of(kind)[10:], taken)))
        taken = np.append(taken, single[kind])
    prices = {name: frame[name].to_numpy(copy=True) for name in _PRICES}
    for name in ("open", "high", "low"):
        prices[name][only] = np.nan
    for name in _PRICES:
        prices[name][single["zero"]] = 0.0
    prices["close"][single["nan"]] = np.nan
    prices["high"][single["crossed"]] = 0.98 * prices["low"][single["crossed"]]
    volumes = {name: frame[name].to_numpy(copy=True) for name in ("volume", "volume_usd")}
    for values in volumes.values():
        values[only] = np.nan
    soiled = frame.assign(**prices, **volumes)
    twice = soiled.iloc[[single["duplicate"]]]
    conflicting = twice.assign(**{name: (1.07 * twice[name]).round(6) for name in _PRICES})
    kept = soiled[~np.isin(np.arange(len(soiled)), gap)]
    together = pd.concat([kept, conflicting])
    ordered = together.sort_values(["asset", "date"], kind="stable", ignore_index=True)
    return Soiled(frame=ordered, n_refused=5)


def soil_marks(
    marks: pd.DataFrame, held: np.ndarray, n: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the marks with those of ``n`` held instruments spoilt on the last date.

    The first becomes NaN, the second zero, the third negative, and so on.
    """
    last = marks["business_date"] == marks["business_date"].max()
    candidates = np.flatnonzero(
        last & marks["instrument_id"].isin(list(held)) & marks["settlement_price"].isna()
    )
    chosen = np.sort(rng.choice(candidates, size=min(n, len(candidates)), replace=False))
    spoilt = marks.copy()
    prices = spoilt["mark_price"].to_numpy(copy=True)
    for k, row in enumerate(chosen):
        prices[row] = (np.nan, 0.0, -prices[row])[k % 3]
    spoilt["mark_price"] = prices
    return spoilt


def _stretch(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    n = min(n, max(1, len(rows) // 10))
    start = int(rng.integers(10, max(11, len(rows) - n - 10)))
    return rows[start : start + n]

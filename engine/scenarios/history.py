"""Daily closes on an unbroken calendar, and the returns between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array2D
from engine.errors import ModelInputError


@dataclass(frozen=True, slots=True, eq=False)
class DailySeries:
    """One value a day and name on a calendar without holes; NaN where nothing was observed.

    Attributes
    ----------
    dates : numpy.ndarray, shape (n_days,), datetime64[D]
        Consecutive days; the last is the business date.
    names : tuple of str
        Asset of each column.
    values : Float64Array2D, shape (n_days, n_names)
        Observations. [unit of the source]
    """

    dates: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    names: tuple[str, ...]
    values: Float64Array2D


def daily_series(
    frame: pd.DataFrame, column: str, names: tuple[str, ...], last_day: date, n_days: int
) -> DailySeries:
    """Return ``column`` of (date, asset) rows as a dense matrix over the last ``n_days`` days.

    Raises
    ------
    ModelInputError
        If two rows share a (date, asset): the contract lets none through.
    """
    end = np.datetime64(last_day, "D")
    dates = np.arange(end - n_days + 1, end + 1)
    values = np.full((n_days, len(names)), np.nan)
    if len(frame):
        column_of = {name: position for position, name in enumerate(names)}
        day = frame["date"].to_numpy().astype("datetime64[D]")
        row = (day - dates[0]).astype(np.int64)
        col = frame["asset"].map(column_of).fillna(-1).to_numpy(dtype=np.int64)
        inside = (row >= 0) & (row < n_days) & (col >= 0)
        flat = row[inside] * len(names) + col[inside]
        if np.unique(flat).size != flat.size:
            raise ModelInputError(f"{column} has two rows for the same date and asset")
        values[row[inside], col[inside]] = frame[column].to_numpy(dtype=np.float64)[inside]
    return DailySeries(dates=dates, names=names, values=values)


def usd_closes(price_history: pd.DataFrame) -> pd.DataFrame:
    """Return (date, asset, close) with every close in USD.

    A close quoted in a stablecoin is worth what the stablecoin closed at on that day: its return
    then holds the coin's move and the peg's, and an instrument quoted in the stablecoin gets the
    peg's part back. Where the stablecoin has no close the quote stands as it is, which is also
    how rows without a ``quote`` are read.
    """
    rows = price_history[["date", "asset", "close"]]
    if "quote" not in price_history.columns:
        return rows
    pegs = rows.rename(columns={"asset": "quote", "close": "peg"})
    quoted = price_history["quote"].where(price_history["quote"] != price_history["asset"], "USD")
    keys = pd.DataFrame({"date": price_history["date"], "quote": quoted})
    peg = keys.merge(pegs, on=["date", "quote"], how="left")["peg"].fillna(1.0).to_numpy()
    return rows.assign(close=rows["close"].to_numpy() * peg)


@dataclass(frozen=True, slots=True, eq=False)
class DailyReturns:
    """Log returns; NaN on days without an observation or before the first one.

    The move over a gap stands on the first day after it, whole: spreading it would thin the tail.
    """

    values: Float64Array2D
    """Shape (n_days, n_names). [-]"""
    n_observed: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Own returns of each name."""


def log_returns(series: DailySeries) -> DailyReturns:
    """Return the log return of each day on which a value and an earlier value exist."""
    logs = np.log(series.values)
    last_seen = pd.DataFrame(logs).ffill().to_numpy()
    previous = np.full_like(logs, np.nan)
    previous[1:] = last_seen[:-1]
    values = logs - previous
    return DailyReturns(values=values, n_observed=np.isfinite(values).sum(axis=0))


def differences(series: DailySeries) -> DailyReturns:
    """Return the change since the last observation, as ``log_returns`` does for prices."""
    last_seen = pd.DataFrame(series.values).ffill().to_numpy()
    previous = np.full_like(series.values, np.nan)
    previous[1:] = last_seen[:-1]
    values = series.values - previous
    return DailyReturns(values=values, n_observed=np.isfinite(values).sum(axis=0))


def has_value_on_last_day(series: DailySeries) -> BoolArray1D:
    """Return for each name whether the business date itself has a value."""
    seen: BoolArray1D = np.isfinite(series.values[-1])
    return seen

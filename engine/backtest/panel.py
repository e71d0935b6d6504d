"""The whole history as matrices, from which any past close can be cut without looking ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.rules import HouseParameters
from engine.scenarios.history import (
    DailyReturns,
    DailySeries,
    daily_series,
    differences,
    log_returns,
    usd_closes,
)
from engine.scenarios.risk_factors import FactorHistory, history_days


@dataclass(frozen=True, slots=True, eq=False)
class StudyFrames:
    """What a back-test reads.

    Attributes
    ----------
    closes : pandas.DataFrame
        Contract ``price_history``: date, asset, close and, where known, quote, high and low.
    volatility, basis : pandas.DataFrame
        Contracts ``volatility_history`` and ``basis_history``; may be empty.
    pairs : pandas.DataFrame
        date, asset, spot, perpetual: closes of one venue at one instant; may be empty.
    """

    closes: pd.DataFrame
    volatility: pd.DataFrame
    basis: pd.DataFrame
    pairs: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Daily observations of all assets on consecutive days; NaN where nothing was observed.

    Attributes
    ----------
    assets : tuple of str
        Columns of all matrices, sorted.
    dates : numpy.ndarray, shape (n_days,), datetime64[D]
        Consecutive days.
    close, high, low : Float64Array2D, shape (n_days, n_assets)
        Prices in USD.
    returns : Float64Array2D
        Log returns of the closes; a move over a gap stands on the first day after it. [-]
    level, basis : Float64Array2D
        30-day volatility [1/sqrt(year)] and annual basis [1/year], as observed.
    level_changes, basis_changes : Float64Array2D
        Log changes of the former, changes of the latter.
    venue_spot, perpetual : Float64Array2D
        Closes of spot and perpetual of one venue at one instant. [quote currency]
    """

    assets: tuple[str, ...]
    dates: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    close: Float64Array2D
    high: Float64Array2D
    low: Float64Array2D
    returns: Float64Array2D
    level: Float64Array2D
    level_changes: Float64Array2D
    basis: Float64Array2D
    basis_changes: Float64Array2D
    venue_spot: Float64Array2D
    perpetual: Float64Array2D

    def row_of(self, business_date: date) -> int:
        """Return the row of a date; it may lie outside."""
        return int((np.datetime64(business_date, "D") - self.dates[0]).astype(np.int64))

    def column_of(self, asset: str) -> int:
        """Return the column of an asset.

        Raises
        ------
        ModelInputError
            If the panel does not hold it.
        """
        if asset not in self.assets:
            raise ModelInputError(f"{asset} is not in the history", identifier=asset)
        return self.assets.index(asset)


def panel_of(frames: StudyFrames, assets: tuple[str, ...]) -> Panel:
    """Return the history of ``assets`` from the first close of any of them to the last.

    Raises
    ------
    ModelInputError
        If there is no close, or two rows share a (date, asset).
    """
    names = tuple(sorted(set(assets)))
    held = frames.closes[frames.closes["asset"].isin(names)]
    if held.empty:
        raise ModelInputError(f"no close of {', '.join(names)}")
    last: date = held["date"].max().date()
    n_days = (last - held["date"].min().date()).days + 1
    in_usd = usd_closes(frames.closes)
    rate = in_usd["close"].to_numpy() / frames.closes["close"].to_numpy()

    def series(frame: pd.DataFrame, column: str) -> DailySeries:
        return daily_series(frame, column, names, last, n_days)

    def extreme(column: str) -> Float64Array2D:
        if column not in frames.closes.columns:
            return np.full((n_days, len(names)), np.nan)
        return series(in_usd.assign(**{column: frames.closes[column] * rate}), column).values

    close, level = series(in_usd, "close"), series(frames.volatility, "atm_iv_30d")
    basis = series(frames.basis, "annual_basis")
    return Panel(
        assets=names,
        dates=close.dates,
        close=close.values,
        high=extreme("high"),
        low=extreme("low"),
        returns=log_returns(close).values,
        level=level.values,
        level_changes=log_returns(level).values,
        basis=basis.values,
        basis_changes=differences(basis).values,
        venue_spot=series(frames.pairs, "spot").values,
        perpetual=series(frames.pairs, "perpetual").values,
    )


def history_at(panel: Panel, row: int, house: HouseParameters) -> FactorHistory:
    """Return what a close on the day of ``row`` would have been made from: nothing after it.

    The same numbers as the close itself reads: a window that begins inside a gap begins with the
    first observation in it, whose move from before the window is not seen.
    """
    n_days, n_moves = history_days(house)
    index = _within(panel.returns, panel.close, row, n_days)
    end = panel.dates[0] + np.timedelta64(row, "D")
    return FactorHistory(
        assets=panel.assets,
        dates=np.arange(end - n_days + 1, end + 1),
        index=DailyReturns(index, np.isfinite(index).sum(axis=0)),
        volatility_level=_within(panel.level_changes, panel.level, row, n_moves + 1)[1:],
        basis=_within(panel.basis_changes, panel.basis, row, n_moves + 1)[1:],
    )


def _within(
    moves: Float64Array2D, observed: Float64Array2D, row: int, n_rows: int
) -> Float64Array2D:
    """Return the last ``n_rows`` moves up to ``row``, without those from before the window."""
    first = row + 1 - n_rows
    cut = np.full((n_rows, moves.shape[1]), np.nan)
    cut[max(-first, 0) :] = moves[max(first, 0) : row + 1]
    if first > 0:
        seen = np.isfinite(observed[first : row + 1])
        cut[np.argmax(seen, axis=0), np.arange(moves.shape[1])] = np.nan
    return cut


def trailing_volatility(returns: Float64Array1D, n_days: int) -> Float64Array1D:
    """Return the root mean square of the last ``n_days`` returns, the day's own included.

    NaN where fewer than half of them were observed. [1/sqrt(day)]
    """
    seen = np.isfinite(returns)
    squares = np.concatenate([[0.0], np.cumsum(np.where(seen, returns, 0.0) ** 2)])
    counts = np.concatenate([[0], np.cumsum(seen)])
    end = np.arange(1, returns.size + 1)
    start = np.maximum(end - n_days, 0)
    n_seen: Int64Array1D = counts[end] - counts[start]
    mean = (squares[end] - squares[start]) / np.maximum(n_seen, 1)
    volatility: Float64Array1D = np.where(2 * n_seen >= n_days, np.sqrt(mean), np.nan)
    return volatility

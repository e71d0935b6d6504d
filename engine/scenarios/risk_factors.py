"""Daily moves of every risk factor, filtered to today's volatility, with stand-ins named.

Each asset has three factors: its index (log return), its volatility level (log change of the
30-day at-the-money volatility) and its annual basis (change). Stablecoins, currencies and
collateral coins are assets like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.rules import MPOR_DAYS_MAX, HouseParameters
from engine.scenarios.ewma import ewma_volatility, filtered_returns
from engine.scenarios.history import (
    DailyReturns,
    daily_series,
    differences,
    log_returns,
    usd_closes,
)
from engine.scenarios.pegs import floored_peg_moves, larger_moves, largest_peg_moves
from engine.snapshot import Snapshot

SCENARIOS_MIN = 250


@dataclass(frozen=True, slots=True)
class ProxyNote:
    """One stand-in: which factor, why, what stands in, and how much own history there was."""

    factor: str
    reason: str
    proxy: str
    n_history_days: int


@dataclass(frozen=True, slots=True, eq=False)
class FactorMoves:
    """One-day moves of all factors over the lookback, oldest first, without gaps.

    Attributes
    ----------
    assets : tuple of str
        Column names of all matrices.
    dates : numpy.ndarray, shape (n_days,), datetime64[D]
        The day of each move.
    index : Float64Array2D, shape (n_days, n_assets)
        Log returns, rescaled to today's volatility. [-]
    volatility_level : Float64Array2D, shape (n_days, n_assets)
        Log changes of the 30-day volatility, as observed. [-]
    basis : Float64Array2D, shape (n_days, n_assets)
        Changes of the annual basis, as observed. [1/year]
    daily_volatility : Float64Array1D, shape (n_assets,)
        Today's volatility of the index, after the long-run floor. [1/sqrt(day)]
    is_standalone : BoolArray1D, shape (n_assets,)
        Proxied whole: gets no offset against other underlyings.
    notes : tuple of ProxyNote
        Every stand-in used.
    """

    assets: tuple[str, ...]
    dates: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    index: Float64Array2D
    volatility_level: Float64Array2D
    basis: Float64Array2D
    daily_volatility: Float64Array1D
    is_standalone: BoolArray1D
    notes: tuple[ProxyNote, ...]


def factor_moves(
    snapshot: Snapshot, assets: tuple[str, ...], house: HouseParameters
) -> FactorMoves:
    """Return the filtered moves of ``assets`` over the lookback that ends on the business date.

    Raises
    ------
    ModelInputError
        If the proxy asset itself has fewer than 250 returns: nothing could stand in for it.
    """
    return moves_of(_factor_history(snapshot, assets, house), house)


@dataclass(frozen=True, slots=True, eq=False)
class FactorHistory:
    """What was observed of every factor up to one business date, in log returns and changes.

    Attributes
    ----------
    assets : tuple of str
        Column names of all matrices.
    dates : numpy.ndarray, shape (n_days,), datetime64[D]
        Consecutive days; the last is the business date.
    index : DailyReturns, shape (n_days, n_assets)
        Log returns of closes in USD; the long-run window or more. [-]
    volatility_level, basis : Float64Array2D, shape (n_rows, n_assets)
        Log changes of the 30-day volatility [-] and changes of the annual basis [1/year] of the
        last ``n_rows`` days, the lookback or more; NaN where nothing was observed.
    """

    assets: tuple[str, ...]
    dates: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    index: DailyReturns
    volatility_level: Float64Array2D
    basis: Float64Array2D


def history_days(house: HouseParameters) -> tuple[int, int]:
    """Return how many days of closes, and how many moves of every factor, a close looks at."""
    n_lookback = house.filter.lookback_days + MPOR_DAYS_MAX - 1
    return max(n_lookback, house.anti_procyclicality.long_run_days) + 1, n_lookback


@dataclass(frozen=True, slots=True, eq=False)
class IndexMoves:
    """The filtered moves of the indices, and what the other factors need of them.

    ``index`` and ``daily_volatility`` are those of ``FactorMoves``; ``returns`` are the moves
    before the filter [-], and ``volatility`` has a row for each day of the lookback and one for
    the day after it. [1/sqrt(day)]
    """

    index: Float64Array2D
    returns: Float64Array2D
    volatility: Float64Array2D
    daily_volatility: Float64Array1D
    is_standalone: BoolArray1D
    notes: tuple[ProxyNote, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FilledReturns:
    """The index's returns without gaps, and what else rests on them alone.

    ``values`` has a row for each day of the history [-], of which the last ``n_usable`` are the
    lookback; ``long_run`` is the volatility over the long-run window. [1/sqrt(day)]
    """

    n_usable: int
    values: Float64Array2D
    long_run: Float64Array1D
    is_standalone: BoolArray1D
    notes: tuple[ProxyNote, ...]


def filled_returns(history: FactorHistory, house: HouseParameters) -> FilledReturns:
    """Return the returns with every missing one filled; decay and ratios play no part.

    Raises
    ------
    ModelInputError
        If the proxy asset is absent or has fewer than 250 returns.
    """
    window = _window(history, house)
    returns, is_standalone, notes = _without_gaps(history.index, window, house)
    long_run = _long_run(history.index, house.anti_procyclicality.long_run_days)
    return FilledReturns(window.n_usable, returns, long_run, is_standalone, tuple(notes))


def index_moves(filled: FilledReturns, house: HouseParameters) -> IndexMoves:
    """Return the filtered index moves over the lookback that ends on the history's last day."""
    volatility = ewma_volatility(filled.values, decay=house.filter.decay)
    today = volatility[-1]
    if house.anti_procyclicality.long_run_floor:
        today = np.maximum(today, filled.long_run)
    returns = filled.values[-filled.n_usable :]
    volatility = volatility[-1 - filled.n_usable :]
    index = rescaled(returns, volatility, today, house)
    return IndexMoves(index, returns, volatility, today, filled.is_standalone, filled.notes)


def rescaled(
    returns: Float64Array2D,
    volatility: Float64Array2D,
    today: Float64Array1D,
    house: HouseParameters,
) -> Float64Array2D:
    """Return each day's returns brought from its volatility to ``today``, within the bounds."""
    return filtered_returns(
        returns,
        volatility[:-1],
        today,
        ratio_floor=house.filter.ratio_floor,
        ratio_cap=house.filter.ratio_cap,
    )


def moves_of(history: FactorHistory, house: HouseParameters) -> FactorMoves:
    """Return the filtered moves of all factors, as ``factor_moves`` does for a snapshot."""
    window = _window(history, house)
    found = index_moves(filled_returns(history, house), house)
    level, level_notes = _volatility_level(history, window, found.volatility, house)
    basis, basis_notes = _basis(history, window, found.index, house)
    return FactorMoves(
        assets=history.assets,
        dates=history.dates[-window.n_usable :],
        index=found.index,
        volatility_level=level,
        basis=basis,
        daily_volatility=found.daily_volatility,
        is_standalone=found.is_standalone,
        notes=(*found.notes, *level_notes, *basis_notes),
    )


def _factor_history(
    snapshot: Snapshot, assets: tuple[str, ...], house: HouseParameters
) -> FactorHistory:
    n_days, n_lookback = history_days(house)
    day = snapshot.business_date
    closes = daily_series(usd_closes(snapshot.price_history), "close", assets, day, n_days)
    levels = daily_series(snapshot.volatility_history, "atm_iv_30d", assets, day, n_lookback + 1)
    basis = daily_series(snapshot.basis_history, "annual_basis", assets, day, n_lookback + 1)
    return FactorHistory(
        assets=assets,
        dates=closes.dates,
        index=log_returns(closes),
        volatility_level=log_returns(levels).values[1:],
        basis=differences(basis).values[1:],
    )


def _window(history: FactorHistory, house: HouseParameters) -> _Window:
    if house.proxy.asset not in history.assets:
        raise ModelInputError(f"proxy asset {house.proxy.asset} is not among the assets")
    n_lookback = history_days(house)[1]
    column = history.assets.index(house.proxy.asset)
    n_usable = _usable_days(history.index, column, n_lookback, house)
    return _Window(n_usable, history.assets)


@dataclass(frozen=True, slots=True)
class _Window:
    n_usable: int
    assets: tuple[str, ...]


def _usable_days(
    own: DailyReturns, proxy_column: int, n_lookback: int, house: HouseParameters
) -> int:
    seen = np.isfinite(own.values[-n_lookback:, proxy_column])
    n_usable = int(n_lookback - np.argmax(seen)) if seen.any() else 0
    n_needed = SCENARIOS_MIN + MPOR_DAYS_MAX - 1
    if n_usable < n_needed:
        raise ModelInputError(
            f"price_history of {house.proxy.asset} gives {n_usable} daily returns, "
            f"limit >= {n_needed}: load more history",
            identifier=house.proxy.asset,
            value=n_usable,
            limit=f">= {n_needed}",
        )
    return n_usable


def _without_gaps(
    own: DailyReturns, window: _Window, house: HouseParameters
) -> tuple[Float64Array2D, BoolArray1D, list[ProxyNote]]:
    """Fill every missing return with a conservative one, and say so."""
    filled = own.values.copy()
    is_standalone = np.zeros(len(window.assets), dtype=np.bool_)
    notes: list[ProxyNote] = []
    proxy = np.nan_to_num(own.values[:, window.assets.index(house.proxy.asset)])
    pegged = largest_peg_moves(own, window.assets, house)
    floored = floored_peg_moves(pegged, window.n_usable, house.proxy.peg_move_min)
    for column, asset in enumerate(window.assets):
        mine = own.values[:, column]
        seen = np.isfinite(mine)
        n_own = int(seen[-window.n_usable :].sum())
        if asset == "USD":
            filled[:, column] = 0.0
        elif asset in house.pegged_assets and n_own < house.filter.minimum_history_days:
            stand_in = house.proxy.return_multiplier * floored
            filled[:, column] = larger_moves(mine, stand_in)
            name = f"largest peg move, at least {house.proxy.peg_move_min:g}"
            notes.append(_note(f"index:{asset}", "short history", name, n_own, house))
        elif n_own < house.filter.minimum_history_days:
            stand_in = house.proxy.return_multiplier * proxy
            filled[:, column] = larger_moves(mine, stand_in)
            is_standalone[column] = True
            notes.append(_note(f"index:{asset}", "short history", house.proxy.asset, n_own, house))
        elif n_own < window.n_usable:
            beta = _beta(mine, proxy) if asset not in house.pegged_assets else 1.0
            stand_in = beta * proxy
            if asset in house.pegged_assets:
                # Days before its first are missing history; later ones are holes in a known one.
                is_before = np.cumsum(seen) == 0
                is_before[: -window.n_usable] = False
                stand_in = np.where(is_before, floored, pegged)
            filled[:, column] = np.where(seen, mine, stand_in)
            name = "largest peg move" if asset in house.pegged_assets else house.proxy.asset
            reason = f"{window.n_usable - n_own} of {window.n_usable} days missing"
            notes.append(ProxyNote(f"index:{asset}", reason, f"{beta:.2f} x {name}", n_own))
    # What lies before the first observation of anything feeds no scenario, only the filter's start.
    return np.nan_to_num(filled), is_standalone, notes


def _note(factor: str, reason: str, proxy: str, n_own: int, house: HouseParameters) -> ProxyNote:
    text = f"{house.proxy.return_multiplier:.2f} x {proxy}, own move where larger"
    limit = house.filter.minimum_history_days
    return ProxyNote(factor, f"{reason}: {n_own} days, limit {limit}", text, n_own)


def _beta(mine: Float64Array1D, proxy: Float64Array1D) -> float:
    """Return the ratio of volatilities over common days, never below one."""
    seen = np.isfinite(mine)
    of_proxy = float(np.sqrt(np.mean(proxy[seen] ** 2)))
    of_mine = float(np.sqrt(np.mean(mine[seen] ** 2)))
    return max(1.0, of_mine / of_proxy) if of_proxy > 0.0 else 1.0


def _long_run(own: DailyReturns, n_days: int) -> Float64Array1D:
    """Return the root mean square of the own returns of each name over ``n_days``."""
    squares = np.nan_to_num(own.values[-n_days:]) ** 2
    n_seen = np.maximum(np.isfinite(own.values[-n_days:]).sum(axis=0), 1)
    volatility: Float64Array1D = np.sqrt(squares.sum(axis=0) / n_seen)
    return volatility


def _volatility_level(
    history: FactorHistory, window: _Window, volatility: Float64Array2D, house: HouseParameters
) -> tuple[Float64Array2D, list[ProxyNote]]:
    """Return changes of the volatility level; without history, those of the index's own EWMA."""
    own = history.volatility_level[-window.n_usable :]
    realised = np.diff(np.log(volatility), axis=0)
    stand_in = house.proxy.volatility_level_multiplier * realised
    return _own_or_stand_in(own, stand_in, "volatility", "index EWMA volatility", window, house)


def _basis(
    history: FactorHistory, window: _Window, index: Float64Array2D, house: HouseParameters
) -> tuple[Float64Array2D, list[ProxyNote]]:
    """Return changes of the annual basis; without history it moves with the index."""
    own = history.basis[-window.n_usable :]
    stand_in = house.proxy.basis_beta * index
    return _own_or_stand_in(own, stand_in, "basis", "index return", window, house)


def _own_or_stand_in(
    own: Float64Array2D,
    stand_in: Float64Array2D,
    kind: str,
    proxy: str,
    window: _Window,
    house: HouseParameters,
) -> tuple[Float64Array2D, list[ProxyNote]]:
    notes: list[ProxyNote] = []
    chosen = np.where(np.isfinite(own), own, stand_in)
    for column, asset in enumerate(window.assets):
        n_own = int(np.isfinite(own[:, column]).sum())
        if asset in house.pegged_assets:
            chosen[:, column] = 0.0
        elif n_own < house.filter.minimum_history_days:
            chosen[:, column] = larger_moves(own[:, column], stand_in[:, column])
            reason = f"short history: {n_own} days, limit {house.filter.minimum_history_days}"
            notes.append(ProxyNote(f"{kind}:{asset}", reason, proxy, n_own))
    return chosen, notes

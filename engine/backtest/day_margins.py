"""The requirement of many books on one day, from the moves that were known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D
from engine.backtest.books import LegKind
from engine.backtest.layout import Layout, Position
from engine.backtest.unit_pnl import cell_pnl, collateral_pnl, scenario_pnl
from engine.kernels.tail import COLLATERAL, STANDALONE
from engine.margin.book_figures import BookFigures, LegFigures, special_figures
from engine.margin.book_margins import book_margins
from engine.market import PreparedMarket
from engine.rules import HouseParameters
from engine.scenarios.risk_factors import FactorMoves
from engine.scenarios.scenario_set import (
    ScenarioSet,
    Shocks,
    gap_shocks,
    stress_shocks,
    window_sums,
)


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """One-day moves of all factors as a close on the day sees them, oldest first.

    Matrices have shape (n_days, n_assets). ``floored`` and ``plain`` are index moves with and
    without the long-run floor, ``basis`` and ``plain_basis`` those of the basis, ``level`` those of
    the volatility level; ``volatility`` is that of each contract, NaN where it has none.
    """

    assets: tuple[str, ...]
    contracts: tuple[tuple[str, LegKind], ...]
    volatility: Float64Array1D
    is_standalone: BoolArray1D
    floored: Float64Array2D
    plain: Float64Array2D
    level: Float64Array2D
    basis: Float64Array2D
    plain_basis: Float64Array2D


@dataclass(frozen=True, slots=True, eq=False)
class DayFigures:
    """What a day's margins are put together from, whatever weights, shares and caps say.

    ``tails`` holds the largest scenario losses of each book without the floor, largest first, of
    which ``n_tail`` make up the expected shortfall; ``value_at_risk`` and ``expected_shortfall``
    are theirs, each of shape (n_books,). [USD] ``legs`` and ``books`` are None where only forecasts
    were asked for.
    """

    value_at_risk: Float64Array1D
    expected_shortfall: Float64Array1D
    tails: Float64Array2D
    n_tail: float
    market: PreparedMarket
    legs: LegFigures | None
    books: BookFigures | None


def day_figures(
    moves: Moves,
    layout: Layout,
    house: HouseParameters,
    horizon_days: Sequence[int],
    confidence: float,
    *,
    forecasts_only: bool = False,
) -> DayFigures:
    """Return the figures of the books, and the forecasts that tests apply to.

    Parameters
    ----------
    moves : Moves
        Of the day.
    layout : Layout
        Books of the day.
    house : HouseParameters
        With the stress scenarios that were known.
    horizon_days : sequence of int
        Margin period of risk of each contract. [days]
    confidence : float
        Of the expected shortfall. [-]
    forecasts_only : bool
        Leave the figures of margins out: less than half the work.
    """
    special = _special(moves.assets, house)
    plain = _pnl(moves, moves.plain, moves.plain_basis, special, house, horizon_days)
    n_special = special.index.shape[1]
    n_historical = plain.shape[1] - n_special
    n_tail = max(float(np.round((1.0 - confidence) * n_historical, 9)), 1.0)
    tails = _plain_tails(layout, plain[:, :n_historical], n_tail)
    market = _market(moves.assets, n_historical, len(house.stress), n_special)
    legs = books = None
    if not forecasts_only:
        floored = _pnl(moves, moves.floored, moves.basis, special, house, horizon_days)
        floored = np.concatenate([floored, _cells(moves, house)], axis=1)
        legs, books = _figures(layout, floored, market.scenarios, n_tail)
    return DayFigures(
        value_at_risk=np.maximum(tails[:, int(np.ceil(n_tail)) - 1], 0.0),
        expected_shortfall=np.maximum(_mean(tails, n_tail), 0.0),
        tails=tails,
        n_tail=n_tail,
        market=market,
        legs=legs,
        books=books,
    )


def day_margins(
    figures: DayFigures, house: HouseParameters
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return core margin and requirement of every book; NaN where there are only forecasts. [USD]

    The core holds the offset that is not granted and the fall of collateral.
    """
    if figures.legs is None or figures.books is None:
        unknown = np.full(figures.value_at_risk.size, np.nan)
        return unknown, unknown
    margins = book_margins(figures.market, house, figures.legs, figures.books)
    return margins.core + margins.offset + margins.wrong_way, margins.total


def _special(assets: tuple[str, ...], house: HouseParameters) -> Shocks:
    stress, gap = stress_shocks(assets, house), gap_shocks(assets, house)
    return Shocks(
        index=np.concatenate([stress.index, gap.index], axis=1),
        volatility_level=np.concatenate([stress.volatility_level, gap.volatility_level], axis=1),
        basis=np.concatenate([stress.basis, gap.basis], axis=1),
    )


def _pnl(
    moves: Moves,
    index: Float64Array2D,
    basis: Float64Array2D,
    special: Shocks,
    house: HouseParameters,
    horizon_days: Sequence[int],
) -> Float64Array2D:
    """Return the P&L of one dollar of each contract: historical columns, stress, gap."""
    bound = house.surface.volatility_log_change_max
    by_horizon = {}
    for n_days in sorted(set(horizon_days)):
        level = np.clip(window_sums(moves.level, n_days), -bound, bound)
        by_horizon[n_days] = Shocks(
            index=np.concatenate([window_sums(index, n_days), special.index], axis=1),
            volatility_level=np.concatenate([level, special.volatility_level], axis=1),
            basis=np.concatenate([window_sums(basis, n_days), special.basis], axis=1),
        )
    first = by_horizon[min(by_horizon)]
    n_columns, n_special = first.index.shape[1], special.index.shape[1]
    pnl = np.zeros((len(moves.contracts), n_columns))
    for i, ((asset, kind), n_days) in enumerate(zip(moves.contracts, horizon_days, strict=True)):
        shocks, column = by_horizon[n_days], moves.assets.index(asset)
        if kind == "collateral":
            pnl[i] = collateral_pnl(shocks.index[column], asset, house, n_columns - n_special)
        elif kind != "straddle" or np.isfinite(moves.volatility[i]):
            pnl[i] = scenario_pnl(kind, column, shocks, house, float(moves.volatility[i]))
    return pnl


def _cells(moves: Moves, house: HouseParameters) -> Float64Array2D:
    """Return the P&L of one dollar of each contract in the stress grid, where that binds."""
    if house.stress_grid is None or not house.stress_grid.binds:
        return np.zeros((len(moves.contracts), 0))
    rows = [
        cell_pnl(kind, asset, house, house.stress_grid, float(moves.volatility[i]))
        for i, (asset, kind) in enumerate(moves.contracts)
    ]
    return np.array(rows)


def _held(pnl: Float64Array2D, positions: Sequence[Position]) -> Float64Array1D:
    """Return the P&L of some positions, added in their order."""
    total = np.zeros(pnl.shape[1])
    for contract, notional in positions:
        total += notional * pnl[contract]
    return total


def _figures(
    layout: Layout, pnl: Float64Array2D, scenarios: ScenarioSet, n_tail: float
) -> tuple[LegFigures, BookFigures]:
    n_historical = scenarios.n_historical
    distinct = np.array([_held(pnl, positions) for positions in layout.leg_positions])
    netted = np.array([_held(pnl[:, :n_historical], book.netted) for book in layout.books])
    with_collateral = netted.copy()
    for i, book in enumerate(layout.books):
        if book.pledged:
            with_collateral[i] += _held(pnl[:, :n_historical], book.pledged)
    shortfall = _mean(_worst(distinct[:, :n_historical], n_tail), n_tail)
    of_books = _mean(_worst(netted, n_tail), n_tail)
    wrong_way = of_books.copy()
    for i, book in enumerate(layout.books):
        if book.pledged:
            wrong_way[i] = _mean(_worst(with_collateral[i : i + 1], n_tail), n_tail)[0]
    found = special_figures(
        distinct[layout.leg_id, n_historical:], layout.leg_role != COLLATERAL, scenarios
    )
    legs = LegFigures(
        group=layout.leg_group,
        role=layout.leg_role,
        asset=layout.leg_asset,
        shortfall=shortfall[layout.leg_id],
        stress=found.stress,
        gap_loss=found.gap_loss,
        cell_loss=found.cell_loss,
        cell=found.cell,
        net_delta=np.zeros(layout.leg_id.size),
    )
    return legs, BookFigures(of_books, wrong_way, np.zeros(len(layout.books)))


def _plain_tails(layout: Layout, pnl: Float64Array2D, n_tail: float) -> Float64Array2D:
    """Return the worst losses of each book; underlyings without offset add theirs, rank by rank."""
    books = [_held(pnl, (*book.netted, *book.pledged)) for book in layout.books]
    tails = np.maximum(_worst(np.array(books), n_tail), 0.0)
    for leg in np.flatnonzero(layout.leg_role == STANDALONE).tolist():
        alone = _held(pnl, layout.leg_positions[int(layout.leg_id[leg])])
        tails[layout.leg_group[leg]] += np.maximum(_worst(alone[None, :], n_tail)[0], 0.0)
    return tails


def _worst(pnl: Float64Array2D, n_tail: float) -> Float64Array2D:
    """Return the losses of the worst outcomes of each row, largest first."""
    k = int(np.ceil(n_tail))
    worst = np.sort(np.partition(pnl, k - 1, axis=1)[:, :k], axis=1)
    losses: Float64Array2D = -worst
    return losses


def _mean(worst: Float64Array2D, n_tail: float) -> Float64Array1D:
    """Return the mean of the tail, its last outcome with the fraction that is left."""
    n_whole = int(n_tail)
    total = worst[:, :n_whole].sum(axis=1)
    if n_tail > n_whole:
        total = total + (n_tail - n_whole) * worst[:, n_whole]
    mean: Float64Array1D = total / n_tail
    return mean


def _market(
    assets: tuple[str, ...], n_historical: int, n_stress: int, n_special: int
) -> PreparedMarket:
    """Return a market that says no more than the add-ons of a history ask: no liquidity."""
    n = len(assets)
    nothing, no_matrix = np.zeros(0), np.zeros((0, 0))
    still = np.zeros(n)
    scenarios = ScenarioSet(assets, (), (), {}, n_historical, n_stress, n_special - n_stress)
    moves = FactorMoves(
        assets, np.zeros(0, dtype="datetime64[D]"), no_matrix, no_matrix, no_matrix, still,
        np.zeros(n, dtype=np.bool_), (),
    )  # fmt: skip
    return PreparedMarket(
        instrument_id=np.zeros(0, dtype=object), fault=(), settles=np.zeros(0, dtype=np.bool_),
        has_expired=np.zeros(0, dtype=np.bool_), historical=no_matrix, special=no_matrix,
        underlying=np.zeros(0, dtype=np.int64), unit_value=nothing, delta_notional=nothing,
        half_spread=nothing, assets=assets, usd_rate=still, daily_volatility=still,
        average_daily_volume=np.ones(n), is_standalone=np.zeros(n, dtype=np.bool_),
        scenarios=scenarios, moves=moves, faults=pd.DataFrame(),
    )  # fmt: skip

"""Profit and loss of one dollar of each kind of leg: in a scenario, and as it came.

The scenario side repeats ``engine/scenarios/revaluation.py`` for contracts of one dollar, without
its tables; a back-test compares the two on whole assessments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from engine.arrays import Float64Array1D
from engine.backtest.books import STRADDLE_DAYS, LegKind, StudyLeg
from engine.backtest.panel import Panel
from engine.kernels.black76 import scenario_option_values
from engine.margin.scenario_grid import OPTION, ScenarioInstruments, revalue_grid
from engine.margin.stress_grid import cells_of, class_of, n_cells
from engine.margin.stress_parameters import StressGrid
from engine.rules import HouseParameters, Mpor
from engine.scenarios.scenario_set import Shocks

_STRADDLE_YEARS = STRADDLE_DAYS / 365.0


def scenario_pnl(
    kind: LegKind, column: int, shocks: Shocks, house: HouseParameters, volatility: float
) -> Float64Array1D:
    """Return the P&L of one dollar held long, in each scenario.

    Parameters
    ----------
    kind : LegKind
        Of a straddle, one dollar of its call.
    column : int
        Row of the asset in the shock matrices.
    shocks : Shocks
        Moves over the leg's margin period of risk.
    house : HouseParameters
        How volatilities and bases reach an instrument.
    volatility : float
        Of a straddle. [1/sqrt(year)]

    Returns
    -------
    Float64Array1D, shape (n_scenarios,)
        [USD]
    """
    index, basis = shocks.index[column], shocks.basis[column]
    pnl: Float64Array1D
    if kind == "straddle":
        return _straddle(index, basis, shocks.volatility_level[column], house, volatility)
    if kind in ("perpetual", "inverse_perpetual"):
        ratio = np.exp(index + basis * house.surface.perpetual_basis_tenor_years)
        pnl = ratio - 1.0 if kind == "perpetual" else (1.0 - 1.0 / ratio) * np.exp(index)
    else:
        pnl = np.exp(index) - 1.0
    return pnl


def cell_pnl(
    kind: LegKind, asset: str, house: HouseParameters, grid: StressGrid, volatility: float
) -> Float64Array1D:
    """Return the P&L of one dollar held long in each cell of the stress grid.

    Classes with fewer cells than the largest end in zeros; so does collateral, and a straddle
    without a volatility.

    Returns
    -------
    Float64Array1D, shape (n_cells,)
        [USD]
    """
    stress_class = class_of(asset, house)
    cells = cells_of(grid, stress_class)
    pnl = np.zeros(n_cells(grid))
    if kind == "straddle" and np.isfinite(volatility):
        found = revalue_grid(_one_straddle(volatility), getattr(grid, stress_class).grid())
        pnl[: len(cells)] = found.unit_pnl.sum(axis=0)
    elif kind not in ("straddle", "collateral"):
        pnl[: len(cells)] = [cell.price_shock * cell.weight for cell in cells]
    return pnl


def collateral_pnl(
    index: Float64Array1D, asset: str, house: HouseParameters, n_historical: int
) -> Float64Array1D:
    """Return minus the fall of one dollar of collateral beyond its first haircut.

    Stress and gap scenarios, which follow the first ``n_historical``, leave collateral alone.
    """
    pnl = -np.maximum(1.0 - np.exp(index) - _haircut(asset, house), 0.0)
    pnl[n_historical:] = 0.0
    return pnl


def realised_pnl(
    kind: LegKind, asset: str, panel: Panel, horizon_days: int, house: HouseParameters
) -> Float64Array1D:
    """Return the P&L of one dollar held from each day's close for ``horizon_days``.

    Returns
    -------
    Float64Array1D, shape (n_days,)
        NaN where a price is absent on either day, or the history has ended. [USD]
    """
    column = panel.column_of(asset)
    series = {"venue_spot": panel.venue_spot, "perpetual": panel.perpetual}
    prices = series.get(kind, panel.close)[:, column]
    moved = _ratio(prices, horizon_days)
    # A book is margined at the close: without the index there is none.
    moved[~np.isfinite(panel.close[:, column])] = np.nan
    if kind == "straddle":
        return _straddle_outcome(moved, panel.level[:, column], horizon_days)
    if kind == "collateral":
        fell: Float64Array1D = -np.maximum(1.0 - moved - _haircut(asset, house), 0.0)
        return fell
    return moved - 1.0


def worst_loss(legs: Sequence[StudyLeg], panel: Panel, business_date: date, mpor: Mpor) -> float:
    """Return the loss if each leg met its worst price inside its margin period of risk.

    Legs of one asset meet the same price. NaN where a leg is no linear holding, or a high or low
    is not known. The worst prices of several assets need not have come together, so it is an upper
    bound for books of more than one. [USD]
    """
    row = panel.row_of(business_date)
    exposure: dict[str, float] = {}
    for leg in legs:
        if leg.kind not in ("spot", "inverse_perpetual"):
            return float("nan")
        exposure[leg.asset] = exposure.get(leg.asset, 0.0) + leg.notional
    loss = 0.0
    for asset, notional in sorted(exposure.items()):
        column, n_days = panel.column_of(asset), mpor.days("spot", asset)
        days = slice(row + 1, row + 1 + n_days)
        extremes = (panel.low if notional > 0.0 else panel.high)[days, column]
        worst = extremes.min(initial=np.inf) if notional > 0.0 else extremes.max(initial=0.0)
        if extremes.size < n_days or not np.isfinite(extremes).all():
            return float("nan")
        loss -= notional * float(worst / panel.close[row, column] - 1.0)
    return loss


def _ratio(prices: Float64Array1D, horizon_days: int) -> Float64Array1D:
    moved = np.full(prices.size, np.nan)
    moved[:-horizon_days] = prices[horizon_days:] / prices[:-horizon_days]
    return moved


def _haircut(asset: str, house: HouseParameters) -> float:
    terms = house.collateral.get(asset)
    return terms.haircut_tiers[0].haircut if terms is not None and terms.eligible else 1.0


def _straddle(
    index: Float64Array1D,
    basis: Float64Array1D,
    level: Float64Array1D,
    house: HouseParameters,
    volatility: float,
) -> Float64Array1D:
    surface = house.surface
    tenor = max(STRADDLE_DAYS, surface.tenor_days_min)
    weight = (surface.reference_tenor_days / tenor) ** surface.tenor_exponent
    index_factor, forward_factor = np.exp(index), np.exp(index + basis * _STRADDLE_YEARS)
    both = np.ones(2)
    values = scenario_option_values(
        forward=both,
        strike=both,
        is_call=np.array([True, False]),
        volatility=np.full(2, volatility),
        years=np.full(2, _STRADDLE_YEARS),
        forward_factor=np.concatenate([[1.0], forward_factor]),
        volatility_factor=np.concatenate([[1.0], np.exp(weight * level)]),
    )
    # Paid in coin: value over forward coins, each worth the shocked index.
    worth = values[0] + values[1]
    pnl: Float64Array1D = worth[1:] * (index_factor / forward_factor) - worth[0]
    return pnl


def _one_straddle(volatility: float) -> ScenarioInstruments:
    """Return call and put at the money on one dollar, as they are to the house: paid in USD."""
    one, nothing = np.ones(2), np.full(2, np.nan)
    return ScenarioInstruments(
        symbol=np.array(["call", "put"], dtype=object),
        kind=np.full(2, OPTION, dtype=np.int8),
        is_inverse=np.zeros(2, dtype=np.bool_),
        contract_multiplier=one,
        mark_price=nothing,
        years=np.full(2, _STRADDLE_YEARS),
        is_call=np.array([True, False]),
        strike_price=one,
        forward_price=one,
        volatility=np.full(2, volatility),
        risk_free_rate=np.zeros(2),
    )


def _straddle_outcome(
    moved: Float64Array1D, level: Float64Array1D, horizon_days: int
) -> Float64Array1D:
    """Return the gain of a straddle that was at the money, without a basis or a smile."""
    later = np.full(level.size, np.nan)
    later[:-horizon_days] = level[horizon_days:]
    known = np.isfinite(moved) & np.isfinite(level) & np.isfinite(later)
    outcome = np.full(level.size, np.nan)
    years = _STRADDLE_YEARS - horizon_days / 365.0
    outcome[known] = _value(moved[known], later[known], years) - _value(
        np.ones(int(known.sum())), level[known], _STRADDLE_YEARS
    )
    return outcome


def _value(forward: Float64Array1D, volatility: Float64Array1D, years: float) -> Float64Array1D:
    total = np.zeros(forward.size)
    for is_call in (True, False):
        total += scenario_option_values(
            forward=forward,
            strike=np.ones(forward.size),
            is_call=np.full(forward.size, is_call),
            volatility=volatility,
            years=np.full(forward.size, years),
            forward_factor=np.ones(1),
            volatility_factor=np.ones(1),
        )[:, 0]
    return total

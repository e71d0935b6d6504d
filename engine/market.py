"""The market made ready once for all netting sets: scenarios, revaluation, rates, liquidity.

``prepare`` is the market-wide half of an assessment. Its result is plain arrays, sent to every
worker once; the other half (``engine/portfolio.py``, ``engine/margin``) is per netting set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.margin.stress_grid import unit_stress_pnl
from engine.rules import HouseParameters, RuleBook
from engine.scenarios.instruments import priced_instruments
from engine.scenarios.revaluation import OPTION, PricedInstruments, Revaluation, revalue
from engine.scenarios.risk_factors import FactorMoves, factor_moves
from engine.scenarios.scenario_set import ScenarioSet, scenario_set
from engine.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class PreparedMarket:
    """Market-wide results, in rows of instruments followed by rows of collateral assets.

    Attributes
    ----------
    instrument_id : numpy.ndarray of str objects, shape (n_instruments,)
        Sorted; row i of the matrices.
    fault : tuple of str
        Why an instrument has no usable price; empty text where it has one.
    settles : BoolArray1D
        True where the instrument expires inside the business date and carries no further risk.
    has_expired : BoolArray1D
        True where the instrument expired before the business date: nobody may still hold it.
    historical : Float64Array2D, shape (n_instruments + n_assets, n_historical)
        P&L of one contract [USD]; then, for each collateral asset, minus the loss beyond its first
        haircut of one unit [USD].
    special : Float64Array2D, shape (n_instruments + n_assets, n_stress + n_gap + n_cells)
        The same over named stress days, the gap grid, and the cells of the stress grid, if there is
        one; zero in the collateral rows.
    underlying : Int64Array1D, shape (n_instruments,)
        Row of the instrument's underlying in ``assets``.
    unit_value, delta_notional, half_spread : Float64Array1D, shape (n_instruments,)
        Value of, exposure of, and cost to cross half the spread for, one contract. [USD]
    assets : tuple of str
        All risk-factor assets.
    usd_rate : Float64Array1D, shape (n_assets,)
        Price of one unit; NaN where unknown. [USD]
    daily_volatility, average_daily_volume : Float64Array1D, shape (n_assets,)
        [1/sqrt(day)] and [USD].
    is_standalone, is_major : BoolArray1D, shape (n_assets,)
    scenarios : ScenarioSet
    moves : FactorMoves
    faults : pandas.DataFrame
        ``Snapshot.faults``: what validation kept out, also of the holdings.
    """

    instrument_id: np.ndarray
    fault: tuple[str, ...]
    settles: BoolArray1D
    has_expired: BoolArray1D
    historical: Float64Array2D
    special: Float64Array2D
    underlying: Int64Array1D
    unit_value: Float64Array1D
    delta_notional: Float64Array1D
    half_spread: Float64Array1D
    assets: tuple[str, ...]
    usd_rate: Float64Array1D
    daily_volatility: Float64Array1D
    average_daily_volume: Float64Array1D
    is_standalone: BoolArray1D
    scenarios: ScenarioSet
    moves: FactorMoves
    faults: pd.DataFrame

    @property
    def n_instruments(self) -> int:
        """Number of instrument rows; collateral rows follow them."""
        return len(self.fault)

    @property
    def known_rates(self) -> dict[str, float]:
        """Return the USD price of one unit of each asset that has one."""
        pairs = zip(self.assets, self.usd_rate.tolist(), strict=True)
        return {asset: rate for asset, rate in pairs if np.isfinite(rate)}


def known_rates(snapshot: Snapshot, rules: RuleBook) -> dict[str, float]:
    """Return ``PreparedMarket.known_rates`` without preparing anything else."""
    assets = _assets(snapshot, rules)
    pairs = zip(assets, _usd_rates(snapshot, assets).tolist(), strict=True)
    return {asset: rate for asset, rate in pairs if np.isfinite(rate)}


def prepare(snapshot: Snapshot, rules: RuleBook) -> PreparedMarket:
    """Return the market-wide half of an assessment.

    Raises
    ------
    ModelInputError
        If the history of the proxy asset is too short to make scenarios from.
    """
    house = rules.house
    assets = _assets(snapshot, rules)
    rates = _usd_rates(snapshot, assets)
    moves = factor_moves(snapshot, assets, house)
    scenarios = scenario_set(moves, house)
    table = priced_instruments(snapshot, dict(zip(assets, rates.tolist(), strict=True)), house)
    instruments = table.instruments
    row_of = {asset: row for row, asset in enumerate(assets)}
    underlying = np.array([row_of[name] for name in instruments.underlying], dtype=np.int64)
    liquidity = asset_liquidity(snapshot, assets, house)
    units = unit_figures(instruments, scenarios, liquidity.spread[underlying], house)
    excess = collateral_losses(scenarios, rates, house)
    no_special = np.zeros((len(assets), units.special.shape[1]))
    return PreparedMarket(
        instrument_id=instruments.instrument_id,
        fault=units.fault,
        settles=table.settles,
        has_expired=table.has_expired,
        historical=np.ascontiguousarray(np.concatenate([units.historical, -excess])),
        special=np.ascontiguousarray(np.concatenate([units.special, no_special])),
        underlying=underlying,
        unit_value=units.unit_value,
        delta_notional=units.delta_notional,
        half_spread=units.half_spread,
        assets=assets,
        usd_rate=rates,
        daily_volatility=moves.daily_volatility,
        average_daily_volume=liquidity.average_daily_volume,
        is_standalone=moves.is_standalone,
        scenarios=scenarios,
        moves=moves,
        faults=snapshot.faults,
    )


@dataclass(frozen=True, slots=True, eq=False)
class UnitFigures:
    """What one contract of each instrument does; rows as given. [USD]

    ``historical`` and ``special`` are the instrument rows of ``PreparedMarket``'s matrices.
    """

    historical: Float64Array2D
    special: Float64Array2D
    unit_value: Float64Array1D
    delta_notional: Float64Array1D
    half_spread: Float64Array1D
    fault: tuple[str, ...]


def unit_figures(
    instruments: PricedInstruments,
    scenarios: ScenarioSet,
    spread: Float64Array1D,
    house: HouseParameters,
) -> UnitFigures:
    """Return the figures of one contract of each instrument, none of which depends on the others.

    Parameters
    ----------
    spread : Float64Array1D, shape (n_instruments,)
        Of the underlying, as a fraction of its price. [-]
    """
    worth = revalue(instruments, scenarios, house)
    special, fault = _special(instruments, worth, scenarios.n_historical, house)
    # An option's spread is charged on its premium or its delta, whichever is the larger exposure.
    exposure = np.maximum(np.abs(worth.delta_notional), np.abs(worth.unit_value))
    exposure = np.where(instruments.kind == OPTION, exposure, np.abs(worth.unit_value))
    return UnitFigures(
        historical=worth.scenario_pnl[:, : scenarios.n_historical],
        special=special,
        unit_value=worth.unit_value,
        delta_notional=worth.delta_notional,
        half_spread=0.5 * spread * exposure,
        fault=fault,
    )


def _special(
    instruments: PricedInstruments, worth: Revaluation, n_historical: int, house: HouseParameters
) -> tuple[Float64Array2D, tuple[str, ...]]:
    """Return stress, gap and grid outcomes side by side, and faults with those of the grid."""
    special = worth.scenario_pnl[:, n_historical:]
    if house.stress_grid is None:
        return special, instruments.fault
    cells = unit_stress_pnl(instruments, worth, house, house.stress_grid)
    fault = tuple(
        known or found for known, found in zip(instruments.fault, cells.fault, strict=True)
    )
    return np.concatenate([special, cells.unit_pnl], axis=1), fault


def _assets(snapshot: Snapshot, rules: RuleBook) -> tuple[str, ...]:
    names = {"USD", rules.house.proxy.asset}
    # Collateral without a price counts nothing, so it needs no risk factor either.
    priced = {*snapshot.index_prices["asset"], *snapshot.fx_rates["asset"]}
    names.update(asset for asset in rules.house.collateral if asset in priced)
    names.update(str(name) for name in snapshot.instruments["underlying"].unique())
    names.update(str(name) for name in snapshot.instruments["settlement_asset"].unique())
    names.update(
        str(name) for name in snapshot.instruments["quote_asset"].unique() if name in priced
    )
    names.update(agreement.currency for agreement in rules.agreements.values())
    return tuple(sorted(names))


def _usd_rates(snapshot: Snapshot, assets: tuple[str, ...]) -> Float64Array1D:
    """Return the USD price of each asset: its FX rate, else its index price, else NaN."""
    known = {"USD": 1.0}
    index = snapshot.index_prices
    known.update(zip(index["asset"].astype(str), index["index_price"].astype(float), strict=True))
    fx = snapshot.fx_rates
    known.update(zip(fx["asset"].astype(str), fx["usd_rate"].astype(float), strict=True))
    return np.array([known.get(asset, np.nan) for asset in assets])


@dataclass(frozen=True, slots=True, eq=False)
class AssetLiquidity:
    """Volume [USD] and spread [-] of each asset."""

    average_daily_volume: Float64Array1D
    spread: Float64Array1D


def asset_liquidity(
    snapshot: Snapshot, assets: tuple[str, ...], house: HouseParameters
) -> AssetLiquidity:
    """Return the liquidity of each asset; a deliberately small one where there is no row."""
    rows = snapshot.liquidity.set_index("asset")
    default = house.liquidity
    volume = pd.Series(rows["average_daily_volume_usd"], dtype="float64").reindex(list(assets))
    spread = pd.Series(rows["spread"], dtype="float64").reindex(list(assets))
    return AssetLiquidity(
        average_daily_volume=volume.fillna(default.average_daily_volume_usd_default).to_numpy(),
        spread=spread.fillna(default.spread_default).to_numpy(),
    )


def collateral_losses(
    scenarios: ScenarioSet, rates: Float64Array1D, house: HouseParameters
) -> Float64Array2D:
    """Return the loss of one unit of each asset beyond its first haircut. [USD]

    A haircut already pays for its own part of the fall; only the rest is wrong-way risk.
    """
    mpor_days = [house.mpor.days("spot", asset) for asset in scenarios.assets]
    losses = np.zeros((len(scenarios.assets), scenarios.n_historical))
    for row, asset in enumerate(scenarios.assets):
        parameters = house.collateral.get(asset)
        if parameters is None or not parameters.eligible or not np.isfinite(rates[row]):
            continue
        moves = scenarios.by_mpor[mpor_days[row]].index[row, scenarios.historical]
        fall = 1.0 - np.exp(moves)
        losses[row] = rates[row] * np.maximum(fall - parameters.haircut_tiers[0].haircut, 0.0)
    return losses

"""The joint scenarios: filtered history over each MPOR, named stress days, and the gap grid.

Columns run historical first, then stress, then gap, the same in every matrix, so that one
scenario is one state of the world for all instruments and all collateral.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.rules import MPOR_DAYS_MAX, HouseParameters, StressScenario
from engine.scenarios.risk_factors import FactorMoves

HISTORICAL, STRESS, GAP = "historical", "stress", "gap"


@dataclass(frozen=True, slots=True, eq=False)
class Shocks:
    """Moves of all assets in all scenarios over one margin period of risk.

    Each matrix has shape (n_assets, n_scenarios); rows are contiguous.
    """

    index: Float64Array2D
    volatility_level: Float64Array2D
    basis: Float64Array2D


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioSet:
    """All scenarios, by margin period of risk.

    Attributes
    ----------
    assets : tuple of str
        Rows of the shock matrices.
    names : tuple of str
        Name of each scenario: the last day of a historical window, or the stress or gap name.
    kinds : tuple of str
        ``historical``, ``stress`` or ``gap`` of each scenario, in that order.
    by_mpor : dict of int to Shocks
        Shocks over 1 to 5 days; stress and gap columns are the same for all.
    n_historical, n_stress, n_gap : int
        Widths of the three segments.
    """

    assets: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    by_mpor: dict[int, Shocks]
    n_historical: int
    n_stress: int
    n_gap: int

    @property
    def historical(self) -> slice:
        """Columns of the filtered history."""
        return slice(0, self.n_historical)

    @property
    def stress(self) -> slice:
        """Columns of the named stress days."""
        return slice(self.n_historical, self.n_historical + self.n_stress)

    @property
    def gap(self) -> slice:
        """Columns of the gap grid: each underlying jumps, the rest of its row stands still."""
        return slice(self.n_historical + self.n_stress, len(self.names))


def scenario_set(moves: FactorMoves, house: HouseParameters) -> ScenarioSet:
    """Return the joint scenarios made from ``moves`` and the rule book's stress and gap shocks.

    A historical scenario of MPOR h is the sum of h consecutive days that end on the same date for
    every h, hence overlapping windows; each day has been rescaled by itself.
    """
    n_historical = moves.index.shape[0] - MPOR_DAYS_MAX + 1
    stress = stress_shocks(moves.assets, house)
    gap = gap_shocks(moves.assets, house)
    bound = house.surface.volatility_log_change_max
    by_mpor = {}
    for mpor_days in range(1, MPOR_DAYS_MAX + 1):
        level = np.clip(window_sums(moves.volatility_level, mpor_days), -bound, bound)
        by_mpor[mpor_days] = Shocks(
            index=_joined(window_sums(moves.index, mpor_days), stress.index, gap.index),
            volatility_level=_joined(level, stress.volatility_level, gap.volatility_level),
            basis=_joined(window_sums(moves.basis, mpor_days), stress.basis, gap.basis),
        )
    ends = moves.dates[-n_historical:]
    n_gap = gap.index.shape[1]
    names = (
        *(str(day) for day in ends),
        *(scenario.name for scenario in house.stress),
        *(_gap_name(house, column) for column in range(n_gap)),
    )
    kinds = (*[HISTORICAL] * n_historical, *[STRESS] * len(house.stress), *[GAP] * n_gap)
    return ScenarioSet(
        assets=moves.assets,
        names=names,
        kinds=kinds,
        by_mpor=by_mpor,
        n_historical=n_historical,
        n_stress=len(house.stress),
        n_gap=n_gap,
    )


def window_sums(moves: Float64Array2D, mpor_days: int) -> Float64Array2D:
    """Return, for each end date, the sum of the last ``mpor_days`` moves, added oldest first."""
    n_ends = moves.shape[0] - MPOR_DAYS_MAX + 1
    total = np.zeros((n_ends, moves.shape[1]))
    for age in range(mpor_days - 1, -1, -1):
        start = MPOR_DAYS_MAX - 1 - age
        total += moves[start : start + n_ends]
    return np.ascontiguousarray(total.T)


def _joined(
    historical: Float64Array2D, stress: Float64Array2D, gap: Float64Array2D
) -> Float64Array2D:
    return np.ascontiguousarray(np.concatenate([historical, stress, gap], axis=1))


def stress_shocks(assets: tuple[str, ...], house: HouseParameters) -> Shocks:
    """Return the moves of the named stress days, a column each; pegged assets follow their peg."""
    index = np.zeros((len(assets), len(house.stress)))
    level = np.zeros_like(index)
    basis = np.zeros_like(index)
    for column, scenario in enumerate(house.stress):
        for row, asset in enumerate(assets):
            if asset in house.pegged_assets:
                index[row, column] = scenario.peg.get(asset, 0.0)
            else:
                index[row, column] = _stressed_return(scenario, asset)
                level[row, column] = scenario.volatility
                basis[row, column] = scenario.basis
    return Shocks(index=index, volatility_level=level, basis=basis)


def _stressed_return(scenario: StressScenario, asset: str) -> float:
    return scenario.index.get(asset, scenario.index.get("default", 0.0))


def gap_shocks(assets: tuple[str, ...], house: HouseParameters) -> Shocks:
    """Return the jumps of the gap grid, a column each; pegged assets do not jump."""
    n_gap = max(len(house.gap.shocks_major), len(house.gap.shocks_minor))
    index = np.zeros((len(assets), n_gap))
    level = np.zeros_like(index)
    for row, asset in enumerate(assets):
        if asset not in house.pegged_assets:
            shocks = _shocks_of(asset, house)
            index[row, : shocks.size] = np.log1p(shocks)
            level[row, : shocks.size] = house.gap.volatility_shock
    return Shocks(index=index, volatility_level=level, basis=np.zeros_like(index))


def _shocks_of(asset: str, house: HouseParameters) -> Float64Array1D:
    is_major = asset in house.mpor.major_assets
    return np.array(house.gap.shocks_major if is_major else house.gap.shocks_minor)


def _gap_name(house: HouseParameters, column: int) -> str:
    parts = [
        f"{shocks[column]:+.0%}"
        for shocks in (house.gap.shocks_major, house.gap.shocks_minor)
        if column < len(shocks)
    ]
    return "gap " + " / ".join(parts)

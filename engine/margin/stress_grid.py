"""The house's stress grid: the worst cell of every underlying, over price and volatility.

Cells and revaluation are those of the venues' grids (`engine.margin.scenario_grid`), one grid per
class of underlying. As in the gap grid each underlying moves by itself and the rest of the world
stands still; unlike there, options are repriced at volatilities that rise and fall, with tails far
beyond the grid that count in part. The result is a floor of the core model where the rules say that
it binds, and a figure beside the requirement where they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.margin.scenario_cells import MOVES, grid_cells
from engine.margin.scenario_grid import OPTION, SPOT, ScenarioInstruments, revalue_grid
from engine.margin.stress_parameters import StressClass, StressGrid
from engine.rules import HouseParameters
from engine.scenarios.revaluation import OPTION as OPTION_KIND
from engine.scenarios.revaluation import PricedInstruments, Revaluation

CLASSES: Final[tuple[StressClass, ...]] = ("major", "minor", "pegged")
# Beyond this, values are no market's; their holder fails by name instead of the whole close.
_LARGEST: Final = 1e200
_VOLATILITY_LARGEST: Final = 1e3


@dataclass(frozen=True, slots=True)
class StressCell:
    """One cell: relative price move, volatility move, and the part of its outcome that counts."""

    price_shock: float
    volatility_move: str
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class StressPnl:
    """One contract of every instrument in the cells of its class.

    ``unit_pnl`` has shape (n_instruments, n_cells); classes with fewer cells than the largest end
    in zeros, and so do instruments with a fault. [USD] ``fault`` says why an instrument has no
    outcome, or is empty.
    """

    unit_pnl: Float64Array2D
    fault: tuple[str, ...]


def class_of(asset: str, house: HouseParameters) -> StressClass:
    """Return the class of an underlying: pegged, major or minor."""
    if asset in house.pegged_assets:
        return "pegged"
    return "major" if asset in house.mpor.major_assets else "minor"


@cache
def cells_of(grid: StressGrid, stress_class: StressClass) -> tuple[StressCell, ...]:
    """Return the cells of a class, in the order of the columns of its outcomes."""
    cells = grid_cells(getattr(grid, stress_class).grid())
    return tuple(
        StressCell(float(shock), MOVES[move], float(weight))
        for shock, move, weight in zip(cells.price_shock, cells.move, cells.weight, strict=True)
    )


@cache
def n_cells(grid: StressGrid) -> int:
    """Return the number of cells of the largest class."""
    return max(len(cells_of(grid, name)) for name in CLASSES)


def unit_stress_pnl(
    instruments: PricedInstruments, worth: Revaluation, house: HouseParameters, grid: StressGrid
) -> StressPnl:
    """Return what one contract held long gains or loses in each cell, times the cell's weight.

    All payoffs are exact, as in ``engine.scenarios.revaluation``: an inverse contract's gain in
    coin is worth the coin's price in the cell, and so is an inverse option's premium.
    """
    n = len(instruments.fault)
    pnl = np.zeros((n, n_cells(grid)))
    fault = np.full(n, "", dtype=object)
    is_sane = (np.abs(worth.scenario_pnl) < _LARGEST).all(axis=1)
    is_sane &= ~(instruments.volatility > _VOLATILITY_LARGEST)
    is_open = np.array([not text for text in instruments.fault], dtype=np.bool_)
    fault[is_open & ~is_sane] = "its terms or its mark are too large for the stress grid"
    classes = np.array([class_of(str(name), house) for name in instruments.underlying])
    for name in CLASSES:
        rows = np.flatnonzero(is_open & is_sane & (classes == name))
        if not len(rows):
            continue
        parameters = getattr(grid, name).grid()
        found = revalue_grid(_in_dollars(instruments, worth, rows), parameters)
        gain = _with_own_coin(found.unit_pnl, instruments, worth, rows, cells_of(grid, name))
        pnl[rows, : len(found.cells)] = np.nan_to_num(gain)
        fault[rows] = found.faults
    return StressPnl(
        unit_pnl=pnl,
        fault=tuple(
            f"{symbol}: {text}" if text else ""
            for symbol, text in zip(instruments.instrument_id, fault, strict=True)
        ),
    )


def _in_dollars(
    instruments: PricedInstruments, worth: Revaluation, rows: Int64Array1D
) -> ScenarioInstruments:
    """Return the instruments as linear ones in USD, which is what they are to the house.

    The dollar gain of an inverse future is its notional times the shock, as that of a linear one.
    An inverse option pays coins for its value over the forward, at the index of the cell: with
    index and forward moving alike that is its value at today's ratio of the two.
    """
    is_option = instruments.kind[rows] == OPTION_KIND
    is_inverse = instruments.payoff[rows] == "inverse"
    forward = instruments.forward_price[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = instruments.settlement_rate[rows] / np.where(is_inverse, forward, 1.0)
    n = len(rows)
    nothing = np.full(n, np.nan)
    return ScenarioInstruments(
        symbol=instruments.instrument_id[rows],
        kind=np.where(is_option, OPTION, SPOT).astype(np.int8),
        is_inverse=np.zeros(n, dtype=np.bool_),
        contract_multiplier=np.where(is_option, instruments.contract_multiplier[rows] * rate, 1.0),
        mark_price=np.where(is_option, nothing, worth.unit_value[rows]),
        years=np.where(is_option, instruments.years[rows], nothing),
        is_call=instruments.is_call[rows],
        strike_price=instruments.strike[rows],
        forward_price=forward,
        volatility=instruments.volatility[rows],
        risk_free_rate=np.zeros(n),
    )


def _with_own_coin(
    gain: Float64Array2D,
    instruments: PricedInstruments,
    worth: Revaluation,
    rows: Int64Array1D,
    cells: Sequence[StressCell],
) -> Float64Array2D:
    """Return the gains where a linear or quanto contract is paid in the very coin that moves."""
    is_own = (instruments.settlement_asset[rows] == instruments.underlying[rows]) & (
        instruments.payoff[rows] != "inverse"
    )
    if not is_own.any():
        return gain
    shock = np.array([cell.price_shock for cell in cells])
    weight = np.array([cell.weight for cell in cells])
    is_premium = is_own & (instruments.kind[rows] == OPTION_KIND)
    premium = np.where(is_premium, worth.unit_value[rows], 0.0)[:, None] * shock * weight
    return np.where(is_own[:, None], gain * (1.0 + shock) + premium, gain)


def worst_cells(
    cell_pnl: Float64Array2D, is_held: BoolArray1D
) -> tuple[Int64Array1D, Float64Array1D]:
    """Return the cell with the largest loss of each leg, and that loss; -1 and 0 without one."""
    if not cell_pnl.shape[1]:
        return np.full(len(is_held), -1, dtype=np.int64), np.zeros(len(is_held))
    cell = cell_pnl.argmin(axis=1).astype(np.int64)
    loss = np.maximum(-cell_pnl.min(axis=1, initial=0.0), 0.0)
    loss = np.where(is_held, loss, 0.0)
    return np.where(loss > 0.0, cell, -1), loss

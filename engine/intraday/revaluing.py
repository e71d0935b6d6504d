"""Rows of the market revalued in place: factors worked out once, figures by one compiled loop.

What a mark moves is linear in factors that stay the same all day: exponentials of the snapshot's
shocks. They are kept by group of instruments (and, where an expiry comes nearer, until the
market's instant moves on), so that a tick costs products alone. Figures are those of
``engine.market.unit_figures`` to the bit; a row that is not of the usual kind is left to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.black76_compiled import Contracts, Moves, fill_values, log_moneyness, moves_of
from engine.kernels.layout import frozen, read_only
from engine.kernels.tail import TiledPnl
from engine.kernels.unit_rows_compiled import (
    INVERSE,
    LINEAR,
    SPOT,
    GridCells,
    MarketRows,
    UnitTerms,
    revalue_delta_one,
    revalue_options,
)
from engine.margin.scenario_cells import grid_cells, shocked_volatilities
from engine.margin.scenario_parameters import ScenarioGridParameters
from engine.margin.stress_grid import CLASSES, class_of, n_cells
from engine.market import PreparedMarket
from engine.rules import HouseParameters
from engine.scenarios import revaluation
from engine.scenarios.revaluation import DELTA_BUMP, FactorGroup, PricedInstruments, option_factors

_VOLATILITY_MAX: Final = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class _OptionMoves:
    moves: Moves
    payment: Float64Array1D


class Revaluer:
    """Revalues rows of one prepared market."""

    def __init__(
        self,
        instruments: PricedInstruments,
        market: PreparedMarket,
        tiled: TiledPnl,
        house: HouseParameters,
        spread: Float64Array1D,
    ) -> None:
        self._house, self._scenarios, self._spread = house, market.scenarios, spread
        self._row_of = {asset: row for row, asset in enumerate(market.assets)}
        self._is_option: BoolArray1D = instruments.kind == revaluation.OPTION
        self._is_inverse: BoolArray1D = instruments.payoff == "inverse"
        self._group = _group_numbers(instruments)
        n_groups = int(self._group.max(initial=-1)) + 1
        n_scenarios = len(market.scenarios.names)
        self._price = np.empty((n_groups, n_scenarios))
        self._settlement = np.empty((n_groups, n_scenarios))
        self._options: dict[int, _OptionMoves] = {}
        self._is_known: BoolArray1D = np.zeros(n_groups, dtype=np.bool_)
        # Groups whose shocks change as their expiry comes nearer.
        self._is_dated: BoolArray1D = np.zeros(n_groups, dtype=np.bool_)
        self._is_dated[self._group[np.isfinite(instruments.tenor_years)]] = True
        self._grid = _grid(house)
        form = np.where(self._is_inverse, INVERSE, LINEAR)
        form = np.where((instruments.kind == revaluation.SPOT) & ~self._is_inverse, SPOT, form)
        classes = [CLASSES.index(class_of(str(name), house)) for name in instruments.underlying]
        own = (instruments.settlement_asset == instruments.underlying) & ~self._is_inverse
        self._fixed = (
            form.astype(np.int64), self._group, np.array(classes, dtype=np.int64),
            own.astype(np.int64),
        )  # fmt: skip
        self._cells = _Cells.of(house)
        self._tiled = tiled
        self.derive(instruments, market)

    def derive(self, instruments: PricedInstruments, market: PreparedMarket) -> None:
        """Follow what was derived anew for another instant, or judged anew."""
        self._instruments = instruments
        self._is_known[self._is_dated] = False
        self._terms = UnitTerms(
            *self._fixed, instruments.contract_multiplier, instruments.mark_price,
            instruments.settlement_rate, self._spread,
        )  # fmt: skip
        self._out = MarketRows(
            market.historical, market.special, market.unit_value, market.delta_notional,
            market.half_spread, self._tiled.tiles, self._tiled.order, self._tiled.is_finite,
        )  # fmt: skip
        faults = zip(instruments.fault, market.fault, strict=True)
        self._is_usual: BoolArray1D = np.array([not (a or b) for a, b in faults], dtype=np.bool_)

    def revalue(self, rows: Int64Array1D) -> Int64Array1D:
        """Write the figures of ``rows``; return those that ``unit_figures`` has to do."""
        is_usual = self._is_usual[rows]
        usual, left = (rows, rows[:0]) if is_usual.all() else (rows[is_usual], rows[~is_usual])
        self._know(usual)
        is_option = self._is_option[usual]
        others, options = usual[~is_option], usual[is_option]
        if len(others) and not self._revalue_others(others):
            left = np.concatenate([left, others])
        group = self._group[options]
        for one in np.unique(group).tolist() if len(options) else ():
            members = options[group == one]
            if not self._revalue_options(members):
                left = np.concatenate([left, members])
        return np.sort(left) if len(left) else left

    def _know(self, rows: Int64Array1D) -> None:
        unknown = rows[~self._is_known[self._group[rows]]]
        for row in unknown.tolist():
            group = int(self._group[row])
            if self._is_known[group]:
                continue
            found = FactorGroup.of(
                self._instruments, np.array([row]), self._scenarios, self._row_of, self._house
            )
            if found.kind == revaluation.OPTION:
                factors = option_factors(found)
                self._options[group] = _OptionMoves(
                    _moves(factors.forward, factors.volatility),
                    # The kernel takes the width of the bumps from behind the factors.
                    np.append(factors.payment, 2.0 * DELTA_BUMP),
                )
            else:
                self._price[group] = found.price_factor
                self._settlement[group] = found.settlement_factor
            self._is_known[group] = True

    def _revalue_others(self, rows: Int64Array1D) -> bool:
        if (self._instruments.volatility[rows] > _VOLATILITY_MAX).any():
            return False
        factors = (self._price, self._settlement)
        return bool(revalue_delta_one(rows, self._terms, factors, self._grid, self._out) < 0)

    def _revalue_options(self, rows: Int64Array1D) -> bool:
        one = self._instruments
        forward, volatility, years = one.forward_price[rows], one.volatility[rows], one.years[rows]
        rate = one.settlement_rate[rows]
        is_sound = (forward > 0.0) & (forward < np.inf) & (years > 0.0) & (years < np.inf)
        is_sound &= (volatility >= 0.0) & (volatility <= _VOLATILITY_MAX) & (rate > 0.0)
        if not is_sound.all():
            return False
        contracts = (
            read_only(forward),
            read_only(one.strike[rows]),
            read_only(np.where(one.is_call[rows], 1.0, -1.0)),
        )
        moneyness, root = log_moneyness(contracts), np.sqrt(years)
        found = self._options[int(self._group[rows[0]])]
        scenarios = np.empty((len(rows), len(found.payment) - 1))
        fill_values(contracts, moneyness, _deviation(volatility, root), found.moves, scenarios)
        is_inverse = bool(self._is_inverse[rows[0]])
        coin = rate / forward if is_inverse else rate
        before, after = np.zeros((len(rows), 1)), np.zeros((len(rows), 0))
        if self._cells:
            cells = self._cells[int(self._fixed[2][rows[0]])]
            before, after = cells.values(contracts, moneyness, (volatility, years, root))
        payment = (found.payment, coin, rate / (forward if is_inverse else np.ones(len(rows))))
        values = (scenarios, before, after)
        return bool(revalue_options(rows, self._terms, values, payment, self._grid, self._out) < 0)


class _Cells:
    """Cells of one class of the stress grid, as options are valued in them."""

    def __init__(self, parameters: ScenarioGridParameters) -> None:
        cells = grid_cells(parameters)
        self._parameters, self._n_cells = parameters, len(cells)
        factor = 1.0 + cells.price_shock
        self._by_move: list[tuple[int, Int64Array1D, Moves]] = []
        for move in np.unique(cells.move).tolist():
            columns = np.flatnonzero(cells.move == move)
            moves = _moves(factor[columns], np.ones(len(columns)))
            self._by_move.append((move, columns, moves))
        self._today = _moves(np.ones(1), np.ones(1))

    @classmethod
    def of(cls, house: HouseParameters) -> list[_Cells]:
        grid = house.stress_grid
        return [] if grid is None else [cls(getattr(grid, name).grid()) for name in CLASSES]

    def values(
        self,
        contracts: Contracts,
        moneyness: Float64Array1D,
        spreads: tuple[Float64Array1D, Float64Array1D, Float64Array1D],
    ) -> tuple[Float64Array2D, Float64Array2D]:
        """Return the values of options today and in the cells. [quote currency]"""
        volatility, years, root = spreads
        n = len(volatility)
        before, after = np.empty((n, 1)), np.empty((n, self._n_cells))
        deviation = _deviation(volatility, root)
        fill_values(contracts, moneyness, deviation, self._today, before)
        shocked = shocked_volatilities(volatility, years, self._parameters)
        for move, columns, moves in self._by_move:
            part = np.empty((n, len(columns)))
            fill_values(contracts, moneyness, _deviation(shocked[move], root), moves, part)
            after[:, columns] = part
        return before, after


def _group_numbers(instruments: PricedInstruments) -> Int64Array1D:
    """Number instruments by everything that makes their shocks equal, fault or not."""
    tenor = np.nan_to_num(instruments.tenor_years, nan=-1.0).tolist()
    columns = (
        instruments.kind, instruments.payoff, instruments.underlying, instruments.quote_asset,
        instruments.settlement_asset, tenor,
    )  # fmt: skip
    number_of: dict[tuple[object, ...], int] = {}
    numbers = [number_of.setdefault(key, len(number_of)) for key in zip(*columns, strict=True)]
    return np.array(numbers, dtype=np.int64)


def _grid(house: HouseParameters) -> GridCells:
    n = 0 if house.stress_grid is None else n_cells(house.stress_grid)
    shock, weight = np.zeros((len(CLASSES), n)), np.zeros((len(CLASSES), n))
    counts = np.zeros(len(CLASSES), dtype=np.int64)
    for row, name in enumerate(CLASSES if house.stress_grid is not None else ()):
        cells = grid_cells(getattr(house.stress_grid, name).grid())
        shock[row, : len(cells)], weight[row, : len(cells)] = cells.price_shock, cells.weight
        counts[row] = len(cells)
    return GridCells(shock, weight, counts)


def _moves(forward_factor: Float64Array1D, volatility_factor: Float64Array1D) -> Moves:
    return moves_of(
        frozen("forward_factor", forward_factor, np.float64),
        frozen("volatility_factor", volatility_factor, np.float64),
    )


def _deviation(volatility: Float64Array1D, root: Float64Array1D) -> Float64Array1D:
    deviation: Float64Array1D = read_only(volatility * root)
    return deviation

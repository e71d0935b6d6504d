"""Walk through history: margin every day from what was known, then look at what was lost.

All variants of the parameters walk together: what they share on a day (the moves of the factors,
the P&L of each contract, the tails) is worked out once. The arithmetic is that of the close, by the
same functions, on arrays instead of tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Float64Array2D
from engine.backtest.books import PRODUCT, LegKind, StudyBook
from engine.backtest.day_margins import DayFigures, Moves, day_figures, day_margins
from engine.backtest.layout import Layout, layout_of
from engine.backtest.panel import Panel, history_at
from engine.backtest.unit_pnl import realised_pnl
from engine.errors import ModelInputError
from engine.rules import HouseParameters, Mpor
from engine.scenarios.risk_factors import (
    FilledReturns,
    filled_returns,
    index_moves,
    moves_of,
    rescaled,
)

WALK_COLUMNS: Final = (
    "date", "variant", "book", "value_at_risk", "expected_shortfall", "core_margin", "requirement",
    "loss", "n_assets", "horizon_days", "n_tail",
)  # fmt: skip
# Worst scenarios kept of each book and day, for the simulation of the shortfall test.
TAIL_SCENARIOS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Variant:
    """Parameters under test.

    ``confidence`` is the agreement's. Of a variant with ``keeps_tail`` the worst scenarios come
    along; one with ``forecasts_only`` has no core margin and no requirement.
    """

    name: str
    house: HouseParameters
    confidence: float
    keeps_tail: bool = False
    forecasts_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WalkStudy:
    """What is walked: the history, the books and the variants."""

    panel: Panel
    books: tuple[StudyBook, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """What was required and what was lost.

    Attributes
    ----------
    days : pandas.DataFrame
        Columns ``WALK_COLUMNS``. ``value_at_risk`` and ``expected_shortfall`` are of the filtered
        scenarios at the variant's confidence without the long-run floor: the forecasts that tests
        apply to. ``core_margin`` is the expected shortfall with the floor, the offset that is not
        granted and the fall of collateral; ``requirement`` adds the other tools and the gap add-on.
        ``loss`` is that of each leg over its own margin period of risk, the longest of which is
        ``horizon_days``. [USD]
    tails : Float64Array2D, shape (n_rows, TAIL_SCENARIOS_MAX)
        Largest scenario losses of each row, without the floor; NaN where there are none. [USD]
    """

    days: pd.DataFrame
    tails: Float64Array2D


def walk(study: WalkStudy, dates: Sequence[date]) -> Walk:
    """Return margins and losses of every book on ``dates``, for every variant.

    Raises
    ------
    ModelInputError
        If a variant has liquidity costs, which a price history cannot test.
    """
    for variant in study.variants:
        liquidity = variant.house.liquidity
        if liquidity.impact_coefficient or liquidity.spread_default:
            raise ModelInputError(f"variant {variant.name} has liquidity costs, limit 0")
    walker = _Walker(study)
    rows: list[tuple[object, ...]] = []
    tails: list[Float64Array2D] = []
    for business_date in dates:
        for found_rows, found_tails in walker.day(business_date):
            rows += found_rows
            tails.append(found_tails)
    return Walk(
        days=pd.DataFrame(rows, columns=list(WALK_COLUMNS)).astype({"date": "datetime64[ms]"}),
        tails=np.concatenate(tails) if tails else np.zeros((0, TAIL_SCENARIOS_MAX)),
    )


def testable(house: HouseParameters) -> HouseParameters:
    """Return the parameters without liquidity costs, which a price history cannot test."""
    free = replace(house.liquidity, impact_coefficient=0.0, spread_default=0.0)
    return replace(house, liquidity=free)


def over_one_day(house: HouseParameters) -> HouseParameters:
    """Return the parameters with a margin period of risk of one day for everything.

    Losses of neighbouring days then do not overlap, and the counting tests apply.
    """
    mpor = replace(house.mpor, spot=1, perpetual=1, future=1, option=1, extra_days_minor=0)
    return replace(house, mpor=mpor)


@dataclass(frozen=True, slots=True)
class _Horizons:
    """Days that each contract is held, by margin period of risk."""

    days: tuple[int, ...]
    outcomes: Float64Array2D


class _Walker:
    """Keeps what does not change from day to day."""

    def __init__(self, study: WalkStudy) -> None:
        self._study = study
        self._contracts: tuple[tuple[str, LegKind], ...] = tuple(
            sorted({(leg.asset, leg.kind) for book in study.books for leg in book.legs})
        )
        self._needs_curves = any(book.needs_curves for book in study.books)
        self._horizons = {v.house.mpor: self._horizons_of(v.house) for v in study.variants}
        self._layouts: dict[tuple[bytes, bytes], Layout] = {}

    def day(self, business_date: date) -> list[tuple[list[tuple[object, ...]], Float64Array2D]]:
        """Return rows and tails of one date, variant by variant."""
        panel = self._study.panel
        row = panel.row_of(business_date)
        if not 0 <= row < panel.dates.size:
            return []
        moves: dict[object, Moves] = {}
        filled: dict[object, FilledReturns] = {}
        figures: dict[object, DayFigures] = {}
        found = []
        for variant in self._study.variants:
            horizons = self._horizons[variant.house.mpor]
            present = np.isfinite(horizons.outcomes[:, row])
            if not present.any():
                continue
            key = _moves_key(variant.house)
            if key not in moves:
                moves[key] = self._moves(row, variant.house, filled)
            layout = self._layout(present, moves[key])
            if not layout.books:
                continue
            house = known_on(variant.house, business_date)
            shared = (key, _figures_key(variant))
            if shared not in figures:
                figures[shared] = day_figures(
                    moves[key], layout, house, horizons.days, variant.confidence,
                    forecasts_only=variant.forecasts_only,
                )  # fmt: skip
            of, margins = figures[shared], day_margins(figures[shared], house)
            found.append(self._rows(business_date, variant, layout, of, margins))
        return found

    def _rows(
        self,
        business_date: date,
        variant: Variant,
        layout: Layout,
        of: DayFigures,
        margins: tuple[Float64Array1D, Float64Array1D],
    ) -> tuple[list[tuple[object, ...]], Float64Array2D]:
        horizons, (core, requirement) = self._horizons[variant.house.mpor], margins
        outcome = horizons.outcomes[:, self._study.panel.row_of(business_date)]
        day = np.datetime64(business_date, "ms")
        rows: list[tuple[object, ...]] = []
        for i, book in enumerate(layout.books):
            gain = 0.0
            for contract, notional in book.positions:
                gain += notional * float(outcome[contract])
            n_days = max(horizons.days[contract] for contract, _ in book.positions)
            rows.append(
                (
                    day, variant.name, book.name, float(of.value_at_risk[i]),
                    float(of.expected_shortfall[i]), float(core[i]), float(requirement[i]),
                    -gain, book.n_assets, n_days, of.n_tail,
                )
            )  # fmt: skip
        tails = np.full((len(rows), TAIL_SCENARIOS_MAX), np.nan)
        if variant.keeps_tail:
            n_kept = min(of.tails.shape[1], TAIL_SCENARIOS_MAX)
            tails[:, :n_kept] = of.tails[:, :n_kept]
        return rows, tails

    def _moves(
        self, row: int, house: HouseParameters, filled: dict[object, FilledReturns]
    ) -> Moves:
        panel, contracts = self._study.panel, self._contracts
        volatility = np.array([panel.level[row, panel.column_of(asset)] for asset, _ in contracts])
        if self._needs_curves:
            history = history_at(panel, row, house)
            floored, plain = moves_of(history, house), moves_of(history, _without_floor(house))
            return Moves(
                assets=panel.assets, contracts=contracts, volatility=volatility,
                is_standalone=floored.is_standalone, floored=floored.index, plain=plain.index,
                level=floored.volatility_level, basis=floored.basis, plain_basis=plain.basis,
            )  # fmt: skip
        key = _filled_key(house)
        if key not in filled:
            filled[key] = filled_returns(history_at(panel, row, house), house)
        found = index_moves(filled[key], house)
        still = np.zeros_like(found.index)
        return Moves(
            assets=panel.assets, contracts=contracts, volatility=volatility,
            is_standalone=found.is_standalone, floored=found.index,
            plain=rescaled(found.returns, found.volatility, found.volatility[-1], house),
            level=still, basis=still, plain_basis=still,
        )  # fmt: skip

    def _layout(self, present: np.ndarray, moves: Moves) -> Layout:
        key = (present.tobytes(), moves.is_standalone.tobytes())
        if key not in self._layouts:
            self._layouts[key] = layout_of(
                self._study.books, self._contracts, present, moves.assets, moves.is_standalone
            )
        return self._layouts[key]

    def _horizons_of(self, house: HouseParameters) -> _Horizons:
        days = tuple(_mpor_days(house.mpor, kind, asset) for asset, kind in self._contracts)
        panel = self._study.panel
        outcomes = [
            realised_pnl(kind, asset, panel, n, house)
            for (asset, kind), n in zip(self._contracts, days, strict=True)
        ]
        return _Horizons(days, np.array(outcomes))


def _mpor_days(mpor: Mpor, kind: LegKind, asset: str) -> int:
    return mpor.days(PRODUCT[kind], asset)


def _moves_key(house: HouseParameters) -> object:
    """Return what the moves of a day depend on."""
    tools = house.anti_procyclicality
    return (house.filter, house.proxy, tools.long_run_floor, tools.long_run_days)


def _figures_key(variant: Variant) -> object:
    """Return what the figures of a day depend on beside its moves.

    Stress scenarios and haircuts are compared by identity: equal ones that are not the same are
    worked out twice, and no harm is done.
    """
    house = variant.house
    return (
        house.mpor, house.surface, house.gap.shocks_major, house.gap.shocks_minor,
        house.gap.volatility_shock, id(house.stress), id(house.collateral), house.stress_grid,
        variant.confidence, variant.forecasts_only,
    )  # fmt: skip


def _filled_key(house: HouseParameters) -> object:
    """Return what the returns before the filter depend on."""
    of_filter, tools = house.filter, house.anti_procyclicality
    return (
        of_filter.lookback_days, of_filter.minimum_history_days, house.proxy, tools.long_run_days,
    )  # fmt: skip


def _without_floor(house: HouseParameters) -> HouseParameters:
    tools = replace(house.anti_procyclicality, long_run_floor=False)
    return replace(house, anti_procyclicality=tools)


def known_on(house: HouseParameters, business_date: date) -> HouseParameters:
    """Return the parameters without the stress days that had not happened yet."""
    known = tuple(
        scenario
        for scenario in house.stress
        if scenario.known_since is None or scenario.known_since <= business_date
    )
    return house if len(known) == len(house.stress) else replace(house, stress=known)


def as_float(frame: pd.DataFrame, column: str) -> Float64Array1D:
    """Return a column as an array of floats."""
    values: Float64Array1D = frame[column].to_numpy(dtype=np.float64)
    return values

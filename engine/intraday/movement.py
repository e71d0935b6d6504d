"""How far the market has moved from where it was looked at: bounds by underlying and by asset.

For a row r of the market let ``d_h``, ``d_s``, ``d_g`` and ``d_c`` be the largest absolute change
of the P&L of one contract over the historical, stress, gap and grid columns since the reference
was taken, ``d_n`` and ``d_b`` the changes of its delta exposure and half spread, ``d_v`` that of
its value at the mark. All are divided by the row's scale, the exposure of one contract to its
underlying at the reference, so that one number per underlying bounds all its rows:

- ``tail``: max d_h / scale,
- ``other``: max (w d_s + share d_g + d_c [where the grid binds] + d_b + 2 d_v) / scale,
- ``delta``: max d_n / scale.

For an asset, ``rate`` is the relative change of its USD rate.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.intraday.live_market import LiveMarket
from engine.kernels.screening_layout import ROOM, RowFigures
from engine.rules import HouseParameters

# Levels that are watched stay below it: what a loss of cover may weigh in units of what is owed.
LEVEL_MAX: Final = 2.0
# Beyond it the reference is taken anew.
REACH_MAX: Final = 0.01
# By how much tail, other, delta and rate grow at most while an underlying travels by one: about
# what they do when its price moves by that much.
PER_TRAVELLED: Final = np.array([0.5, 2.5, 1.0, 1.0])


class Movement:
    """Movement of every underlying and asset since the reference, and along its path.

    Attributes
    ----------
    scale : Float64Array1D, shape (n_instruments,)
        Exposure of one contract, > 0. [USD]
    reference_rate : Float64Array1D, shape (n_assets,)
        With which exposures are made. [USD]
    measures : Float64Array2D, shape (4, n_assets)
        Tail, other, delta and rate; see the module. [-]
    path : Float64Array2D, shape (4, n_assets)
        The same from tick to tick, added up; never falls. Between two looks at a netting set its
        measures change by no more than its path has grown. [-]
    travelled : Float64Array1D, shape (n_assets,)
        Grows with every growth of a measure, that over `PER_TRAVELLED`; never falls. [-]
    """

    def __init__(self, live: LiveMarket, house: HouseParameters) -> None:
        self._live, self._house = live, house
        n = len(live.prepared.assets)
        self.travelled: Float64Array1D = np.zeros(n)
        self.path: Float64Array2D = np.zeros((4, n))
        self.rebase_all()

    def rebase_all(self) -> None:
        """Take the reference anew for everything."""
        live, market = self._live, self._live.prepared
        n = len(market.assets)
        self._value = self._values(np.arange(market.n_instruments))
        self._reference, self._last = self._figures().copied(), self._figures().copied()
        self.scale: Float64Array1D = self._scales()
        self._columns = _columns(live, self._house)
        self.reference_rate: Float64Array1D = market.usd_rate.copy()
        self._rate_from: Float64Array1D = market.usd_rate.copy()
        self._rate_last: Float64Array1D = market.usd_rate.copy()
        self.measures: Float64Array2D = np.zeros((4, n))
        self._delta_before: Float64Array1D = np.zeros(n)

    def follow(self, rows: Int64Array1D, assets: Int64Array1D) -> None:
        """Measure the rows and rates that have moved; what an underlying has moved only grows."""
        # numba takes most of a second to import, so it is loaded where it computes.
        from engine.kernels.screening_compiled import follow_rows

        market = self._live.prepared
        before, steps = self.measures.copy(), np.zeros_like(self.measures)
        if len(rows):
            self._value[rows] = self._values(rows)
            follow_rows(
                rows,
                (self._figures(), self._reference, self._last),
                self.scale,
                self._columns,
                (market.underlying, self.measures, steps),
            )
        if len(assets):
            rate, reference = market.usd_rate[assets], self.reference_rate[assets]
            far = np.abs(rate - self._rate_from[assets]) / reference
            self.measures[3, assets] = np.maximum(self.measures[3, assets], far)
            steps[3, assets] = np.abs(rate - self._rate_last[assets]) / reference
            self._rate_last[assets] = rate
        self.path += steps * ROOM
        grown = (self.measures - before) / PER_TRAVELLED[:, np.newaxis]
        # Room for what the differences round.
        self.travelled += grown.max(axis=0) * ROOM

    def far(self) -> Int64Array1D:
        """Return the assets whose reference is to be taken anew."""
        return np.flatnonzero(self.measures.max(axis=0) > REACH_MAX)

    def rebase(self, assets: Int64Array1D) -> None:
        """Take the reference anew for some underlyings and assets; scales stay."""
        market = self._live.prepared
        rows = np.flatnonzero(np.isin(market.underlying, assets))
        for kept, now in zip(self._reference, self._figures(), strict=True):
            kept[rows] = now[rows]
        self._delta_before[assets] += self.measures[2, assets]
        self.measures[:, assets] = 0.0
        # Changes stay relative to the first reference, with which exposures are made.
        self._rate_from[assets] = market.usd_rate[assets]

    @property
    def delta_in_all(self) -> Float64Array1D:
        """Return how far delta exposures have moved since exposures were made. [-]"""
        total: Float64Array1D = self._delta_before + self.measures[2]
        return total

    def _figures(self) -> RowFigures:
        market = self._live.prepared
        return RowFigures(
            market.historical, market.special, market.delta_notional, market.half_spread,
            self._value,
        )  # fmt: skip

    def _values(self, rows: Int64Array1D) -> Float64Array1D:
        """Return the value of one contract at its mark, as variation margin counts it. [USD]"""
        one = self._live.instruments
        mark = one.mark_price[rows]
        is_reciprocal = self._live.is_reciprocal[rows]
        usable = np.isfinite(mark) & (mark > 0.0) & np.isfinite(one.settlement_rate[rows])
        mark = np.where(usable, mark, 1.0)
        units = np.where(is_reciprocal, -1.0 / mark, mark) * one.contract_multiplier[rows]
        rate = np.where(usable, one.settlement_rate[rows], 0.0)
        values: Float64Array1D = units * rate
        return values

    def _scales(self) -> Float64Array1D:
        one, market = self._live.instruments, self._live.prepared
        rate = market.usd_rate[market.underlying]
        coins = np.where(one.kind == "option", np.abs(one.contract_multiplier * rate), 0.0)
        scale = np.maximum(np.nan_to_num(coins), np.abs(market.delta_notional))
        scale = np.maximum(scale, np.abs(market.unit_value))
        # A row without any exposure moves nothing: any scale will do.
        found: Float64Array1D = np.where(np.isfinite(scale) & (scale > 0.0), scale, 1.0)
        return found


def _columns(
    live: LiveMarket, house: HouseParameters
) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
    """Return where gaps and cells begin, and what stress days, gaps, cells and values weigh."""
    scenarios = live.prepared.scenarios
    binds = house.stress_grid is not None and house.stress_grid.binds
    weights = (
        float(house.anti_procyclicality.stress_weight),
        float(house.gap.share),
        1.0 if binds else 0.0,
        LEVEL_MAX,
    )
    return (scenarios.n_stress, scenarios.n_stress + scenarios.n_gap), weights

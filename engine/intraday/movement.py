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
from engine.rules import HouseParameters

# Levels that are watched stay below it: what a loss of cover may weigh in units of what is owed.
LEVEL_MAX: Final = 2.0
# Beyond it the reference is taken anew.
REACH_MAX: Final = 0.01
# By how much tail, other, delta and rate grow at most while an underlying travels by one: about
# what they do when its price moves by that much.
PER_TRAVELLED: Final = np.array([0.5, 2.5, 1.0, 1.0])


class Movement:
    """Movement of every underlying and asset since the reference.

    Attributes
    ----------
    scale : Float64Array1D, shape (n_instruments,)
        Exposure of one contract, > 0. [USD]
    reference_rate : Float64Array1D, shape (n_assets,)
        With which exposures are made. [USD]
    tail, other, delta, rate : Float64Array1D, shape (n_assets,)
        See the module. [-]
    travelled : Float64Array1D, shape (n_assets,)
        Grows with every growth of a measure, that over `PER_TRAVELLED`; never falls. [-]
    """

    def __init__(self, live: LiveMarket, house: HouseParameters) -> None:
        self._live, self._house = live, house
        self.travelled: Float64Array1D = np.zeros(len(live.prepared.assets))
        self.rebase_all()

    def rebase_all(self) -> None:
        """Take the reference anew for everything."""
        market = self._live.prepared
        n = len(market.assets)
        self._historical, self._special = market.historical.copy(), market.special.copy()
        self._delta, self._spread = market.delta_notional.copy(), market.half_spread.copy()
        self._value = self._values(np.arange(market.n_instruments))
        self.scale: Float64Array1D = self._scales()
        self.reference_rate: Float64Array1D = market.usd_rate.copy()
        self._rate_from: Float64Array1D = market.usd_rate.copy()
        self.tail, self.other, self.delta, self.rate = (np.zeros(n) for _ in range(4))
        self._delta_before: Float64Array1D = np.zeros(n)

    def follow(self, rows: Int64Array1D, assets: Int64Array1D) -> None:
        """Measure the rows and rates that have moved; what an underlying has moved only grows."""
        market, house = self._live.prepared, self._house
        before = self.measures()
        if len(rows):
            weights = _column_weights(self._live, house)
            scale = self.scale[rows]
            tail = np.abs(market.historical[rows] - self._historical[rows]).max(axis=1) / scale
            special = np.abs(market.special[rows] - self._special[rows])
            other = sum(
                weight * special[:, columns].max(axis=1, initial=0.0) for columns, weight in weights
            )
            other = other + np.abs(market.half_spread[rows] - self._spread[rows])
            other = other + LEVEL_MAX * np.abs(self._values(rows) - self._value[rows])
            delta = np.abs(market.delta_notional[rows] - self._delta[rows]) / scale
            under = market.underlying[rows]
            np.maximum.at(self.tail, under, tail)
            np.maximum.at(self.other, under, other / scale)
            np.maximum.at(self.delta, under, delta)
        if len(assets):
            moved = np.abs(market.usd_rate[assets] - self._rate_from[assets])
            np.maximum.at(self.rate, assets, moved / self.reference_rate[assets])
        grown = (self.measures() - before) / PER_TRAVELLED[:, np.newaxis]
        # Room for what the differences round.
        self.travelled += grown.max(axis=0) * (1.0 + 1e-9)

    def measures(self) -> Float64Array2D:
        """Return tail, other, delta and rate of every asset, one row each. [-]"""
        return np.stack([self.tail, self.other, self.delta, self.rate])

    def far(self) -> Int64Array1D:
        """Return the assets whose reference is to be taken anew."""
        reach = np.maximum(np.maximum(self.tail, self.delta), np.maximum(self.other, self.rate))
        return np.flatnonzero(reach > REACH_MAX)

    def rebase(self, assets: Int64Array1D) -> None:
        """Take the reference anew for some underlyings and assets; scales stay."""
        market = self._live.prepared
        rows = np.flatnonzero(np.isin(market.underlying, assets))
        self._historical[rows], self._special[rows] = market.historical[rows], market.special[rows]
        self._delta[rows], self._spread[rows] = (
            market.delta_notional[rows],
            market.half_spread[rows],
        )
        self._value[rows] = self._values(rows)
        self._delta_before[assets] += self.delta[assets]
        for measure in (self.tail, self.other, self.delta, self.rate):
            measure[assets] = 0.0
        # Changes stay relative to the first reference, with which exposures are made.
        self._rate_from[assets] = market.usd_rate[assets]

    @property
    def delta_in_all(self) -> Float64Array1D:
        """Return how far delta exposures have moved since exposures were made. [-]"""
        total: Float64Array1D = self._delta_before + self.delta
        return total

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


def _column_weights(live: LiveMarket, house: HouseParameters) -> list[tuple[slice, float]]:
    scenarios = live.prepared.scenarios
    n_stress, n_gap = scenarios.n_stress, scenarios.n_gap
    binds = house.stress_grid is not None and house.stress_grid.binds
    return [
        (slice(0, n_stress), house.anti_procyclicality.stress_weight),
        (slice(n_stress, n_stress + n_gap), house.gap.share),
        (slice(n_stress + n_gap, None), 1.0 if binds else 0.0),
    ]

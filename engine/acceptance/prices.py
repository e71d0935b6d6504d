"""Prices as they come in, and the marks that count: one writer, no clock of its own.

``take`` keeps the latest candidate of each row that can be a price at all; ``settle`` compares
the rows touched since with the other sources and says which marks moved. What is taken between
two settlements is conflated: the latest of each instrument counts, so that the queue is never
longer than the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from engine.acceptance.parameters import AcceptanceParameters
from engine.acceptance.state import (
    NEVER,
    PriceState,
    Standing,
    Ticks,
    Verdict,
    state_at_snapshot,
)
from engine.acceptance.table import SECOND, AcceptanceTable
from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.kernels.acceptance_compiled import (
    LimitArrays,
    StateArrays,
    TableArrays,
    TickArrays,
    settle_levels,
    settle_rows,
    take_ticks,
)

_Arrays = TypeVar("_Arrays", TableArrays, StateArrays, TickArrays)
_NONE: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedPrices:
    """What moved in a settlement.

    Attributes
    ----------
    instruments : Int64Array1D
        Rows of instruments whose mark moved.
    mark_price, mark_iv, forward_price : Float64Array1D
        What counts of them.
    assets : Int64Array1D
        Assets whose price moved.
    usd_rate : Float64Array1D
        Their prices; of a pegged asset no more than its redemption value (I-33). [USD]
    doubted : Int64Array1D
        Assets in doubt: no quorum with sources apart, or a jump that has yet to last.
    n_conflated : int
        Prices taken that later ones of the same row replaced.
    oldest_ns : int
        Monotonic instant at which the oldest of what was settled came in. [ns]
    """

    instruments: Int64Array1D
    mark_price: Float64Array1D
    mark_iv: Float64Array1D
    forward_price: Float64Array1D
    assets: Int64Array1D
    usd_rate: Float64Array1D
    doubted: Int64Array1D
    n_conflated: int
    oldest_ns: int


class PriceAcceptance:
    """The prices of one table."""

    def __init__(self, table: AcceptanceTable, parameters: AcceptanceParameters) -> None:
        self.table, self.parameters = table, parameters
        self.state = state_at_snapshot(table)
        self._tables = _arrays(TableArrays, table)
        self._states = _arrays(StateArrays, self.state)
        self._limits = limit_arrays(parameters)
        self._dirty: list[Int64Array1D] = []
        self._n_dirty = 0
        self._oldest_ns = 0
        self._held: Int64Array1D = _NONE
        self._doubted: Int64Array1D = _NONE

    @property
    def is_dirty(self) -> bool:
        """Return whether something was taken since the last settlement."""
        return bool(self._dirty)

    def take(self, ticks: Ticks) -> Int64Array1D:
        """Keep what can be a price; return a ``Verdict`` each.

        What is not finite, outside the product's domain, older than what is known, seen before or
        stamped ahead of the clock changes nothing but the count of its source (I-32, I-39).
        """
        verdicts: Int64Array1D = take_ticks(
            self._tables, self._states, self._limits, _arrays(TickArrays, ticks)
        )
        taken = ticks.row[verdicts == Verdict.TAKEN]
        if taken.size:
            if not self._dirty:
                self._oldest_ns = ticks.received_ns
            self._dirty.append(taken)
            self._n_dirty += int(taken.size)
        return verdicts

    def settle(self, now_ns: int) -> AcceptedPrices:
        """Return the marks and rates that count now, as far as they moved.

        A mark within the band of the median of at least three sources counts as it is, outside it
        as the edge of the band: one source moves a mark by the band at most. Without a quorum a
        jump has to last before it is believed, and the asset is in doubt meanwhile.
        """
        taken = np.unique(np.concatenate(self._dirty)) if self._dirty else _NONE
        n_taken, self._n_dirty, self._dirty = self._n_dirty, 0, []
        touched = np.union1d(taken, self._held) if self._held.size else taken
        assets = np.unique(self.table.asset[touched])
        moved_assets = assets[self._settle_levels(assets, now_ns)]
        # Marks at the edge of a band move with the band.
        rows = self._with_edges(touched[touched < self.table.n_instruments], moved_assets)
        moved = rows[settle_rows(self._tables, self._states, self._limits, rows, now_ns)]
        standing = self.state.standing[rows]
        self._held = rows[(standing == Standing.AT_BAND) | (standing == Standing.WAITING)]
        self._doubted = self._doubts(self._held)
        return AcceptedPrices(
            instruments=moved,
            mark_price=self.state.mark[moved],
            mark_iv=self.state.mark_iv[moved],
            forward_price=self.state.mark_forward[moved],
            assets=moved_assets,
            usd_rate=self.rates(moved_assets),
            doubted=self._doubted,
            n_conflated=n_taken - int(taken.size),
            oldest_ns=self._oldest_ns,
        )

    def rates(self, assets: Int64Array1D) -> Float64Array1D:
        """Return the price of one unit of assets as collateral. [USD]

        Without a quorum the lowest source counts; a pegged asset counts its redemption value at
        most (I-33).
        """
        return collateral_rates(self.state.low[assets], self.table.redemption[assets])

    def stale(self, now_ns: int) -> BoolArray1D:
        """Return which instruments are stale: silent, or repeating themselves for too long.

        Before its first price an instrument is stale: the snapshot's mark still counts.
        """
        n = self.table.n_instruments
        return ~_fresh(self.state, self._limits, now_ns)[:n]

    def age_seconds(self, now_ns: int) -> Float64Array1D:
        """Return how long ago the last price of each instrument came in; infinite before. [s]"""
        received = self.state.received_ns[: self.table.n_instruments]
        age = (now_ns - received) / SECOND
        return np.where(received == NEVER, np.inf, age)

    def suspects(self) -> Mapping[str, int]:
        """Return how many instruments of each source stand at the edge of their band or wait."""
        counts = np.bincount(self.table.source[self._held], minlength=len(self.table.sources))
        return {name: int(counts[k]) for k, name in enumerate(self.table.sources) if counts[k]}

    def restore(self, rows: Int64Array1D, marks: tuple[Float64Array1D, ...]) -> None:
        """Let marks of an earlier process count again; they stay stale until a price comes in."""
        for target, values in zip(
            (self.state.mark, self.state.mark_iv, self.state.mark_forward), marks, strict=True
        ):
            target[rows] = np.where(np.isnan(values), target[rows], values)
        for target, source in (
            (self.state.price, self.state.mark),
            (self.state.iv, self.state.mark_iv),
            (self.state.forward, self.state.mark_forward),
        ):
            target[rows] = source[rows]

    def _settle_levels(self, assets: Int64Array1D, now_ns: int) -> BoolArray1D:
        moved: BoolArray1D = settle_levels(self._tables, self._states, self._limits, assets, now_ns)
        return moved

    def _with_edges(self, rows: Int64Array1D, moved_assets: Int64Array1D) -> Int64Array1D:
        if not moved_assets.size or not self._held.size:
            return rows
        held = self._held[np.isin(self.table.asset[self._held], moved_assets)]
        return np.union1d(rows, held)

    def _doubts(self, held: Int64Array1D) -> Int64Array1D:
        waiting = held[self.state.standing[held] == Standing.WAITING]
        apart = (self.state.n_sources > 0) & (
            self.state.high > self.state.low * (1.0 + self.table.band)
        )
        doubted = np.union1d(np.flatnonzero(apart), self.table.asset[waiting])
        return doubted.astype(np.int64)


def collateral_rates(low: Float64Array1D, redemption: Float64Array1D) -> Float64Array1D:
    """Return what one unit counts as collateral: the least of its sources and its redemption."""
    return np.fmin(low, redemption)


def liability_rates(high: Float64Array1D, redemption: Float64Array1D) -> Float64Array1D:
    """Return what one unit counts as a debt: the most of its sources and its redemption."""
    return np.fmax(high, redemption)


def limit_arrays(parameters: AcceptanceParameters) -> LimitArrays:
    """Return the limits in the units of the loops."""
    return LimitArrays(
        n_sources_min=parameters.n_sources_min,
        jump_max=parameters.jump_max,
        volatility_jump_max=parameters.volatility_jump_max,
        volatility_max=parameters.volatility_max,
        confirm_ns=round(parameters.confirm_seconds * SECOND),
        age_ns=round(parameters.mark_age_seconds_max * SECOND),
        frozen_ns=round(parameters.frozen_seconds_max * SECOND),
        ahead_ns=round(parameters.ahead_seconds_max * SECOND),
    )


def _arrays(kind: type[_Arrays], holder: object) -> _Arrays:
    return kind(*(getattr(holder, name) for name in kind._fields))


def _fresh(state: PriceState, limits: LimitArrays, now_ns: int) -> BoolArray1D:
    fresh: BoolArray1D = (now_ns - state.received_ns <= limits.age_ns) & (
        now_ns - state.changed_ns <= limits.frozen_ns
    )
    return fresh

"""A rough requirement per netting set, to size collateral by; the engine never sees it.

Every asset moves by a multiple of its daily standard deviation, alone and with all others, which
stands for the tail of a historical simulation; four historic days and a grid of jumps stand for
stress and gap. Options are revalued with Black-76. The parts are put together as house models do:
tail, a share of what is not allowed to offset, a quarter of what stress and gap lose beyond it,
and what liquidation costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from infra.simulator.world.option_values import option_values
from infra.simulator.world.tradables import (
    FUTURE,
    OPTION,
    PERPETUAL,
    SPOT,
    BookMarket,
    Tradables,
)


@dataclass(frozen=True, slots=True)
class Move:
    """One joint move: log moves of majors and others, volatility, annual basis, stablecoins."""

    major: float
    minor: float
    volatility: float
    basis: float = 0.0
    peg: float = 0.0


# The tail's price moves follow from each asset's volatility; these are their company.
TAIL: Final = (Move(-1.0, -1.0, 0.25), Move(1.0, 1.0, 0.0))
# The falls of 2020-03-12 and 2021-05-19, the rise of 2021-02-08 and a run on a stablecoin.
STRESS: Final = (
    Move(-0.50, -0.55, 0.80, -0.25),
    Move(-0.20, -0.42, 0.60, -0.20),
    Move(0.17, 0.16, 0.35, 0.15),
    Move(-0.10, -0.10, 0.30, -0.10, -0.10),
)
# Jumps of 30 and 15 % of majors, of twice that of others.
GAPS: Final = (
    Move(np.log(0.70), np.log(0.40), 0.50),
    Move(np.log(0.85), np.log(0.70), 0.50),
    Move(np.log(1.15), np.log(1.30), 0.50),
    Move(np.log(1.30), np.log(1.60), 0.50),
)
TAIL_MULTIPLE: Final = 3.9
"""Expected shortfall at 99 % over the standard deviation, fat tails and all."""
OFFSET_REFUSED: Final = 0.20
STRESS_WEIGHT: Final = 0.25
GAP_SHARE: Final = 0.25
GAP_CORRELATION: Final = 0.60
MINOR_DAYS, OPTION_DAYS = 1.0, 1.0
"""Days of liquidation that minor assets and options take beyond one. [days]"""
SHORT_HISTORY_DAYS: Final = 250
SHORT_HISTORY_MULTIPLE: Final = 2.0
DAILY_VOLATILITY_DEFAULT: Final = 0.05
IMPACT_FREE_SHARE: Final = 0.001
PERPETUAL_TENOR_YEARS: Final = 0.02
COST_SHARE: Final = 0.001
MAJORS: Final = ("BTC", "ETH")


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Signed contracts by netting set and row of ``Tradables``; several rows may name the same."""

    owner: Int64Array1D
    instrument: Int64Array1D
    quantity: Float64Array1D

    def with_orders(self, orders: Exposure, side: float) -> Exposure:
        """Return the exposure after all orders of one side (+1 buys, -1 sells) have filled."""
        mine = orders.quantity * side > 0.0
        return Exposure(
            owner=np.concatenate([self.owner, orders.owner[mine]]),
            instrument=np.concatenate([self.instrument, orders.instrument[mine]]),
            quantity=np.concatenate([self.quantity, orders.quantity[mine]]),
        )


def requirement_estimate(
    market: BookMarket,
    table: Tradables,
    positions: Exposure,
    orders: Exposure,
    n_netting_sets: int,
) -> Float64Array1D:
    """Return a rough requirement of each netting set of the population. [USD]

    The worst of three: as positions stand, with all buy orders filled, with all sell orders.
    """
    volatility = daily_volatility(market, table)
    cases = (positions, positions.with_orders(orders, 1.0), positions.with_orders(orders, -1.0))
    worst: Float64Array1D = np.maximum.reduce(
        [_estimate(table, volatility, case, n_netting_sets) for case in cases]
    )
    return worst


def _estimate(
    table: Tradables, volatility: Float64Array1D, exposure: Exposure, n_netting_sets: int
) -> Float64Array1D:
    book = _Book(table, exposure, n_netting_sets)
    tail_days = 1.0 + MINOR_DAYS * ~_is_major(table)[table.asset]
    tail_days = tail_days + OPTION_DAYS * (table.kind == OPTION)
    reach = TAIL_MULTIPLE * volatility[table.asset] * np.sqrt(tail_days)
    tails = np.stack([book.pnl(move.major * reach, move) for move in TAIL])
    stress = np.stack([book.pnl(_log_move(table, move), move) for move in STRESS])
    gaps = np.stack([book.pnl(_log_move(table, move), move) for move in GAPS])
    alone = np.maximum(-tails.min(axis=0), 0.0)
    diversified = np.sqrt((alone**2).sum(axis=1))
    tail = np.maximum(-tails.sum(axis=2).min(axis=0), diversified)
    core = tail + OFFSET_REFUSED * np.maximum(alone.sum(axis=1) - tail, 0.0)
    worst_day = -stress.sum(axis=2).min(axis=0)
    jump = np.maximum(-gaps.min(axis=0), 0.0)
    together = GAP_CORRELATION * jump.sum(axis=1) ** 2
    gap = np.sqrt(together + (1.0 - GAP_CORRELATION) * (jump**2).sum(axis=1))
    estimate: Float64Array1D = (
        core
        + STRESS_WEIGHT * np.maximum(worst_day - core, 0.0)
        + GAP_SHARE * np.maximum(gap - core, 0.0)
        + book.liquidation_cost(volatility)
    )
    return estimate


def daily_volatility(market: BookMarket, table: Tradables) -> Float64Array1D:
    """Return the daily volatility of each asset, long-run or recent, whichever is larger. [-]"""
    history = market.price_history
    found = np.full(len(table.assets), np.nan)
    if len(history):
        until = history[history["date"] <= pd.Timestamp(table.business_date)]
        good = until[until["close"].gt(0.0) & until["asset"].isin(list(table.assets))]
        by_day = good.drop_duplicates(["date", "asset"]).pivot(
            index="date", columns="asset", values="close"
        )
        returns = by_day.transform(np.log).diff()
        for k, asset in enumerate(table.assets):
            if asset in returns:
                own = returns[asset].dropna()
                if len(own) >= SHORT_HISTORY_DAYS:
                    found[k] = max(float(own.std()), float(own.tail(30).std()))
    proxy = found[table.assets.index("BTC")] if "BTC" in table.assets else np.nan
    default = SHORT_HISTORY_MULTIPLE * proxy if np.isfinite(proxy) else DAILY_VOLATILITY_DEFAULT
    volatility: Float64Array1D = np.where(np.isfinite(found), found, default)
    return volatility


class _Book:
    """Positions of all netting sets, revalued under one move at a time."""

    def __init__(self, table: Tradables, exposure: Exposure, n_netting_sets: int) -> None:
        self._table = table
        self._n = n_netting_sets
        self._instrument = exposure.instrument
        # What settles today bears no risk beyond the close.
        alive = ~table.expires_today[exposure.instrument]
        self._quantity = exposure.quantity * alive
        self._cell = exposure.owner * len(table.assets) + table.asset[exposure.instrument]

    def pnl(self, log_move: Float64Array1D, move: Move) -> Float64Array2D:
        """Return profits by netting set and underlying; ``log_move`` is per instrument. [USD]"""
        unit = _unit_pnl(self._table, log_move, move)
        return self._summed(np.nan_to_num(self._quantity * unit[self._instrument]))

    def liquidation_cost(self, volatility: Float64Array1D) -> Float64Array1D:
        """Return impact by the square-root law and a little for spreads. [USD]"""
        table = self._table
        unit = np.nan_to_num(table.unit_notional * table.delta)
        exposure = self._quantity * unit[self._instrument]
        net = np.abs(self._summed(exposure))
        share = net / table.average_daily_volume_usd
        share = np.where(share > IMPACT_FREE_SHARE, share, 0.0)
        impact = (net * volatility * np.sqrt(share)).sum(axis=1)
        cost: Float64Array1D = impact + COST_SHARE * self._summed(np.abs(exposure)).sum(axis=1)
        return cost

    def _summed(self, values: Float64Array1D) -> Float64Array2D:
        shape = (self._n, len(self._table.assets))
        summed = np.zeros(shape[0] * shape[1])
        summed += np.bincount(self._cell, weights=values, minlength=len(summed))
        return summed.reshape(shape)


def _is_major(table: Tradables) -> BoolArray1D:
    return np.array([asset in MAJORS for asset in table.assets], dtype=np.bool_)


def _log_move(table: Tradables, move: Move) -> Float64Array1D:
    return np.where(_is_major(table)[table.asset], move.major, move.minor)


def _unit_pnl(table: Tradables, log_move: Float64Array1D, move: Move) -> Float64Array1D:
    """Return the profit of one contract of each instrument. [USD]"""
    tenor = np.where(table.kind == PERPETUAL, PERPETUAL_TENOR_YEARS, 0.0)
    dated = (table.kind == FUTURE) | (table.kind == OPTION)
    tenor = np.where(dated, np.maximum(np.nan_to_num(table.years), 0.0), tenor)
    factor = np.exp(log_move + move.basis * tenor)
    # Spot is held in its quote currency whole; of a derivative only the gain is.
    pegged = np.exp(move.peg) if move.peg else 1.0
    holding = np.where(table.kind == SPOT, factor * pegged - 1.0, (factor - 1.0) * pegged)
    # A quanto's gain comes in a coin that moves too, taken to move as the contract does.
    holding = np.where(table.is_quanto, (factor - 1.0) * np.exp(0.8 * log_move), holding)
    pnl = table.unit_notional * np.where(table.is_inverse, factor - 1.0, holding)
    # Only what can be priced: an option without a forward or volatility is nobody's new position.
    rows = (table.kind == OPTION) & np.isfinite(table.unit_notional)
    forward, volatility = table.forward[rows], table.volatility[rows]
    terms = (table.years[rows], table.is_call[rows])
    now = option_values(forward, table.strike[rows], volatility, *terms)
    raised = volatility * float(np.exp(move.volatility))
    then = option_values(forward * factor[rows], table.strike[rows], raised, *terms)
    pnl[rows] = table.multiplier[rows] * table.quote_rate[rows] * (then - now)
    result: Float64Array1D = pnl
    return result

"""A rough requirement per netting set, to size collateral by; the engine never sees it.

Every asset moves by a multiple of its daily standard deviation, down and up, alone and together,
and by the size of a historic crash and rally; options are revalued with Black-76 and a rise in
volatility. The estimate blends the worst of the former with a quarter of the worst of the latter,
as the house's stress weight does, and adds what liquidation costs.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import ndtr

from engine.arrays import Float64Array1D, Float64Array2D
from infra.simulator.world.holdings import Holdings, quantity_of
from infra.simulator.world.tradables import OPTION, BookMarket, Tradables

TAIL_MULTIPLE: Final = 3.4
"""Expected shortfall at 99 % over the standard deviation of a Student-t with four degrees."""
STRESS_WEIGHT: Final = 0.25
# Log moves of a historic crash and rally, majors and others, and what volatility does then.
CRASH: Final = {"major": -0.50, "minor": -0.55}
RALLY: Final = {"major": 0.16, "minor": 0.20}
VOLATILITY_MOVES: Final = (0.30, 0.05, 0.70, 0.25)
"""Log change of volatility in: tail down, tail up, crash, rally."""
MINOR_HORIZON_DAYS: Final = 2.0
SHORT_HISTORY_DAYS: Final = 250
SHORT_HISTORY_MULTIPLE: Final = 2.0
DAILY_VOLATILITY_DEFAULT: Final = 0.05
MAJORS: Final = ("BTC", "ETH")
IMPACT_FREE_SHARE: Final = 0.001
_TAIL_DOWN, _TAIL_UP, _CRASH, _RALLY = range(4)


def requirement_estimate(
    market: BookMarket, table: Tradables, holdings: Holdings, n_netting_sets: int
) -> Float64Array1D:
    """Return a rough requirement of each netting set of the population. [USD]"""
    moves = _moves(market, table)
    pnl = _unit_pnl(table, moves)
    quantity = quantity_of(table, holdings.instrument, holdings.lots)
    n_assets = len(table.assets)
    code = holdings.owner * n_assets + table.asset[holdings.instrument]
    size = n_netting_sets * n_assets
    by_asset = np.stack(
        [
            np.bincount(
                code, weights=np.nan_to_num(quantity * pnl[holdings.instrument, k]), minlength=size
            ).reshape(n_netting_sets, n_assets)
            for k in range(pnl.shape[1])
        ]
    )
    together = -by_asset.sum(axis=2)
    alone = np.maximum(np.maximum(-by_asset[_TAIL_DOWN], -by_asset[_TAIL_UP]), 0.0)
    tail = np.maximum.reduce(
        [together[_TAIL_DOWN], together[_TAIL_UP], np.sqrt((alone**2).sum(axis=1))]
    )
    stress = np.maximum.reduce([together[_CRASH], together[_RALLY], tail])
    estimate: Float64Array1D = (
        (1.0 - STRESS_WEIGHT) * tail
        + STRESS_WEIGHT * stress
        + _liquidation(table, holdings, quantity, moves, n_netting_sets)
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


def _moves(market: BookMarket, table: Tradables) -> Float64Array2D:
    major = np.array([asset in MAJORS for asset in table.assets])
    horizon = np.sqrt(np.where(major, 1.0, MINOR_HORIZON_DAYS))
    tail = TAIL_MULTIPLE * daily_volatility(market, table) * horizon
    crash = np.where(major, CRASH["major"], CRASH["minor"])
    rally = np.where(major, RALLY["major"], RALLY["minor"])
    moves: Float64Array2D = np.stack([-tail, tail, np.minimum(crash, -tail), rally])
    return moves


def _unit_pnl(table: Tradables, moves: Float64Array2D) -> Float64Array2D:
    """Return the profit of one contract, shape (n_instruments, 4). [USD]"""
    options = table.kind == OPTION
    pnl = np.empty((len(table.kind), len(moves)))
    for k, move in enumerate(moves):
        factor = np.exp(move[table.asset])
        pnl[:, k] = table.unit_notional * (factor - 1.0)
        now = _value(table, options, np.ones(int(options.sum())), 1.0)
        then = _value(table, options, factor[options], float(np.exp(VOLATILITY_MOVES[k])))
        unit = table.multiplier[options] * table.quote_rate[options]
        pnl[options, k] = unit * (then - now)
    return pnl


def _value(
    table: Tradables, rows: np.ndarray, factor: Float64Array1D, volatility_factor: float
) -> Float64Array1D:
    forward, strike = table.forward[rows] * factor, table.strike[rows]
    years = np.maximum(table.years[rows], 1e-6)
    deviation = table.volatility[rows] * volatility_factor * np.sqrt(years)
    d_plus = np.log(forward / strike) / deviation + 0.5 * deviation
    sign = np.where(table.is_call[rows], 1.0, -1.0)
    value: Float64Array1D = sign * (
        forward * ndtr(sign * d_plus) - strike * ndtr(sign * (d_plus - deviation))
    )
    return value


def _liquidation(
    table: Tradables,
    holdings: Holdings,
    quantity: Float64Array1D,
    moves: Float64Array2D,
    n_netting_sets: int,
) -> Float64Array1D:
    n_assets = len(table.assets)
    exposure = np.nan_to_num(
        quantity * table.unit_notional[holdings.instrument] * table.delta[holdings.instrument]
    )
    code = holdings.owner * n_assets + table.asset[holdings.instrument]
    net = np.bincount(code, weights=exposure, minlength=n_netting_sets * n_assets)
    net = np.abs(net.reshape(n_netting_sets, n_assets))
    share = net / table.average_daily_volume_usd
    share = np.where(share > IMPACT_FREE_SHARE, share, 0.0)
    daily = moves[_TAIL_UP] / TAIL_MULTIPLE
    cost: Float64Array1D = (net * daily * np.sqrt(share)).sum(axis=1)
    gross = np.bincount(holdings.owner, weights=np.abs(exposure), minlength=n_netting_sets)
    return cost + 0.002 * gross

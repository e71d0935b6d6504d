"""Marks of every instrument at one close, as contract ``marks``.

Futures carry the index along the basis; perpetuals stand a week of basis over it; each venue adds
a small deviation of its own. Options are Black-76 on the forward of their expiry at the smile's
volatility; inverse options are paid in coin, so their mark is the value over the forward. Marks
are rounded as finely as venues publish them, which is finer than the tick of orders: Deribit's
coin marks carry six decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D
from engine.times import NANOSECONDS_PER_YEAR
from infra.simulator.world.day_market import DayMarket
from infra.simulator.world.listings import listed_at
from infra.simulator.world.option_values import option_values

COIN_MARK_STEP = 1e-6
MARK_STEPS_PER_TICK = 10.0
"""Marks of options quoted in dollars are published ten times finer than the tick."""
VENUE_PREMIUM = {"binance": 0.0, "okx": 0.00002, "bybit": 0.00003, "deribit": -0.00002,
                 "bitmex": -0.00005}  # fmt: skip
_PREMIUM_NOISE = 0.00004
_VOLATILITY_DECIMALS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Columns of the instruments that have a mark, as arrays."""

    kind: np.ndarray
    is_inverse: BoolArray1D
    underlying: np.ndarray
    quote_rate: Float64Array1D
    years: Float64Array1D
    strike: Float64Array1D
    is_call: BoolArray1D
    tick: Float64Array1D
    venue: np.ndarray


def build_marks(
    instruments: pd.DataFrame, market: DayMarket, rng: np.random.Generator
) -> pd.DataFrame:
    """Return contract ``marks`` of the market's date, sorted by instrument_id."""
    rows = instruments[listed_at(instruments, market)].reset_index(drop=True)
    table = _table(rows, market)
    settles = table.years <= 0.0
    reference = _reference_price(table, market, settles, rng)
    volatility = np.full(len(rows), np.nan)
    mark = _rounded(reference, table.tick)
    options = table.kind == "option"
    if options.any():
        volatility[options] = _volatility(table, reference, options, market)
        mark[options] = _option_mark(table, reference, volatility, options)
    dated = options | (table.kind == "future")
    settlement = np.where(settles, mark, np.nan)
    frame = pd.DataFrame(
        {
            "business_date": pd.Timestamp(market.business_date),
            "instrument_id": rows["instrument_id"],
            "mark_price": mark,
            "mark_iv": volatility,
            "forward_price": np.where(dated, np.where(options, reference, mark), np.nan),
            "settlement_price": settlement,
            "observed_utc": _observed(len(rows), market, rng),
        }
    )
    frame["business_date"] = frame["business_date"].astype("datetime64[ms]")
    return frame


def _table(rows: pd.DataFrame, market: DayMarket) -> _Table:
    as_of = pd.Timestamp(market.as_of)
    elapsed = (rows["expiry_utc"] - as_of).dt.total_seconds().to_numpy(dtype=np.float64)
    return _Table(
        kind=rows["kind"].to_numpy(dtype=object),
        is_inverse=(rows["payoff"] == "inverse").to_numpy(dtype=np.bool_),
        underlying=rows["underlying"].to_numpy(dtype=object),
        quote_rate=np.array([market.usd_rates[str(name)] for name in rows["quote_asset"]]),
        years=elapsed * 1e9 / NANOSECONDS_PER_YEAR,
        strike=rows["strike"].to_numpy(dtype=np.float64),
        is_call=(rows["option_type"] == "call").to_numpy(dtype=np.bool_),
        tick=rows["tick_size"].to_numpy(dtype=np.float64),
        venue=rows["venue"].to_numpy(dtype=object),
    )


def _reference_price(
    table: _Table, market: DayMarket, settles: BoolArray1D, rng: np.random.Generator
) -> Float64Array1D:
    """Return spot, perpetual or forward price of each instrument in its quote currency."""
    usd = np.empty(len(table.kind))
    for asset in sorted(market.index):
        mine = table.underlying == asset
        forward = market.forward(asset, np.nan_to_num(table.years[mine]))
        level = np.where(settles[mine], market.delivery[asset], forward)
        perpetual = market.index[asset] * (1.0 + market.perpetual_premium(asset))
        kind = table.kind[mine]
        usd[mine] = np.where(
            kind == "perpetual", perpetual, np.where(kind == "spot", market.index[asset], level)
        )
    premium = np.array([VENUE_PREMIUM[venue] for venue in table.venue])
    noise = _PREMIUM_NOISE * rng.standard_normal(len(usd))
    # Options share one curve, and a delivery price is an index: neither has noise of its own.
    shared = (table.kind == "option") | settles
    price: Float64Array1D = usd * np.where(shared, 1.0, 1.0 + premium + noise) / table.quote_rate
    return price


def _volatility(
    table: _Table, forward: Float64Array1D, options: BoolArray1D, market: DayMarket
) -> Float64Array1D:
    result = np.empty(len(forward))
    # What expired in the morning keeps the volatility of its last hour.
    years = np.maximum(table.years, 1.0 / (24.0 * 365.0))
    for asset, smile in market.smiles.items():
        mine = options & (table.underlying == asset)
        result[mine] = smile.implied_volatility(table.strike[mine], forward[mine], years[mine])
    rounded: Float64Array1D = np.round(result[options], _VOLATILITY_DECIMALS)
    return rounded


def _option_mark(
    table: _Table, forward: Float64Array1D, volatility: Float64Array1D, options: BoolArray1D
) -> Float64Array1D:
    value = option_values(
        forward[options],
        table.strike[options],
        volatility[options],
        table.years[options],
        table.is_call[options],
    )
    inverse = table.is_inverse[options]
    step = np.where(inverse, COIN_MARK_STEP, table.tick[options] / MARK_STEPS_PER_TICK)
    return _rounded(np.where(inverse, value / forward[options], value), step)


def _rounded(price: Float64Array1D, step: Float64Array1D) -> Float64Array1D:
    # A mark is never zero: what is worth less than half a step is marked at one step.
    rounded: Float64Array1D = np.round(np.maximum(np.round(price / step), 1.0) * step, 10)
    return rounded


def _observed(n: int, market: DayMarket, rng: np.random.Generator) -> pd.Series:
    age_ms = rng.integers(50, 2500, n)
    instants = pd.Timestamp(market.as_of) - pd.to_timedelta(age_ms, unit="ms")
    return pd.Series(instants).astype("datetime64[ms, UTC]")

"""Any market's instruments as arrays: what one contract of each is worth and how it moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import ndtr

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.errors import MissingDataError
from engine.times import NANOSECONDS_PER_YEAR, close_of

KINDS = ("spot", "perpetual", "future", "option")
SPOT, PERPETUAL, FUTURE, OPTION = range(4)
AVERAGE_DAILY_VOLUME_USD_DEFAULT = 20e6
"""Assumed for an asset without a liquidity row, so that nobody holds much of it. [USD]"""


@dataclass(frozen=True, slots=True, eq=False)
class BookMarket:
    """The frames that a book can be generated over, with the columns of their contracts.

    Any market will do: the sample world, real history with spot, perpetuals and futures only, or a
    real option chain. ``marks`` holds every business date of the book, and the date before the
    first one where it is known, which then gives the first date its previous settlement prices.

    Attributes
    ----------
    instruments, marks, index_prices, fx_rates, liquidity, price_history : pandas.DataFrame
        ``liquidity`` and ``price_history`` may lack an asset; sizes and risks then rest on
        conservative defaults.
    """

    instruments: pd.DataFrame
    marks: pd.DataFrame
    index_prices: pd.DataFrame
    fx_rates: pd.DataFrame
    liquidity: pd.DataFrame
    price_history: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Tradables:
    """Instruments of a market in the order of ``instrument_id``, valued at one close.

    Attributes
    ----------
    business_date : date
    instrument_id : numpy.ndarray of str objects
    assets, venues : tuple of str
        Names behind ``asset`` and ``venue``.
    asset, venue, kind : Int64Array1D
        Codes into ``assets``, ``venues`` and ``KINDS``.
    is_inverse, is_quanto : BoolArray1D
    multiplier, lot, tick, mark, strike, volatility, years, forward : Float64Array1D
        Contract terms and marks; NaN where absent.
    is_call : BoolArray1D
    unit_notional : Float64Array1D
        Exposure of one contract to its underlying at a delta of one. [USD]
    delta : Float64Array1D
        One, or the option's Black-76 delta. [-]
    quote_rate : Float64Array1D
        USD per unit of what a linear contract pays. [USD]
    expires_today : BoolArray1D
        Settles on the business date.
    tradable : BoolArray1D
        Has a usable mark and lives beyond the close.
    average_daily_volume_usd : Float64Array1D, shape (n_assets,)
    """

    business_date: date
    instrument_id: np.ndarray
    assets: tuple[str, ...]
    venues: tuple[str, ...]
    asset: Int64Array1D
    venue: Int64Array1D
    kind: Int64Array1D
    is_inverse: BoolArray1D
    is_quanto: BoolArray1D
    multiplier: Float64Array1D
    lot: Float64Array1D
    tick: Float64Array1D
    mark: Float64Array1D
    strike: Float64Array1D
    volatility: Float64Array1D
    years: Float64Array1D
    forward: Float64Array1D
    is_call: BoolArray1D
    unit_notional: Float64Array1D
    delta: Float64Array1D
    quote_rate: Float64Array1D
    expires_today: BoolArray1D
    tradable: BoolArray1D
    average_daily_volume_usd: Float64Array1D


def usd_rates(market: BookMarket, business_date: date) -> dict[str, float]:
    """Return USD per unit of every asset with an FX rate or an index price on the date."""
    found: dict[str, float] = {}
    for frame, column in ((market.index_prices, "index_price"), (market.fx_rates, "usd_rate")):
        rows = frame[frame["business_date"] == pd.Timestamp(business_date)]
        found.update(zip(rows["asset"].astype(str), rows[column].astype(float), strict=True))
    found["USD"] = 1.0
    return found


def tradables(market: BookMarket, business_date: date) -> Tradables:
    """Return the market's instruments valued at the close of ``business_date``.

    Raises
    ------
    MissingDataError
        If no instrument has a usable mark on the date.
    """
    on_date = market.marks[market.marks["business_date"] == pd.Timestamp(business_date)]
    marked = on_date[["instrument_id", "mark_price", "mark_iv", "forward_price"]]
    table = market.instruments.merge(marked, on="instrument_id", how="left")
    table = table.sort_values("instrument_id", ignore_index=True)
    rates = usd_rates(market, business_date)
    assets = tuple(sorted(set(table["underlying"].astype(str))))
    venues = tuple(sorted(set(table["venue"].astype(str))))
    as_of = pd.Timestamp(close_of(business_date))
    left = (table["expiry_utc"] - as_of).dt.total_seconds().to_numpy(dtype=np.float64)
    values = _unit_values(table, rates, left * 1e9 / NANOSECONDS_PER_YEAR)
    expires_today = (left <= 0.0) & (left > -86_400.0)
    tradable = values.usable & ~(left <= 0.0)
    if not (tradable | (values.usable & expires_today)).any():
        raise MissingDataError(
            f"no instrument has a usable mark on {business_date}: {len(on_date)} marks of "
            f"{len(table)} instruments; give marks, index prices and rates of that date",
            identifier=str(business_date),
        )
    return Tradables(
        business_date=business_date,
        instrument_id=table["instrument_id"].to_numpy(dtype=object),
        assets=assets,
        venues=venues,
        asset=_codes(table["underlying"], assets),
        venue=_codes(table["venue"], venues),
        kind=_codes(table["kind"], KINDS),
        is_inverse=(table["payoff"] == "inverse").to_numpy(dtype=np.bool_),
        is_quanto=(table["payoff"] == "quanto").to_numpy(dtype=np.bool_),
        multiplier=_floats(table["contract_multiplier"]),
        lot=_floats(table["lot_size"]),
        tick=_floats(table["tick_size"]),
        mark=_floats(table["mark_price"]),
        strike=_floats(table["strike"]),
        volatility=_floats(table["mark_iv"]),
        years=left * 1e9 / NANOSECONDS_PER_YEAR,
        forward=values.forward,
        is_call=(table["option_type"] == "call").to_numpy(dtype=np.bool_),
        unit_notional=np.where(values.usable, values.notional, np.nan),
        delta=values.delta,
        quote_rate=values.quote_rate,
        expires_today=expires_today,
        tradable=tradable,
        average_daily_volume_usd=_volumes(market, business_date, assets),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _UnitValues:
    notional: Float64Array1D
    delta: Float64Array1D
    forward: Float64Array1D
    quote_rate: Float64Array1D
    usable: BoolArray1D


def _unit_values(
    table: pd.DataFrame, rates: dict[str, float], years: Float64Array1D
) -> _UnitValues:
    payoff, is_option = table["payoff"], (table["kind"] == "option").to_numpy()
    inverse = (payoff == "inverse").to_numpy()
    multiplier, mark = _floats(table["contract_multiplier"]), _floats(table["mark_price"])
    index = table["underlying"].map(rates).to_numpy(dtype=np.float64)
    paid_in = table["settlement_asset"].where(payoff == "quanto", table["quote_asset"])
    rate = np.array([rates.get(str(name), np.nan) for name in paid_in])
    # A coin-settled option is quoted in coin, but its strike and forward are dollars.
    rate[inverse & is_option] = 1.0
    forward = _floats(table["forward_price"])
    forward = np.where(np.isfinite(forward), forward, index / rate)
    linear = multiplier * np.where(is_option, forward, mark) * rate
    notional = np.where(inverse & ~is_option, multiplier * rate, linear)
    volatility = _floats(table["mark_iv"])
    delta = np.ones(len(table))
    delta[is_option] = _delta(
        forward[is_option],
        _floats(table["strike"])[is_option],
        volatility[is_option],
        years[is_option],
        (table["option_type"] == "call").to_numpy()[is_option],
    )
    usable = np.isfinite(notional) & (notional > 0.0) & (mark > 0.0)
    usable &= ~is_option | (np.isfinite(volatility) & np.isfinite(delta))
    return _UnitValues(notional, delta, forward, rate, usable)


def _delta(
    forward: Float64Array1D,
    strike: Float64Array1D,
    volatility: Float64Array1D,
    years: Float64Array1D,
    is_call: BoolArray1D,
) -> Float64Array1D:
    deviation = volatility * np.sqrt(np.maximum(years, 1e-6))
    d_plus = np.log(forward / strike) / deviation + 0.5 * deviation
    delta: Float64Array1D = np.where(is_call, ndtr(d_plus), ndtr(d_plus) - 1.0)
    return delta


def _volumes(market: BookMarket, business_date: date, assets: tuple[str, ...]) -> Float64Array1D:
    rows = market.liquidity
    if len(rows):
        rows = rows[rows["business_date"] == pd.Timestamp(business_date)]
    known = dict(
        zip(rows["asset"].astype(str), rows["average_daily_volume_usd"].astype(float), strict=True)
    )
    return np.array([known.get(asset, AVERAGE_DAILY_VOLUME_USD_DEFAULT) for asset in assets])


def _codes(column: pd.Series, names: tuple[str, ...]) -> Int64Array1D:
    place = {name: k for k, name in enumerate(names)}
    return np.array([place[str(name)] for name in column], dtype=np.int64)


def _floats(column: pd.Series) -> Float64Array1D:
    values: Float64Array1D = column.to_numpy(dtype=np.float64)
    return values

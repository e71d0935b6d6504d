"""Marks, index prices and FX rates of a day of history.

All figures of an asset are taken at one instant: that of its option chain where there is one, so
that options reprice to their own marks, else the close.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from engine.times import NANOSECONDS_PER_YEAR, to_nanoseconds
from infra.market.history.day import HOURLY_FILE, MarketDay, as_utc, price_at
from infra.market.history.listing import (
    INVERSE_TERMS,
    future_expiries,
    inverse_id,
    inverse_symbol,
    linear_id,
    listed_options,
)

OPTION_MARK_MIN: Final = 5e-9
"""Half of the last digit of the venue's marks: what a mark of zero may have been. [coin]"""


def index_prices_of(day: MarketDay) -> pd.DataFrame:
    """Return the ``index_prices`` frame: assets whose value in USD is known."""
    known = day.levels[day.levels["usd"].notna()]
    return pd.DataFrame(
        {
            "business_date": pd.Timestamp(day.business_date),
            "asset": list(known.index),
            "index_price": known["usd"].to_numpy(dtype=np.float64),
            "observed_utc": pd.to_datetime(list(known["usd_observed"]), utc=True),
        }
    )


def fx_rates_of(day: MarketDay) -> pd.DataFrame:
    """Return the ``fx_rates`` frame: USD, and currencies that have a close on the date."""
    rates = day.fx.sort_index()
    return pd.DataFrame(
        {
            "business_date": pd.Timestamp(day.business_date),
            "asset": list(rates.index),
            "usd_rate": rates["usd_rate"].to_numpy(dtype=np.float64),
            "observed_utc": pd.to_datetime(list(rates["observed"]), utc=True),
        }
    )


def marks_of(
    day: MarketDay, instruments: pd.DataFrame, basis: dict[str, float], folder: Path
) -> pd.DataFrame:
    """Return the ``marks`` frame: every instrument whose price is known.

    Parameters
    ----------
    day : MarketDay
        The day.
    instruments : pandas.DataFrame
        As ``instruments_of`` returns them.
    basis : dict of str to float
        Annual basis by asset, for futures that the futures file does not price. [1/year]
    folder : Path
        Where hourly prices lie, for what expired on the date.
    """
    rows = _linear_marks(day, instruments)
    for asset in INVERSE_TERMS:
        if asset in day.levels.index and not math.isnan(day.levels["usd"][asset]):
            rows += _inverse_marks(day, asset, basis.get(asset, basis.get("BTC", 0.0)))
    rows += _option_marks(day)
    frame = pd.DataFrame(rows, columns=["instrument_id", "mark_price", "mark_iv", "forward_price",
                                        "settlement_price", "observed_utc"])  # fmt: skip
    frame = pd.concat([frame, _expired_marks(day, instruments, folder)], ignore_index=True)
    frame.insert(0, "business_date", pd.Timestamp(day.business_date))
    frame["observed_utc"] = pd.to_datetime(frame["observed_utc"], utc=True)
    return frame.sort_values("instrument_id").reset_index(drop=True)


def _linear_marks(day: MarketDay, instruments: pd.DataFrame) -> list[list[object]]:
    listed = set(instruments["instrument_id"])
    rows: list[list[object]] = []
    levels = day.levels[day.levels["usdt"].notna()]
    for asset, mark, observed in zip(
        levels.index, levels["usdt"], levels["usdt_observed"], strict=True
    ):
        for kind in ("spot", "perpetual"):
            name = linear_id(str(asset), kind)
            if name in listed:
                rows.append([name, float(mark), np.nan, np.nan, np.nan, observed])
    return rows


def _inverse_marks(day: MarketDay, asset: str, annual_basis: float) -> list[list[object]]:
    index, observed = float(day.levels["usd"][asset]), day.levels["usd_observed"][asset]
    quoted = day.term[day.term["currency"] == asset].set_index("instrument_name")["price"]
    perpetual = float(quoted.get(inverse_symbol(asset, None), index))
    rows: list[list[object]] = [
        [inverse_id(asset, None), perpetual, np.nan, np.nan, np.nan, observed]
    ]
    for expiry in future_expiries(day, asset):
        if expiry > day.close:
            years = (to_nanoseconds(expiry) - to_nanoseconds(observed)) / NANOSECONDS_PER_YEAR
            carried = index * math.exp(annual_basis * years)
            price = float(quoted.get(inverse_symbol(asset, expiry), carried))
            rows.append([inverse_id(asset, expiry), price, np.nan, price, np.nan, observed])
    return rows


def _option_marks(day: MarketDay) -> list[list[object]]:
    live = day.chain[day.chain["expiry_utc"] > pd.Timestamp(day.close)]
    live = live[live["currency"].isin(list(INVERSE_TERMS))]
    marks = live["mark_price"].clip(lower=OPTION_MARK_MIN)
    return [
        [f"deribit:{name}", mark, volatility, forward, np.nan, instant]
        for name, mark, volatility, forward, instant in zip(
            live["instrument_name"], marks, live["mark_iv"], live["underlying_price"],
            live["ts_utc"], strict=True,
        )
    ]  # fmt: skip


def _expired_marks(day: MarketDay, instruments: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return marks of what expired on the date, at the price of the hour that ended then.

    Venues settle at the average of the index over the last half hour; the hourly close is the
    nearest figure in the history. Without one there is no mark, and positions are held.
    """
    expired = instruments[instruments["expiry_utc"] <= pd.Timestamp(day.close)]
    rows: list[list[object]] = []
    settled: dict[tuple[str, datetime], float] = {}
    for name, asset, kind, right, strike, expires in zip(
        expired["instrument_id"],
        expired["underlying"],
        expired["kind"],
        expired["option_type"],
        expired["strike"],
        expired["expiry_utc"],
        strict=True,
    ):
        expiry = as_utc(expires)
        if (asset, expiry) not in settled:
            settled[asset, expiry] = _settlement(day, asset, expiry, folder)
        price = settled[asset, expiry]
        if not math.isnan(price):
            mark = price
            if kind == "option":
                sign = 1.0 if right == "call" else -1.0
                mark = max(sign * (price - strike) / price, OPTION_MARK_MIN)
            rows.append([name, mark, np.nan, price, price, expiry])
    return pd.DataFrame(rows, columns=["instrument_id", "mark_price", "mark_iv", "forward_price",
                                       "settlement_price", "observed_utc"])  # fmt: skip


def _settlement(day: MarketDay, asset: str, expiry: datetime, folder: Path) -> float:
    found = price_at(folder / HOURLY_FILE, asset, expiry)
    usdt = float(day.fx["usd_rate"].get("USDT", np.nan))
    return math.nan if found is None else found[0] * usdt


def listed_without_mark(instruments: pd.DataFrame, marks: pd.DataFrame) -> int:
    """Return how many listed instruments have no mark on the date."""
    return int((~instruments["instrument_id"].isin(marks["instrument_id"])).sum())


def zero_marks(day: MarketDay) -> int:
    """Return how many options the venue marked at zero."""
    return int((listed_options(day)["mark_price"] == 0.0).sum())

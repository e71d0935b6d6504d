"""History and reference frames of the market directory, with the columns of their contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from engine.arrays import Float64Array2D
from infra.simulator.world.assets import AssetProfile
from infra.simulator.world.day_market import DayMarket
from infra.simulator.world.factors import Factors
from infra.simulator.world.history import History

SOURCE = "plimsoll sample world"
FUNDING_INTERVAL_HOURS = 8
FUNDING_CAP = 0.0075
"""Largest funding rate of one interval, either way, as venues cap it. [-]"""
LIQUIDITY_DAYS = 30
_SLOTS_PER_YEAR = 3 * 365.0


def price_history(history: History, factors: Factors) -> pd.DataFrame:
    """Return contract ``price_history`` of coins, stablecoins and the euro, by asset and date."""
    parts = [_coin_bars(history, i) for i in range(len(history.assets))]
    for coin, bars in factors.stablecoins.items():
        parts.append(_bars(history.dates, coin, bars, "spot"))
    closes = factors.eur
    opened = np.concatenate([closes[:1], closes[:-1]])
    euro = np.column_stack([opened, np.maximum(opened, closes), np.minimum(opened, closes), closes])
    parts.append(_bars(history.dates, "EUR", euro, "index"))
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["asset", "date"], ignore_index=True)


def volatility_history(history: History, factors: Factors) -> pd.DataFrame:
    """Return contract ``volatility_history`` of every listed underlying."""
    return _long(history, factors.implied_volatility, "atm_iv_30d")


def basis_history(history: History, factors: Factors) -> pd.DataFrame:
    """Return contract ``basis_history`` of every listed underlying."""
    return _long(history, factors.basis, "annual_basis")


def index_prices(markets: Sequence[DayMarket]) -> pd.DataFrame:
    """Return contract ``index_prices`` of the dates of ``markets``."""
    rows = [
        (market, asset, value)
        for market in markets
        for asset, value in sorted(market.index.items())
    ]
    return _by_date(rows, "index_price")


def fx_rates(markets: Sequence[DayMarket]) -> pd.DataFrame:
    """Return contract ``fx_rates``: USD, EUR and the stablecoins."""
    rows = [
        (market, asset, value)
        for market in markets
        for asset, value in sorted(market.usd_rates.items())
    ]
    return _by_date(rows, "usd_rate")


def liquidity(
    profiles: Mapping[str, AssetProfile],
    history: History,
    markets: Sequence[DayMarket],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return contract ``liquidity``: mean turnover of 30 days, depth within 1 % and spread."""
    rows = []
    first = history.dates[0]
    for market in markets:
        end = int((np.datetime64(market.business_date, "D") - first).astype(int)) + 1
        window = history.volume_usd[max(0, end - LIQUIDITY_DAYS) : end]
        for i, asset in enumerate(history.assets):
            if asset not in market.index:
                continue
            volume = float(np.round(np.nanmean(window[:, i]), 0))
            depth = volume * profiles[asset].depth_share * float(rng.lognormal(0.0, 0.1))
            spread = profiles[asset].spread * float(rng.lognormal(0.0, 0.15))
            rows.append((market.business_date, asset, volume, round(depth, 0), round(spread, 7)))
    columns = ["business_date", "asset", "average_daily_volume_usd", "depth_usd", "spread"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["business_date"] = pd.to_datetime(frame["business_date"]).astype("datetime64[ms]")
    return frame


def funding(
    instruments: pd.DataFrame,
    history: History,
    factors: Factors,
    n_days: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return contract ``funding``: three rates a day for every perpetual, the last at the close.

    The rate pays a year's basis over its intervals, less a spread, plus noise that lasts for about
    six intervals (autocorrelation of 0.84 as on Binance since 2021) and is one per asset.
    """
    perpetuals = instruments[instruments["kind"] == "perpetual"]
    n_days = min(n_days, len(history.dates))
    n_slots = 3 * n_days
    by_asset = {}
    for i, asset in enumerate(history.assets):
        basis = np.repeat(factors.basis[-n_days:, i], 3)
        noise = np.zeros(n_slots)
        innovations = 0.00004 * rng.standard_normal(n_slots)
        for slot in range(1, n_slots):
            noise[slot] = 0.84 * noise[slot - 1] + innovations[slot]
        by_asset[asset] = 0.00002 + 1.2 * basis / _SLOTS_PER_YEAR + noise
    instants = _slots(history.dates[-n_days:])
    listed = {
        asset: history.dates[np.isfinite(history.close[:, i])][0]
        for i, asset in enumerate(history.assets)
    }
    parts = []
    for row in perpetuals[["venue", "venue_symbol", "underlying"]].itertuples(index=False):
        venue, symbol, asset = str(row.venue), str(row.venue_symbol), str(row.underlying)
        rate = by_asset[asset] + 0.00001 * rng.standard_normal(n_slots)
        since = instants > np.datetime64(listed[asset], "ms")
        parts.append(
            pd.DataFrame(
                {
                    "ts_utc": instants[since],
                    "venue": venue,
                    "symbol": symbol,
                    "asset": asset,
                    "funding_rate": np.round(np.clip(rate, -FUNDING_CAP, FUNDING_CAP), 8)[since],
                    "interval_hours": float(FUNDING_INTERVAL_HOURS),
                    "source": SOURCE,
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    frame["ts_utc"] = frame["ts_utc"].dt.tz_localize("UTC")
    return frame.sort_values(["ts_utc", "venue", "symbol"], ignore_index=True)


def _slots(dates: np.ndarray) -> np.ndarray:
    starts = dates.astype("datetime64[ms]")
    hours = np.array([8, 16, 24], dtype="timedelta64[h]").astype("timedelta64[ms]")
    slots: np.ndarray = (starts[:, None] + hours).ravel()
    return slots


def _coin_bars(history: History, column: int) -> pd.DataFrame:
    bars = np.column_stack(
        [bar[:, column] for bar in (history.open, history.high, history.low, history.close)]
    )
    turnover = history.volume_usd[:, column]
    frame = _bars(history.dates, history.assets[column], bars, "spot")
    typical = bars[:, 1:].mean(axis=1)
    frame["volume"] = np.round(turnover / typical, 3)
    frame["volume_usd"] = turnover
    return frame[np.isfinite(bars[:, 3])]


def _bars(dates: np.ndarray, asset: str, bars: Float64Array2D, market: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": dates.astype("datetime64[ms]"),
            "asset": asset,
            "open": bars[:, 0],
            "high": bars[:, 1],
            "low": bars[:, 2],
            "close": bars[:, 3],
            "volume": np.nan,
            "volume_usd": np.nan,
            "quote": "USD",
            "market": market,
            "utc_aligned": True,
            "source": SOURCE,
        }
    )


def _long(history: History, values: Float64Array2D, name: str) -> pd.DataFrame:
    parts = []
    for i, asset in enumerate(history.assets):
        listed = np.isfinite(history.close[:, i])
        parts.append(
            pd.DataFrame(
                {
                    "date": history.dates[listed].astype("datetime64[ms]"),
                    "asset": asset,
                    name: values[listed, i],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["asset", "date"], ignore_index=True)


def _by_date(rows: Sequence[tuple[DayMarket, str, float]], name: str) -> pd.DataFrame:
    # Reference prices are published in the last second before the close.
    observed = [
        pd.Timestamp(market.as_of) - pd.Timedelta(milliseconds=500) for market, _, _ in rows
    ]
    frame = pd.DataFrame(
        {
            "business_date": [pd.Timestamp(market.business_date) for market, _, _ in rows],
            "asset": [asset for _, asset, _ in rows],
            name: [value for _, _, value in rows],
            "observed_utc": observed,
        }
    )
    frame["business_date"] = frame["business_date"].astype("datetime64[ms]")
    frame["observed_utc"] = frame["observed_utc"].astype("datetime64[ms, UTC]")
    return frame

"""Liquidity of an asset from its traded volume, by rules of the house.

- Volume: median of the latest 30 days with a volume, at most 180 days old, at least 5 of them.
  ``volume_usd`` where the source gives it, else volume times close; USDT counts as USD here, since
  a broken peg is small against a median of volumes.
- Depth within 1 % of the price: 1 % of the daily volume; books of large pairs show 1 to 2 %.
- Spread: half a basis point at 10 billion USD a day, growing with the root of the volume's inverse,
  at least 0.2 and at most 200 basis points.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from infra.market.history.day import MarketDay

VOLUME_DAYS: Final = 30
VOLUME_DAYS_MIN: Final = 5
DEPTH_SHARE: Final = 0.01
SPREAD_AT_REFERENCE: Final = 0.00005
REFERENCE_VOLUME_USD: Final = 1e10
SPREAD_MIN: Final = 0.00002
SPREAD_MAX: Final = 0.02


def liquidity_of(day: MarketDay) -> pd.DataFrame:
    """Return the ``liquidity`` frame: assets with a close on the date and enough days of volume."""
    prices = day.prices
    today = prices.loc[prices["date"] == pd.Timestamp(day.business_date), "asset"]
    turnover = prices["volume_usd"].fillna(prices["volume"] * prices["close"])
    traded = prices.assign(turnover=turnover)
    traded = traded[(traded["turnover"] > 0.0) & traded["asset"].isin(today)]
    latest = traded.sort_values(["asset", "date"]).groupby("asset").tail(VOLUME_DAYS)
    by_asset = latest.groupby("asset")["turnover"].agg(["median", "size"])
    volume = by_asset.loc[by_asset["size"] >= VOLUME_DAYS_MIN, "median"]
    spread = SPREAD_AT_REFERENCE * np.sqrt(REFERENCE_VOLUME_USD / volume)
    return pd.DataFrame(
        {
            "business_date": pd.Timestamp(day.business_date),
            "asset": list(volume.index),
            "average_daily_volume_usd": volume.to_numpy(dtype=np.float64),
            "depth_usd": DEPTH_SHARE * volume.to_numpy(dtype=np.float64),
            "spread": spread.clip(SPREAD_MIN, SPREAD_MAX).to_numpy(dtype=np.float64),
        }
    )

"""Spot and perpetual of one venue at one instant a day, from hourly history."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from infra.market.folder import read_parquet

HOURLY_FILE: Final = "prices_hourly.parquet"
# The bar that opens then closes with the UTC day.
_LAST_HOUR: Final = 23


def venue_pairs(location: str) -> pd.DataFrame:
    """Return date, asset, spot and perpetual: closes of the same hour, both known.

    Only a directory with hourly history has any; elsewhere the frame is empty.
    """
    path = Path(location) / HOURLY_FILE
    if "://" in location or not path.is_file():
        return _frame([])
    bars = read_parquet(path, columns=["ts_utc", "asset", "market", "close"])
    bars = bars[(bars["ts_utc"].dt.hour == _LAST_HOUR) & bars["market"].isin(["spot", "perp"])]
    dates = bars["ts_utc"].dt.tz_localize(None).dt.normalize().astype("datetime64[ms]")
    wide = bars.assign(date=dates).pivot(index=["date", "asset"], columns="market", values="close")
    if not {"spot", "perp"} <= set(wide.columns):
        return _frame([])
    both = wide.dropna().reset_index().rename(columns={"perp": "perpetual"})
    return _frame(both[["date", "asset", "spot", "perpetual"]].to_numpy().tolist())


def _frame(rows: list[list[object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["date", "asset", "spot", "perpetual"]).astype(
        {"date": "datetime64[ms]", "asset": "str", "spot": "float64", "perpetual": "float64"}
    )

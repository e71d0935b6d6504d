"""Annual basis of futures by day: from futures where they are known, before that from funding.

- Futures: ln(price / index) over years to expiry, linear between tenors at 90 days, flat beyond
  the first and last; futures with less than a week to go are left out, their basis is noise. The
  last snapshot of each UTC day counts.
- Funding: what longs pay is the carry that the perpetual's holders expect; its annual rate is
  averaged over 7 days, since a single day's funding is paid for hours, not for a quarter.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.times import close_of
from infra.market.daily import HISTORY_YEARS
from infra.market.folder import FolderSource, read_parquet
from infra.market.history.day import TERM_FILE, read_term

TENOR_DAYS: Final = 90.0
TENOR_DAYS_MIN: Final = 7.0
FUNDING_DAYS: Final = 7
FUNDING_DAYS_MIN: Final = 3
FUNDING_DAILY_FILE: Final = "funding_daily_btc.parquet"
STALE_DAYS: Final = 7
_COLUMNS = ["date", "asset", "annual_basis"]


def basis_history_of(folder: FolderSource, business_date: date) -> tuple[pd.DataFrame, str]:
    """Return the ``basis_history`` frame up to the date and a clause that says what it is from."""
    from_futures = _from_futures(folder.folder / TERM_FILE, business_date)
    from_funding, funding_name = _from_funding(folder, business_date)
    known = set(zip(from_futures["asset"], from_futures["date"], strict=True))
    beside = [
        pair not in known for pair in zip(from_funding["asset"], from_funding["date"], strict=True)
    ]
    parts = [part for part in (from_futures, from_funding[beside]) if len(part)]
    if not parts:
        return pd.DataFrame({name: [] for name in _COLUMNS}), "neither futures nor funding known"
    first = pd.Timestamp(business_date) - pd.DateOffset(years=HISTORY_YEARS)
    frame = pd.concat(parts, ignore_index=True)
    frame = frame[frame["date"] >= first].sort_values(["asset", "date"]).reset_index(drop=True)
    names = [name for name, part in ((TERM_FILE, from_futures), (funding_name, from_funding))
             if len(part)]  # fmt: skip
    return frame, f"90-day basis and 7-day mean of funding from {', '.join(names)}"


def latest_basis(history: pd.DataFrame, business_date: date) -> dict[str, float]:
    """Return each asset's last basis that is at most a week old. [1/year]"""
    first = pd.Timestamp(business_date) - pd.Timedelta(days=STALE_DAYS)
    recent = history[history["date"] > first] if len(history) else history
    return {
        str(asset): float(rows.iloc[-1]) for asset, rows in recent.groupby("asset")["annual_basis"]
    }


def _from_futures(path: Path, business_date: date) -> pd.DataFrame:
    term = read_term(path)
    term = term[term["expiry_utc"].notna()]
    if term.empty:
        return pd.DataFrame({name: [] for name in _COLUMNS})
    term = term[term["ts_utc"] <= pd.Timestamp(close_of(business_date))]
    tenor_days = (term["expiry_utc"] - term["ts_utc"]).dt.total_seconds() / 86_400.0
    basis = np.log(term["price"] / term["index_price"]) / (tenor_days / 365.0)
    days = term["ts_utc"].dt.tz_localize(None).dt.normalize()
    rows = term.assign(tenor_days=tenor_days, basis=basis, date=days)
    rows = rows[rows["tenor_days"] >= TENOR_DAYS_MIN]
    last = rows.groupby(["currency", "date"])["ts_utc"].transform("max")
    found = [
        [day, currency, float(np.interp(TENOR_DAYS, curve["tenor_days"], curve["basis"]))]
        for (currency, day), curve in rows[rows["ts_utc"] == last]
        .sort_values("tenor_days")
        .groupby(["currency", "date"])
    ]
    return pd.DataFrame(found, columns=_COLUMNS)


def _from_funding(folder: FolderSource, business_date: date) -> tuple[pd.DataFrame, str]:
    whole = folder.read_whole("funding")
    if whole is not None:
        rows = validate(contract("funding"), whole[0], None, Judge.MASKS).accepted
        rows = rows[rows["ts_utc"] <= pd.Timestamp(close_of(business_date))]
        # A payment at midnight closes the day before.
        days = (rows["ts_utc"] - pd.Timedelta(1, "ms")).dt.tz_localize(None).dt.normalize()
        annual = rows["funding_rate"] * (24.0 / rows["interval_hours"]) * 365.0
        daily = pd.DataFrame({"date": days, "asset": rows["asset"], "annual": annual})
        return _smoothed(daily.groupby(["asset", "date"])["annual"].mean()), whole[1]
    path = folder.folder / FUNDING_DAILY_FILE
    if path.is_file():
        rows = read_parquet(path, columns=["date", "funding_rate_mean"])
        rows = rows[np.isfinite(rows["funding_rate_mean"]) & (rows["date"] <= str(business_date))]
        annual = rows["funding_rate_mean"] * 3.0 * 365.0
        daily = pd.DataFrame({"date": rows["date"], "asset": "BTC", "annual": annual})
        return _smoothed(daily.groupby(["asset", "date"])["annual"].mean()), path.name
    return pd.DataFrame({name: [] for name in _COLUMNS}), ""


def _smoothed(daily: pd.Series) -> pd.DataFrame:
    parts = []
    for asset, values in daily.groupby(level="asset"):
        series = values.droplevel("asset").sort_index()
        mean = series.rolling(f"{FUNDING_DAYS}D", min_periods=FUNDING_DAYS_MIN).mean().dropna()
        parts.append(
            pd.DataFrame({"date": mean.index, "asset": asset, "annual_basis": mean.values})
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)

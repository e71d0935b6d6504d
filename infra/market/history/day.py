"""What market history says about one business date, read once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from data_contracts.contract import Contract
from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.times import close_of
from infra.market.folder import FolderSource, read_parquet

RECENT_DAYS: Final = 180
LISTED_DAYS: Final = 30
"""An asset stays listed for so long after its last close: its positions are held, not unknown."""
UNALIGNED_AGE: Final = timedelta(hours=2)
"""Days that are not UTC days end at 22:00 or 23:00 UTC; the older is assumed."""
TERM_FILE: Final = "futures_term_deribit.parquet"
HOURLY_FILE: Final = "prices_hourly.parquet"
CURRENCIES: Final = ("EUR", "GBP", "USDT", "USDC", "DAI", "TUSD", "BUSD", "FDUSD", "USDP",
                     "PYUSD", "USDD", "UST")  # fmt: skip
"""Assets that are money: they get an FX rate and no perpetual."""


@dataclass(frozen=True, slots=True, eq=False)
class MarketDay:
    """History as it bears on one close.

    Attributes
    ----------
    business_date, close : date, datetime
        The date and its close.
    prices : pandas.DataFrame
        Accepted rows of ``price_history``, the last ``RECENT_DAYS`` up to the date.
    levels : pandas.DataFrame
        Index asset: ``usd`` [USD per unit] and ``usdt`` [USDT per unit] at ``usd_observed`` and
        ``usdt_observed``; NaN where nothing known converts the close.
    fx : pandas.DataFrame
        Index asset: ``usd_rate`` [USD per unit], ``observed``.
    chain : pandas.DataFrame
        Accepted option chain of the date, the last snapshot per currency; may be empty.
    previous_chain : pandas.DataFrame
        The one of the day before, for what expires on the date.
    term : pandas.DataFrame
        Futures at the instants of ``chain``: instrument_name, currency, expiry_utc, price.
    """

    business_date: date
    close: datetime
    prices: pd.DataFrame
    levels: pd.DataFrame
    fx: pd.DataFrame
    chain: pd.DataFrame
    previous_chain: pd.DataFrame
    term: pd.DataFrame

    @property
    def previous_close(self) -> datetime:
        """Return the close of the day before."""
        return self.close - timedelta(days=1)


def load_day(folder: FolderSource, business_date: date) -> MarketDay:
    """Return the day; only rows that their contract accepts are used.

    Raises
    ------
    MissingDataError
        If the history has no close on the date.
    """
    history = contract("price_history")
    rows = folder.read("price_history", business_date).frame
    first = pd.Timestamp(business_date) - pd.Timedelta(days=RECENT_DAYS)
    prices = validate(history, rows, business_date, Judge.MASKS).accepted
    prices = prices[prices["date"] > first].reset_index(drop=True)
    chain = _chain(folder, business_date)
    today = prices[prices["date"] == pd.Timestamp(business_date)].set_index("asset")
    fx = _fx_rates(today, close_of(business_date))
    return MarketDay(
        business_date=business_date,
        close=close_of(business_date),
        prices=prices,
        levels=_levels(today, fx, chain, close_of(business_date)),
        fx=fx,
        chain=chain,
        previous_chain=_chain(folder, business_date - timedelta(days=1)),
        term=_term_at(folder.folder / TERM_FILE, chain),
    )


def read_term(path: Path) -> pd.DataFrame:
    """Return the rows of the futures file that can be used, or no rows where it is absent."""
    columns = ["ts_utc", "currency", "instrument_name", "expiry_utc", "price", "index_price"]
    if not path.is_file():
        return pd.DataFrame({name: [] for name in columns})
    rows = read_parquet(path, columns=columns)
    good = np.ones(len(rows), dtype=bool)
    for name in ("price", "index_price"):
        values = rows[name].to_numpy(dtype=np.float64)
        good &= np.isfinite(values) & (values > 0.0)
    return rows[good].reset_index(drop=True)


def price_at(path: Path, asset: str, instant: datetime) -> tuple[float, str] | None:
    """Return the close of the hour that ends at ``instant`` and its market, spot before perp."""
    if not path.is_file():
        return None
    opening = pd.Timestamp(instant - timedelta(hours=1))
    rows = read_parquet(
        path,
        columns=["ts_utc", "asset", "market", "close"],
        filters=[("ts_utc", "==", opening), ("asset", "==", asset)],
    )
    for market in ("spot", "perp"):
        closes = rows.loc[rows["market"] == market, "close"]
        if len(closes) == 1 and np.isfinite(closes.iloc[0]) and closes.iloc[0] > 0.0:
            return float(closes.iloc[0]), market
    return None


def _chain(folder: FolderSource, business_date: date) -> pd.DataFrame:
    definition: Contract = contract("option_chains")
    if folder.file(definition) is None:
        return empty_frame(definition)
    rows = folder.read("option_chains", business_date).frame
    return validate(definition, rows, business_date, Judge.MASKS).accepted


def _fx_rates(today: pd.DataFrame, close: datetime) -> pd.DataFrame:
    """Return rates from the day's own closes: a currency without a close has none, never par."""
    rates = {"USD": (1.0, close)}
    money = today[today.index.isin(CURRENCIES)]
    for quote in ("USD", "USDT"):
        # USDT first gets its rate in USD; then those quoted in USDT get theirs.
        for asset, row in money[money["quote"] == quote].iterrows():
            if quote in rates and asset not in rates:
                rate, observed = rates[quote]
                rates[str(asset)] = (row["close"] * rate, min(observed, _observed(row, close)))
    return pd.DataFrame.from_dict(rates, orient="index", columns=["usd_rate", "observed"])


def _levels(
    today: pd.DataFrame, fx: pd.DataFrame, chain: pd.DataFrame, close: datetime
) -> pd.DataFrame:
    rows = {}
    usdt = float(fx["usd_rate"].get("USDT", np.nan))
    for asset, row in today.iterrows():
        own = _observed(row, close)
        known = row["quote"] in fx.index
        rate = float(fx["usd_rate"].get(row["quote"], np.nan))
        usd = row["close"] * rate
        usd_observed = min(own, fx["observed"].get(row["quote"], own)) if known else own
        in_usdt = row["close"] if row["quote"] == "USDT" else usd / usdt
        rows[str(asset)] = [usd, usd_observed, in_usdt, own]
    for currency, options in chain.groupby("currency", sort=True):
        # Options are marked at the snapshot; all else on the same asset is taken at that instant.
        instant = options["ts_utc"].max().to_pydatetime()
        index = float(options["index_price"].median())
        in_usdt, observed = index / usdt, instant
        if np.isnan(in_usdt) and str(currency) in rows:
            in_usdt, observed = rows[str(currency)][2:]
        rows[str(currency)] = [index, instant, in_usdt, observed]
    columns = ["usd", "usd_observed", "usdt", "usdt_observed"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).sort_index()


def _observed(row: pd.Series, close: datetime) -> datetime:
    return close if bool(row["utc_aligned"]) else close - UNALIGNED_AGE


def _term_at(path: Path, chain: pd.DataFrame) -> pd.DataFrame:
    term = read_term(path)
    instants = chain[["ts_utc", "currency"]].drop_duplicates()
    if term.empty or instants.empty:
        return term.iloc[:0]
    term["ts_utc"] = term["ts_utc"].astype("datetime64[ms, UTC]")
    return term.merge(instants, on=["ts_utc", "currency"]).reset_index(drop=True)


def as_utc(instant: pd.Timestamp) -> datetime:
    """Return a pandas instant as a datetime in UTC."""
    found: datetime = instant.to_pydatetime().astimezone(UTC)
    return found

"""Price paths of a day: from bars in a folder, or made up where there are none.

A bar is taken as four points, equally far apart: its open, the extreme that its direction suggests
came first (the high of a falling bar, the low of a rising one), the other, its close.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from engine.errors import MissingDataError
from infra.drill.days import DrillDay

POINTS: Final = 3
"""Points of a bar beside its close, which is the next bar's open or nearly so."""
ASSETS: Final = ("BTC", "ETH", "SOL")
NEEDED: Final = ("BTC", "ETH")
_COLUMNS: Final = ("ts_utc", "asset", "open", "high", "low", "close")
_MARKETS: Final = ("perp", "spot")


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Paths by asset from the close on, points ``spacing_seconds`` apart.

    Attributes
    ----------
    prices : mapping of str to Float64Array1D
        [USD or USDT, as the bars have it]
    source : str
        Where they are from, for people.
    history : str
        Location of a market directory with daily closes; empty if it is made up.
    """

    prices: dict[str, np.ndarray]
    spacing_seconds: dict[str, float]
    source: str
    history: str

    def points(self, asset: str) -> tuple[Decimal, ...]:
        """Return the path of an asset as a town takes it."""
        return tuple(Decimal(f"{value:.10g}") for value in self.prices[asset].tolist())


def read_bars(folder: Path, day: DrillDay) -> Bars:
    """Return the finest bars in a folder that cover the day from its close on.

    Files are Parquet or CSV with the columns ``ts_utc`` (opening time), ``asset``, ``open``,
    ``high``, ``low``, ``close``, and ``market`` (``perp`` before ``spot``) where there are several.

    Raises
    ------
    MissingDataError
        If there is no such folder, or no bars of BTC or ETH that cover the day.
    """
    if not folder.is_dir():
        raise MissingDataError(
            f"there is no folder {folder}: name one with bars of the day, or leave --bars out for "
            "a crash that is made up",
            identifier=str(folder),
        )
    found: dict[str, tuple[float, str, pd.DataFrame]] = {}
    for path in sorted([*folder.glob("*.parquet"), *folder.glob("*.csv")]):
        for asset, rows in _of_day(path, day).items():
            spacing = _spacing(rows)
            if asset not in found or spacing < found[asset][0]:
                found[asset] = spacing, path.name, rows
    absent = [asset for asset in NEEDED if asset not in found]
    if absent:
        raise MissingDataError(
            f"{folder} has no bars of {', '.join(absent)} from {day.opened_at:%Y-%m-%d %H:%M} to "
            f"{day.ends_at:%Y-%m-%d %H:%M} UTC without a gap; needed are files with the columns "
            f"{', '.join(_COLUMNS)}",
            identifier=str(folder),
            value=", ".join(absent),
            limit=", ".join(NEEDED),
        )
    names = sorted({f"{name}, {spacing / 60:g} min" for spacing, name, _ in found.values()})
    return Bars(
        prices={asset: _points(rows) for asset, (_, _, rows) in found.items()},
        spacing_seconds={asset: spacing / POINTS for asset, (spacing, _, _) in found.items()},
        source=f"real bars of {', '.join(sorted(found))} ({'; '.join(names)})",
        history=str(folder),
    )


def generated_bars(day: DrillDay, seed: int = 10) -> Bars:
    """Return a crash that is made up: calm, a fall by a fifth to a third with a wick, a rebound."""
    spacing = 60.0
    seconds = (day.ends_at - day.opened_at).total_seconds()
    instants = np.arange(0.0, seconds + 2 * spacing, spacing)
    lead = (day.begins_at - day.opened_at).total_seconds()
    share = (instants - lead) / day.seconds
    random = np.random.default_rng(seed)
    bends = np.array([-9.0, 0.25, 0.35, 0.45, 0.53, 0.60, 0.64, 0.80, 9.0])
    falls = {
        "BTC": (60_000.0, (0.0, 0.0, -0.04, -0.09, -0.14, -0.19, -0.14, -0.11, -0.11)),
        "ETH": (3_000.0, (0.0, 0.0, -0.06, -0.14, -0.215, -0.29, -0.22, -0.17, -0.17)),
        "SOL": (150.0, (0.0, 0.0, -0.08, -0.18, -0.275, -0.37, -0.27, -0.21, -0.21)),
    }
    prices = {
        asset: start
        * np.exp(
            np.interp(share, bends, np.log1p(moves))
            + 0.0008 * random.standard_normal(instants.size)
        )
        for asset, (start, moves) in falls.items()
    }
    return Bars(
        prices=prices,
        spacing_seconds=dict.fromkeys(prices, spacing),
        source=f"made up (seed {seed}); no market was like this",
        history="",
    )


def write_history(bars: Bars, day: DrillDay, folder: Path, seed: int = 10) -> Path:
    """Write a price history that is made up and ends where the paths begin; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    n_days = 1_000
    random = np.random.default_rng(seed)
    common = random.standard_t(4, n_days) / np.sqrt(2.0)
    deviations = {"BTC": 0.03, "ETH": 0.04, "SOL": 0.055, "USDT": 0.0004, "USDC": 0.0004}
    dates = pd.date_range(end=pd.Timestamp(day.business_date), periods=n_days, unit="ms")
    parts = []
    for asset, deviation in deviations.items():
        own = random.standard_t(4, n_days) / np.sqrt(2.0)
        is_coin = asset in bars.prices
        returns = deviation * (0.8 * common + 0.6 * own if is_coin else own)
        last = float(bars.prices[asset][0]) if is_coin else 1.0
        log_price = np.log(last) - (np.cumsum(returns[::-1])[::-1] - returns)
        close = np.exp(log_price if is_coin else returns * (np.arange(n_days) < n_days - 1))
        parts.append(
            pd.DataFrame({"date": dates, "asset": asset, "close": close, "volume_usd": 2e9})
        )
    frame = pd.concat(parts, ignore_index=True).assign(quote="USD", market="index")
    frame.to_parquet(folder / "price_history.parquet")
    return folder


def _of_day(path: Path, day: DrillDay) -> dict[str, pd.DataFrame]:
    """Return the rows of a file by asset, of those assets that it covers without a gap."""
    rows = _rows(path, day)
    if rows.empty:
        return {}
    found = {}
    for asset, of_asset in rows.groupby("asset", sort=True):
        if str(asset) not in ASSETS:
            continue
        best = _best(of_asset, day)
        if best is not None:
            found[str(asset)] = best
    return found


def _rows(path: Path, day: DrillDay) -> pd.DataFrame:
    wanted = (*_COLUMNS, "market", "bar_minutes")
    if path.suffix == ".csv":
        head = pd.read_csv(path, nrows=0).columns
        if not set(_COLUMNS) <= set(head):
            return pd.DataFrame()
        frame = pd.read_csv(path, usecols=[one for one in wanted if one in head])
        frame["ts_utc"] = pd.to_datetime(frame["ts_utc"], utc=True, format="ISO8601")
    else:
        import pyarrow.parquet as pq

        head = pq.read_schema(path).names
        if not set(_COLUMNS) <= set(head):
            return pd.DataFrame()
        columns = [one for one in wanted if one in head]
        span = [
            ("ts_utc", ">=", pd.Timestamp(day.opened_at)),
            ("ts_utc", "<", pd.Timestamp(day.ends_at)),
        ]
        frame = pd.read_parquet(path, columns=columns, filters=span)
    inside = (frame["ts_utc"] >= day.opened_at) & (frame["ts_utc"] < day.ends_at)
    frame = frame[inside].dropna(subset=list(_COLUMNS))
    for name, value in (("market", "perp"), ("bar_minutes", 0)):
        if name not in frame:
            frame[name] = value
    return frame


def _best(rows: pd.DataFrame, day: DrillDay) -> pd.DataFrame | None:
    for market in _MARKETS:
        of_market = rows[rows["market"] == market]
        for minutes in sorted(of_market["bar_minutes"].unique().tolist()):
            bars: pd.DataFrame = of_market[of_market["bar_minutes"] == minutes]
            bars = bars.sort_values("ts_utc").drop_duplicates("ts_utc")
            if _covers(bars, day):
                return bars
    return None


def _covers(bars: pd.DataFrame, day: DrillDay) -> bool:
    if len(bars) < 2 or (bars[["open", "high", "low", "close"]] <= 0).any(axis=None):
        return False
    gaps = bars["ts_utc"].diff().dropna()
    spacing = gaps.iloc[0]
    is_whole = bool((gaps == spacing).all())
    first, last = bars["ts_utc"].iloc[0], bars["ts_utc"].iloc[-1]
    return is_whole and first == day.opened_at and last + spacing >= pd.Timestamp(day.ends_at)


def _spacing(bars: pd.DataFrame) -> float:
    gap: timedelta = (bars["ts_utc"].iloc[1] - bars["ts_utc"].iloc[0]).to_pytimedelta()
    return gap.total_seconds()


def _points(bars: pd.DataFrame) -> np.ndarray:
    numbers = bars[["open", "high", "low", "close"]].to_numpy(dtype=np.float64)
    opened, high, low, close = numbers.T
    is_rising = close >= opened
    first, second = np.where(is_rising, low, high), np.where(is_rising, high, low)
    return np.append(np.column_stack([opened, first, second]).ravel(), close[-1])


def instant_of(day: DrillDay, elapsed_seconds: float) -> datetime:
    """Return the instant so many seconds after the close."""
    return day.opened_at + timedelta(seconds=elapsed_seconds)

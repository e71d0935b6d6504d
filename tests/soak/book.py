"""The close that a soak's loop builds upon: a sample market, and a book of the wanted size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from engine.intraday import LiveBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot
from engine.times import close_of
from infra.rules import agreements_from
from infra.simulator.world.build import build_world
from infra.simulator.world.parameters import WorldParameters
from tests.soak.market import VENUES
from tests.worlds import small
from tests.worlds.loop import instruments as small_instruments

OMS = "oms"
"""The one source of positions: what order management tells is what counts."""
PLENTY = 1e12
DATED = (
    "marks", "index_prices", "fx_rates", "liquidity",
)  # fmt: skip
UNDATED = ("instruments", "funding", "price_history", "volatility_history", "basis_history")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSize:
    """How large a book is."""

    n_sets: int
    n_positions: int = 10
    """Positions of each netting set."""
    near_share: float = 0.08
    """Netting sets whose cover is within a third of what they owe."""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Everything that a close freezes."""

    business_date: date
    as_of: datetime
    market: dict[str, pd.DataFrame]
    positions: pd.DataFrame
    open_orders: pd.DataFrame
    collateral: pd.DataFrame
    agreements: pd.DataFrame


def sample_market(folder: Path, day: date, seed: int) -> dict[str, pd.DataFrame]:
    """Return the market of a sample world on a date, without what validation would refuse."""
    parameters = WorldParameters(
        seed=seed, n_netting_sets=20, last_business_date=day, n_business_dates=1
    )
    build_world(parameters, folder, lambda *_: None)
    frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in (*DATED, *UNDATED)}
    for name in DATED:
        frames[name] = frames[name][frames[name]["business_date"] == pd.Timestamp(day)]
    close = close_of(day)
    funding = frames["funding"]
    frames["funding"] = funding[funding["ts_utc"] > pd.Timestamp(close) - pd.Timedelta(days=1)]
    frames["price_history"] = _believable(frames["price_history"])
    listed = frames["instruments"]
    expiry = pd.to_datetime(listed["expiry_utc"], utc=True)
    alive = expiry.isna() | (expiry > pd.Timestamp(close) + pd.Timedelta(days=3))
    wanted = alive & listed["venue"].isin(VENUES)
    frames["instruments"] = listed[wanted].reset_index(drop=True)
    marks = frames["marks"]
    marks = marks[marks["instrument_id"].isin(frames["instruments"]["instrument_id"])]
    frames["marks"] = marks[marks["mark_price"] > 0.0].reset_index(drop=True)
    known = frames["instruments"]["instrument_id"].isin(frames["marks"]["instrument_id"])
    frames["instruments"] = frames["instruments"][known].reset_index(drop=True)
    return frames


def small_market(day: date) -> dict[str, pd.DataFrame]:
    """Return the small market with Bitcoin at four venues, as of a date, for quick forms."""
    table = small_instruments()
    found = small.snapshot(instruments=table, marks=small.marks(table))
    later = pd.Timedelta(days=(day - small.BUSINESS_DATE).days)
    return {name: _shifted(getattr(found, name), later) for name in (*DATED, *UNDATED)}


def _shifted(frame: pd.DataFrame, later: pd.Timedelta) -> pd.DataFrame:
    moved = {
        name: (frame[name] + later).astype(frame[name].dtype)
        for name in frame.columns
        if pd.api.types.is_datetime64_any_dtype(frame[name])
    }
    return frame.assign(**moved)


def made(
    market: dict[str, pd.DataFrame], day: date, size: BookSize, seed: int, rules: Callable
) -> Made:
    """Return a close of a book whose cover is drawn around what it owes.

    ``rules`` gives the rule book of agreements.
    """
    chance = np.random.default_rng([seed, 2])
    names = [f"S{number:06d}" for number in range(size.n_sets)]
    positions = _positions(market, day, names, size, chance)
    agreements = _agreements(names, day)
    as_of = close_of(day)
    found = Made(
        business_date=day,
        as_of=as_of,
        market=market,
        positions=positions,
        open_orders=_no_orders(),
        collateral=_collateral(names, np.full(len(names), PLENTY), day),
        agreements=agreements,
    )
    snapshot = Snapshot(snapshot_id="sizing", business_date=day, as_of=as_of, **market)  # type: ignore[arg-type]
    book = LiveBook.open(
        snapshot, PositionSet(positions, found.open_orders), CollateralSet(found.collateral),
        rules(agreements_from(agreements)), LastFresh(),
    )  # fmt: skip
    owed = book.figures().owed
    if not np.isfinite(owed).all():
        raise ValueError(f"{(~np.isfinite(owed)).sum()} netting sets of the made book fail")
    near = chance.random(len(names)) < size.near_share
    factor = np.where(
        near, chance.uniform(1.02, 1.30, len(names)), chance.uniform(1.30, 3.0, len(names))
    )
    order = {name: row for row, name in enumerate(book.netting_set_id)}
    dollars = np.round(np.array([owed[order[name]] for name in names]) * factor + 1_000.0, 2)
    return Made(
        **{name: getattr(found, name) for name in Made.__slots__ if name != "collateral"},
        collateral=_collateral(names, dollars, day),
    )


def _believable(history: pd.DataFrame) -> pd.DataFrame:
    # The sample world plants a few rows that validation quarantines.
    is_good = history["close"] > 0.0
    is_good &= ~(history["high"] < history["low"])
    kept = history[is_good].drop_duplicates(["asset", "date"], keep=False)
    return kept.reset_index(drop=True)


def _positions(
    market: dict[str, pd.DataFrame],
    day: date,
    names: list[str],
    size: BookSize,
    chance: np.random.Generator,
) -> pd.DataFrame:
    listed = market["instruments"]
    marks = market["marks"].set_index("instrument_id")["mark_price"]
    listed = listed.assign(mark=listed["instrument_id"].map(marks).to_numpy())
    is_option = (listed["kind"] == "option").to_numpy()
    is_plain = ~is_option & (listed["payoff"] != "quanto").to_numpy()
    plain, options = np.flatnonzero(is_plain), np.flatnonzero(is_option)
    n = len(names) * size.n_positions
    n_options = min(2, size.n_positions // 4) if options.size else 0
    drawn = np.empty((len(names), size.n_positions), dtype=np.int64)
    drawn[:] = plain[chance.integers(0, plain.size, drawn.shape)]
    with_options = chance.random(len(names)) < 0.1
    if n_options:
        picked = options[chance.integers(0, options.size, (len(names), n_options))]
        drawn[with_options, :n_options] = picked[with_options]
    row = drawn.ravel()
    dollars = chance.lognormal(11.5, 1.0, n)
    side = np.where(chance.random((len(names), 1)) < 0.6, 0.85, 0.35)
    sign = np.where(chance.random((len(names), size.n_positions)) < side, 1.0, -1.0).ravel()
    chosen = listed.iloc[row]
    sign = np.where(chosen["kind"] == "spot", 1.0, sign)
    quantity = sign * _contracts(chosen, dollars, market)
    frame = pd.DataFrame(
        {
            "business_date": pd.Timestamp(day),
            "source": OMS,
            "account_id": [
                f"{name}-{venue}"
                for name, venue in zip(
                    np.repeat(names, size.n_positions), chosen["venue"], strict=True
                )
            ],
            "instrument_id": chosen["instrument_id"].to_numpy(),
            "client_id": [f"C{name[1:5]}" for name in np.repeat(names, size.n_positions)],
            "netting_set_id": np.repeat(names, size.n_positions),
            "venue": chosen["venue"].to_numpy(),
            "quantity": quantity,
            "settled_price": chosen["mark"].to_numpy(),
            "observed_utc": pd.Timestamp(close_of(day)) - pd.Timedelta(minutes=1),
        }
    )
    return frame.drop_duplicates(["account_id", "instrument_id"]).reset_index(drop=True)


def _contracts(
    chosen: pd.DataFrame, dollars: np.ndarray, market: dict[str, pd.DataFrame]
) -> np.ndarray:
    index = market["index_prices"].set_index("asset")["index_price"]
    unit = chosen["underlying"].map(index).to_numpy(dtype=np.float64)
    multiplier = chosen["contract_multiplier"].to_numpy(dtype=np.float64)
    is_inverse = (chosen["payoff"] == "inverse").to_numpy() & (
        chosen["kind"] != "option"
    ).to_numpy()
    # Inverse contracts are a number of dollars, the others a number of coins.
    worth = np.where(is_inverse, 1.0, unit) * multiplier
    found: np.ndarray = np.maximum(np.round(dollars / worth, 3), 0.001)
    return np.where(is_inverse, np.maximum(np.round(found), 1.0), found)


def _collateral(names: list[str], dollars: np.ndarray, day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "business_date": pd.Timestamp(day),
            "source": OMS,
            "netting_set_id": names,
            "location": "custodian",
            "asset": "USD",
            "state": "settled",
            "client_id": [f"C{name[1:5]}" for name in names],
            "quantity": dollars,
            "observed_utc": pd.Timestamp(close_of(day)) - pd.Timedelta(minutes=1),
        }
    )


def _agreements(names: list[str], day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "netting_set_id": names,
            "effective_date": pd.Timestamp("2026-01-01"),
            "client_id": [f"C{name[1:5]}" for name in names],
            "currency": "USD",
            "confidence": 0.99,
            "threshold": 0.0,
            "minimum_transfer_amount": 1_000.0,
            "rounding_increment": 100.0,
            "independent_amount": 0.0,
            "cure_hours": 4.0,
        }
    )


def _no_orders() -> pd.DataFrame:
    texts = ("netting_set_id", "account_id", "order_id", "client_id", "venue", "instrument_id",
             "side")  # fmt: skip
    frame = pd.DataFrame({name: pd.Series([], dtype="str") for name in texts})
    numbers = ("remaining_quantity", "limit_price")
    return frame.assign(
        business_date=pd.Series([], dtype="datetime64[ms]"),
        **{name: pd.Series([], dtype="float64") for name in numbers},
    )

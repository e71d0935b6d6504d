"""Compiled code made ready before a loop takes the lead: by a small market that lives for a moment.

Kernels are compiled at their first use and kept on disk (`NUMBA_CACHE_DIR`, else beside the code,
else in the user's cache), which takes half a minute of a core where nothing is kept yet, and under
a second from disk. A standby is ready when it takes over, an image when it is built.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.acceptance.state import Ticks
from engine.ids import SnapshotId
from engine.intraday import Degradation, Fill
from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot
from infra.intraday.base import Base
from infra.intraday.core import Instant, LoopCore
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters

_DATE: Final = date(2026, 3, 10)
_AS_OF: Final = datetime(2026, 3, 11, tzinfo=UTC)
_SECOND: Final = 1_000_000_000
_EXPIRY: Final = pd.Timestamp("2026-06-26T08:00Z")
_PRICES: Final = {"BTC": 60_000.0, "ETH": 3_000.0}
_DAYS: Final = 300
_INSTRUMENTS: Final = (
    ("binance:BTCUSDT", "perpetual", "linear", "BTC", "USDT", 1.0, np.nan, None, None),
    ("bybit:BTCUSDT", "perpetual", "linear", "BTC", "USDT", 1.0, np.nan, None, None),
    ("deribit:BTC-26JUN26", "future", "inverse", "BTC", "BTC", 10.0, np.nan, None, _EXPIRY),
    ("deribit:BTC-26JUN26-60000-C", "option", "inverse", "BTC", "BTC", 1.0, 6e4, "call", _EXPIRY),
    ("deribit:BTC-26JUN26-60000-P", "option", "inverse", "BTC", "BTC", 1.0, 6e4, "put", _EXPIRY),
    ("deribit:BTC-PERPETUAL", "perpetual", "inverse", "BTC", "BTC", 10.0, np.nan, None, None),
    ("okx:ETH-USDT-SWAP", "perpetual", "linear", "ETH", "USDT", 0.1, np.nan, None, None),
)
_COLUMNS: Final = (
    "instrument_id", "kind", "payoff", "underlying", "settlement_asset", "contract_multiplier",
    "strike", "option_type", "expiry_utc",
)  # fmt: skip
_HELD: Final = (
    ("A", "binance:BTCUSDT", 1.5), ("A", "deribit:BTC-26JUN26-60000-C", -3.0),
    ("A", "deribit:BTC-26JUN26-60000-P", 2.0), ("A", "deribit:BTC-PERPETUAL", -400.0),
    ("B", "okx:ETH-USDT-SWAP", -200.0), ("B", "deribit:BTC-26JUN26", 90.0),
)  # fmt: skip
_PLEDGED: Final = (("A", "USD", 1e5), ("A", "BTC", 2.0), ("B", "USDT", 3e4))
_is_warm = False


def warm_up() -> float:
    """Call every compiled function that a loop calls, once a process; return the seconds.

    Where the cache cannot be written everything is compiled all the same, and again next time.
    """
    global _is_warm  # noqa: PLW0603  (compiled code is the process's, whoever asks for it)
    began = time.perf_counter()
    if not _is_warm:
        _live(LoopCore(small_base(), "warm"))
        _is_warm = True
    return time.perf_counter() - began


def _live(core: LoopCore) -> None:
    core.watch([row[0] for row in _INSTRUMENTS])
    for number, share in enumerate((1.0, 0.97, 0.8, 1.1)):
        core.take_ticks(_ticks(core, share, number))
        if number == 1:
            core.book.apply_fill(Fill("A-a", "binance:BTCUSDT", 1.0, 60_000.0))
        if number == 2:
            core.book.degrade(Degradation("venue", "binance", "down", 5.0))
        core.decide(Instant(number * _SECOND, _AS_OF + timedelta(seconds=number)))
    core.book.rebuild()
    core.book.advance(_AS_OF + timedelta(minutes=1))
    core.book.requirements(np.array([0], dtype=np.int64))
    core.book.save()
    core.book.state_hash()


def _ticks(core: LoopCore, share: float, number: int) -> Ticks:
    names = [row[0] for row in _INSTRUMENTS]
    n = len(names)
    options = np.array([row[1] == "option" for row in _INSTRUMENTS])
    price = np.array([_PRICES[row[3]] * share for row in _INSTRUMENTS])
    return Ticks(
        row=np.array([core.market.row_of[name] for name in names], dtype=np.int64),
        price=np.where(options, 0.1, price),
        iv=np.where(options, 0.55, np.nan),
        forward=np.where(options, price, np.nan),
        stamp_ns=np.full(n, number, dtype=np.int64),
        ahead_ns=np.zeros(n, dtype=np.int64),
        received_ns=number * _SECOND,
    )


def small_base() -> Base:
    """Return a close of two netting sets, with an instrument of every kind that kernels tell."""
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, _DATE)
    agreements = {name: _agreement(name) for name in ("A", "B")}
    return Base(
        close_id="warm",
        snapshot=_snapshot(),
        positions=PositionSet(positions=_positions(), open_orders=_no_orders()),
        collateral=CollateralSet(holdings=_holdings()),
        rules=RuleBook(rule_book_hash="warm", house=house, agreements=agreements),
        last_fresh=LastFresh(),
        content_hashes={},
        rule_book=(_DATE, "warm", "warm"),
    )


def _snapshot() -> Snapshot:
    listed = pd.DataFrame(list(_INSTRUMENTS), columns=list(_COLUMNS))
    listed["venue"] = listed["instrument_id"].str.split(":").str[0]
    listed["venue_symbol"] = listed["instrument_id"].str.split(":").str[1]
    listed["quote_asset"] = listed["settlement_asset"].replace("BTC", "USD")
    listed["tick_size"], listed["lot_size"] = 0.1, 0.001
    expiries = pd.to_datetime(listed["expiry_utc"], utc=True)
    listed["expiry_utc"] = expiries.astype("datetime64[ms, UTC]")
    price, is_option = listed["underlying"].map(_PRICES), listed["kind"] == "option"
    marks = pd.DataFrame(
        {
            "business_date": pd.Timestamp(_DATE),
            "instrument_id": listed["instrument_id"],
            "mark_price": np.where(is_option, 0.1, price),
            "mark_iv": np.where(is_option, 0.55, np.nan),
            "forward_price": np.where(is_option, price, np.nan),
            "settlement_price": np.nan,
            "observed_utc": pd.Timestamp(_AS_OF - timedelta(minutes=1)),
        }
    )
    assets = sorted(_PRICES)
    index = pd.DataFrame({"asset": assets, "index_price": [_PRICES[name] for name in assets]})
    dates = pd.date_range(end=pd.Timestamp(_DATE), periods=_DAYS, unit="ms")
    days = np.arange(_DAYS)
    history = [
        pd.DataFrame({"date": dates, "asset": name, "close": level * (1 + 0.02 * np.sin(days * k))})
        for k, (name, level) in enumerate(_PRICES.items(), start=2)
    ]
    empty = {"date": pd.Series([], dtype="datetime64[ms]"), "asset": []}
    return Snapshot(
        snapshot_id=SnapshotId("warm"), business_date=_DATE, as_of=_AS_OF, instruments=listed,
        marks=marks, index_prices=index,
        fx_rates=pd.DataFrame({"asset": ["USD", "USDT"], "usd_rate": [1.0, 1.0]}),
        funding=_no_funding(),
        liquidity=pd.DataFrame(
            {
                "asset": assets, "average_daily_volume_usd": 1e10, "depth_usd": 1e7,
                "spread": 1e-4,
            }
        ),
        price_history=pd.concat(history, ignore_index=True),
        volatility_history=pd.DataFrame({**empty, "atm_iv_30d": []}),
        basis_history=pd.DataFrame({**empty, "annual_basis": []}),
    )  # fmt: skip


def _no_funding() -> pd.DataFrame:
    texts: dict[str, Any] = {name: pd.Series([], dtype="str") for name in ("venue", "symbol")}
    numbers: dict[str, Any] = {
        name: pd.Series([], dtype="float64") for name in ("funding_rate", "interval_hours")
    }
    instants = pd.Series([], dtype="datetime64[ms, UTC]")
    return pd.DataFrame(
        {"ts_utc": instants, **texts, "asset": pd.Series([], dtype="str"), **numbers}
    )


def _positions() -> pd.DataFrame:
    prices = {row[0]: 0.1 if row[1] == "option" else _PRICES[row[3]] for row in _INSTRUMENTS}
    return pd.DataFrame(
        [
            {
                "source": source, "account_id": f"{name}-a", "instrument_id": instrument,
                "client_id": name, "netting_set_id": name, "venue": instrument.split(":")[0],
                "quantity": quantity, "settled_price": prices[instrument],
                "observed_utc": pd.Timestamp(_AS_OF - timedelta(minutes=1)),
            }
            for name, instrument, quantity in _HELD
            for source in ("oms", "venue", "clearing")
        ]
    )  # fmt: skip


def _no_orders() -> pd.DataFrame:
    names = ("netting_set_id", "account_id", "order_id", "instrument_id", "side")
    texts = {name: pd.Series([], dtype="str") for name in names}
    return pd.DataFrame({**texts, "remaining_quantity": pd.Series([], dtype="float64")})


def _holdings() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "source": source, "netting_set_id": name, "location": "custodian", "asset": asset,
                "state": "settled", "client_id": name, "quantity": quantity,
            }
            for name, asset, quantity in _PLEDGED
            for source in ("oms", "venue", "clearing")
        ]
    )  # fmt: skip


def _agreement(name: str) -> Agreement:
    return Agreement(
        netting_set_id=name, client_id=name, currency="USD", confidence=0.99, threshold=0.0,
        minimum_transfer_amount=1_000.0, rounding_increment=100.0, independent_amount=0.0,
        cure_hours=4.0, effective_date=date(2026, 1, 1),
    )  # fmt: skip

"""A small market of four venues, without a file or a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from engine.acceptance.parameters import UNSTATED, AcceptanceParameters
from engine.acceptance.prices import PriceAcceptance
from engine.acceptance.state import Ticks
from engine.acceptance.table import SECOND, acceptance_table
from engine.ids import SnapshotId
from engine.snapshot import Snapshot

VENUES = ("binance", "bybit", "deribit", "okx")
RATES = {"USD": 1.0, "BTC": 50_000.0, "USDT": 1.0, "THIN": 10.0}
NOW = 1_000 * SECOND
LIMITS = UNSTATED


def snapshot() -> Snapshot:
    rows = [instrument(f"{venue}:BTC-PERP", venue, "perpetual", "BTC") for venue in VENUES]
    rows.append(instrument("binance:THIN-PERP", "binance", "perpetual", "THIN"))
    rows.append(instrument("deribit:BTC-C", "deribit", "option", "BTC", quote="BTC"))
    marks = pd.DataFrame(
        {
            "instrument_id": [row["instrument_id"] for row in rows],
            "mark_price": [50_000.0] * 4 + [10.0, 0.05],
            "mark_iv": [np.nan] * 5 + [0.5],
            "forward_price": [np.nan] * 5 + [50_100.0],
        }
    )
    empty = pd.DataFrame()
    return Snapshot(
        SnapshotId("s" * 64), date(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC),
        pd.DataFrame(rows), marks, *([empty] * 7),
    )  # fmt: skip


def instrument(name: str, venue: str, kind: str, asset: str, quote: str = "USDT") -> dict[str, Any]:
    return {
        "instrument_id": name,
        "venue": venue,
        "kind": kind,
        "underlying": asset,
        "quote_asset": quote,
    }


def market(parameters: AcceptanceParameters = LIMITS) -> PriceAcceptance:
    return PriceAcceptance(acceptance_table(snapshot(), RATES, ("BTC",), parameters), parameters)


def ticks(prices: PriceAcceptance, *told: tuple[str, float], at: int = NOW, **fields: Any) -> Ticks:
    """Return one tick for each (instrument, price); stamps rise with ``at`` unless given."""
    names = prices.table.instruments
    n = len(told)
    rows = [names.index(name) if name in names else -1 for name, _ in told]

    def column(name: str, default: float, kind: type) -> np.ndarray:
        return np.full(n, fields.get(name, default), dtype=kind)

    return Ticks(
        row=np.array(rows, dtype=np.int64),
        price=np.array([price for _, price in told], dtype=np.float64),
        iv=column("iv", np.nan, np.float64),
        forward=column("forward", np.nan, np.float64),
        stamp_ns=column("stamp", at, np.int64),
        ahead_ns=column("ahead", 0, np.int64),
        received_ns=at,
    )


def perpetuals(price: float, *venues: str) -> list[tuple[str, float]]:
    return [(f"{venue}:BTC-PERP", price) for venue in venues or VENUES]


def mark_of(prices: PriceAcceptance, name: str) -> float:
    return float(prices.state.mark[prices.table.instruments.index(name)])

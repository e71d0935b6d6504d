"""A base for the loop: the small market with a third and a fourth venue for Bitcoin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from engine.acceptance.state import Ticks
from engine.snapshot import LastFresh
from infra.intraday.base import Base
from infra.intraday.core import Instant, LoopCore
from tests.worlds import small

SECOND = 1_000_000_000
START = 1_000 * SECOND
WALL = datetime(2026, 3, 11, 9, 0, tzinfo=UTC)
RUN = "intraday-2026-03-11-1"
BITCOIN = ("binance:BTCUSDT", "bybit:BTCUSDT", "deribit:BTC-PERPETUAL", "okx:BTC-USDT-SWAP")
HELD = ("binance:BTCUSDT", "binance:ETHUSDT")


def instruments() -> pd.DataFrame:
    """Return the small market's instruments and Bitcoin perpetuals of two more venues."""
    table = small.instruments()
    one = table[table["instrument_id"] == "binance:BTCUSDT"]
    more = [
        one.assign(instrument_id=name, venue=name.split(":")[0], venue_symbol=name.split(":")[1])
        for name in ("bybit:BTCUSDT", "okx:BTC-USDT-SWAP")
    ]
    table = pd.concat([table, *more], ignore_index=True)
    return table.sort_values("instrument_id", ignore_index=True)


def base(
    collateral: Mapping[str, float] | None = None, quantity: float = 10.0, n_sets: int = 0
) -> Base:
    """Return a close: each netting set is long Bitcoin and holds dollars.

    ``collateral`` names netting sets and their dollars; ``n_sets`` adds netting sets that are as
    near to a call as the first one.
    """
    dollars = dict(collateral or {"A": 150_000.0, "B": 1_000_000.0})
    for number in range(n_sets):
        dollars[f"N{number:06d}"] = next(iter(dollars.values()))
    held = [(name, "binance:BTCUSDT", quantity) for name in dollars]
    table = instruments()
    snapshot = small.snapshot(instruments=table, marks=small.marks(table))
    return Base(
        close_id="eod-2026-03-10-1",
        snapshot=snapshot,
        positions=small.position_set(*held),
        collateral=small.collateral_set(
            *((name, "USD", amount) for name, amount in dollars.items())
        ),
        rules=small.rules(*(small.agreement(name) for name in dollars)),
        last_fresh=LastFresh(),
        content_hashes={"marks": "00"},
        rule_book=(date(2019, 1, 1), "file", "text"),
    )


def core(found: Base | None = None, **more: object) -> LoopCore:
    """Return a loop over a base that watches its Bitcoin."""
    loop = LoopCore(found or base(), RUN, **more)  # type: ignore[arg-type]
    loop.watch(BITCOIN)
    return loop


def instant(seconds: float = 0.0) -> Instant:
    """Return an instant some seconds after the start, by both clocks."""
    return Instant(START + round(seconds * SECOND), WALL + timedelta(seconds=seconds))


def ticks(
    loop: LoopCore, prices: Mapping[str, float], seconds: float = 0.0, **fields: object
) -> Ticks:
    """Return one price for each instrument, stamped and received at an instant."""
    n, at = len(prices), instant(seconds).monotonic_ns

    def column(name: str, default: float, kind: type) -> np.ndarray:
        return np.full(n, fields.get(name, default), dtype=kind)

    return Ticks(
        row=np.array([loop.market.row_of.get(name, -1) for name in prices], dtype=np.int64),
        price=np.array(list(prices.values()), dtype=np.float64),
        iv=column("iv", np.nan, np.float64),
        forward=column("forward", np.nan, np.float64),
        stamp_ns=column("stamp", at, np.int64),
        ahead_ns=column("ahead", 0, np.int64),
        received_ns=at,
    )


def bitcoin(price: float) -> dict[str, float]:
    """Return Bitcoin at a price on every venue."""
    return dict.fromkeys(BITCOIN, price)

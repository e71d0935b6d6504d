"""Instruments of Binance USD-M as rows of the data contract ``instruments``."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec
import pandas as pd

from engine.errors import BadPayload
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.frames import instrument_frame
from infra.venues.payloads import instant

_EXCHANGE_INFO: Final = msgspec.json.Decoder(wire.ExchangeInfo)
_PERPETUAL: Final = "PERPETUAL"


class BinanceCatalog:
    """Contracts of USD-M: perpetuals and deliveries, all linear, one unit of the base each.

    Symbols that count thousands of a coin (``1000BONKUSDT``) have that thousand as their
    underlying, as their prices do.
    """

    def __init__(self, client: BinanceClient) -> None:
        self._client = client

    async def instruments(self) -> pd.DataFrame:
        """Return rows of the data contract ``instruments``; symbols not yet trading are absent."""
        call = Call(method="GET", path="/fapi/v1/exchangeInfo", is_signed=False)
        answer = await self._client.read(call, _EXCHANGE_INFO)
        listed = [
            one
            for one in answer.content.symbols
            if one.status != "PENDING_TRADING" and one.contract_type
        ]
        return instrument_frame([_row(one) for one in listed])


def instrument_id(symbol: str) -> str:
    """Return our name of a symbol."""
    return f"{VENUE}:{symbol}"


def symbol_of(instrument: str) -> str:
    """Return the venue's name of an instrument."""
    return instrument.removeprefix(f"{VENUE}:")


def _row(listed: wire.ListedSymbol) -> dict[str, object]:
    # TRADIFI_PERPETUAL is a perpetual too.
    is_future = not listed.contract_type.endswith(_PERPETUAL)
    return {
        "instrument_id": instrument_id(listed.symbol),
        "venue": VENUE,
        "venue_symbol": listed.symbol,
        "kind": "future" if is_future else "perpetual",
        "payoff": "linear",
        "underlying": listed.base_asset,
        "quote_asset": listed.quote_asset,
        "settlement_asset": listed.margin_asset,
        "contract_multiplier": 1.0,
        "expiry_utc": instant(listed.delivery_date) if is_future else None,
        "tick_size": float(_step(listed, "PRICE_FILTER")),
        "lot_size": float(_step(listed, "LOT_SIZE")),
    }


def _step(listed: wire.ListedSymbol, filter_type: str) -> Decimal:
    for rule in listed.filters:
        step = rule.tick_size if filter_type == "PRICE_FILTER" else rule.step_size
        if rule.filter_type == filter_type and step is not None:
            return step
    raise BadPayload(f"{VENUE} exchangeInfo: {listed.symbol} has no {filter_type}")

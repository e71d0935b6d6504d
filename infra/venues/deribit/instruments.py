"""Instruments of Deribit as rows of the data contract ``instruments``, and what a size counts."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Final

import msgspec
import pandas as pd

from engine.errors import BadPayload
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.frames import instrument_frame
from infra.venues.payloads import instant

_INSTRUMENTS: Final = msgspec.json.Decoder(list[wire.Instrument])
_PREFIX: Final = f"{VENUE}:"
_KINDS: Final = frozenset(("future", "option", "spot"))
_RELOAD_SECONDS: Final = 10.0


class DeribitCatalog:
    """Contracts and pairs; combinations are orders over them and are absent.

    Deribit counts positions and orders in USD (inverse futures) or coins; ``quantity`` in contracts
    is that over the contract size, which this remembers. A size that changes under a name is
    refused until a person has looked, since every quantity would change its meaning.
    """

    def __init__(self, client: DeribitClient) -> None:
        self._client = client
        self._listed: dict[str, wire.Instrument] = {}
        self._read_at = float("-inf")

    async def instruments(self) -> pd.DataFrame:
        """Return rows of the data contract ``instruments``.

        Raises
        ------
        BadPayload
            If an instrument has another contract size than before, or lacks what its kind needs.
        """
        await self._load()
        return instrument_frame([instrument_row(one) for one in self._listed.values()])

    async def listed(self, symbol: str) -> wire.Instrument:
        """Return an instrument by the venue's name, reading the list anew if it is not there.

        Raises
        ------
        BadPayload
            If the venue does not list it either.
        """
        if symbol not in self._listed and time.monotonic() - self._read_at > _RELOAD_SECONDS:
            await self._load()
        found = self._listed.get(symbol)
        if found is None:
            raise BadPayload(f"{VENUE} lists no {symbol}", identifier=symbol)
        return found

    async def contracts(self, symbol: str, size: Decimal) -> Decimal:
        """Return contracts of a size in USD or coins."""
        return size / size_of(await self.listed(symbol))

    async def load(self) -> None:
        """Read the list if it was never read."""
        if not self._listed:
            await self._load()

    def known(self, symbol: str) -> wire.Instrument | None:
        """Return an instrument of the list last read, None if it is not there."""
        return self._listed.get(symbol)

    async def _load(self) -> None:
        call = Call("public/get_instruments", {"currency": "any", "expired": False})
        answered = await self._client.read(call, _INSTRUMENTS)
        fresh = {one.instrument_name: one for one in answered.content if one.kind in _KINDS}
        for symbol, one in fresh.items():
            before = self._listed.get(symbol)
            if before is not None and before.contract_size != one.contract_size:
                raise BadPayload(
                    f"{VENUE} {symbol}: contract size was {before.contract_size}, is "
                    f"{one.contract_size}; quantities would change their meaning",
                    identifier=symbol,
                    value=one.contract_size,
                    limit=str(before.contract_size),
                )
        # What has expired is kept: positions and lines of it are still told of.
        self._listed = {**self._listed, **fresh}
        self._read_at = time.monotonic()


def instrument_id(symbol: str) -> str:
    """Return our name of an instrument."""
    return _PREFIX + symbol


def symbol_of(instrument: str) -> str:
    """Return the venue's name of an instrument."""
    return instrument.removeprefix(_PREFIX)


def size_of(listed: wire.Instrument) -> Decimal:
    """Return USD or coins per contract; raises BadPayload if it is not above zero."""
    size = listed.contract_size
    if size is None or size <= 0:
        raise BadPayload(
            f"{VENUE} {listed.instrument_name}: contract size {size}",
            identifier=listed.instrument_name,
            value=size,
        )
    return size


def settlement_of(listed: wire.Instrument) -> str:
    """Return the asset in which gains are paid."""
    return listed.settlement_currency or listed.counter_currency or listed.quote_currency


def instrument_row(listed: wire.Instrument) -> dict[str, object]:
    """Return an instrument as a row of the contract; raises BadPayload if it lacks a part."""
    symbol, is_spot = listed.instrument_name, listed.kind == "spot"
    size, least = size_of(listed), listed.min_trade_amount
    if least is None or least <= 0:
        raise BadPayload(f"{VENUE} {symbol}: least amount {least}", identifier=symbol, value=least)
    quote = listed.counter_currency or listed.quote_currency
    settlement = quote if is_spot else settlement_of(listed)
    kind = "perpetual" if listed.settlement_period == "perpetual" else listed.kind
    # Spot is counted in coins; its contract size is a step, no multiplier.
    multiplier = Decimal(1) if is_spot else size
    row: dict[str, object] = {
        "instrument_id": instrument_id(symbol), "venue": VENUE, "venue_symbol": symbol,
        "kind": kind, "payoff": _payoff(listed, settlement), "underlying": listed.base_currency,
        "quote_asset": quote, "settlement_asset": settlement,
        "contract_multiplier": float(multiplier), "tick_size": float(listed.tick_size),
        "lot_size": float(least / multiplier),
    }  # fmt: skip
    if kind in ("future", "option"):
        if listed.expiration_timestamp is None:
            raise BadPayload(f"{VENUE} {symbol}: no expiry", identifier=symbol)
        row["expiry_utc"] = instant(listed.expiration_timestamp)
    if kind == "option":
        if listed.strike is None or listed.option_type not in ("call", "put"):
            raise BadPayload(f"{VENUE} {symbol}: no strike or type", identifier=symbol)
        row |= {"strike": float(listed.strike), "option_type": listed.option_type}
    return row


def _payoff(listed: wire.Instrument, settlement: str) -> str:
    if listed.kind == "spot":
        return "linear"
    return "inverse" if settlement == listed.base_currency else "linear"

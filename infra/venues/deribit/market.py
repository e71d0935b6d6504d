"""Marks of Deribit: read one by one, or followed on the channel ``ticker``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

import aiohttp
import msgspec

from engine.errors import BadPayload, VenueRejected
from engine.ports import FeedEvent, Mark, Reading
from infra.clock import Clock, utc_now
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.deribit.instruments import instrument_id, symbol_of
from infra.venues.deribit.session import Channels, DeribitSession
from infra.venues.payloads import decode, instant
from infra.venues.streams import StreamLimits, follow

STALE_SECONDS: Final = 5.0
FUTURE_MAX: Final = timedelta(seconds=5)
_TICKER: Final = msgspec.json.Decoder(wire.Ticker)
_ONE_ALONE: Final = 4.0
_READS_AT_ONCE: Final = 8
_HUNDRED: Final = Decimal(100)


class DeribitMarket:
    """Prices of Deribit.

    Parameters
    ----------
    stale_seconds : float
        The longest silence of a stream. One future or perpetual alone may be silent four times as
        long, an option for ever: marks of what nobody trades do not move.
    """

    def __init__(
        self,
        client: DeribitClient,
        *,
        stale_seconds: float = STALE_SECONDS,
        limits: StreamLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._client, self._clock = client, clock
        self._stale_seconds, self._limits = stale_seconds, limits

    async def marks(self, instrument_ids: Sequence[str]) -> tuple[Mark, ...]:
        """Return present marks; an instrument that the venue does not know is absent.

        Raises
        ------
        BadPayload
            If a mark is not above zero or stamped in the future.
        """
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(instrument: str) -> Mark | None:
            call = Call("public/ticker", {"instrument_name": symbol_of(instrument)})
            try:
                async with gate:
                    answered = await self._client.read(call, _TICKER)
            except VenueRejected as error:
                if error.cause == "instrument":
                    return None
                raise
            return mark_of(
                answered.content, Reading(
                    source=VENUE, received_at=answered.received_at,
                    venue_time=instant(answered.content.timestamp),
                )
            )  # fmt: skip

        found = await asyncio.gather(*(read(one) for one in instrument_ids))
        return tuple(mark for mark in found if mark is not None)

    def stream(self, instrument_ids: Sequence[str]) -> AsyncIterator[FeedEvent]:
        """Yield marks as they come, and every change of health; ends only when closed.

        Frames that are older than one already taken of their instrument are dropped.
        """
        symbols = [symbol_of(one) for one in instrument_ids]
        source = f"{VENUE} market"

        def protocol() -> _Tickers:
            return _Tickers(self._client, source, symbols, self._stale_seconds, self._clock)

        return follow(source, protocol, self._limits, self._clock)


class _Tickers:
    def __init__(
        self, client: DeribitClient, source: str, symbols: Sequence[str], stale: float, clock: Clock
    ) -> None:
        self._source, self._stale, self._clock = source, stale, clock
        self._symbols = symbols
        channels = Channels(tuple(map(_channel, symbols)))
        self._session = DeribitSession(client, source, channels)
        self._last_stamp: dict[str, int] = {}
        self._taken_at: dict[str, float] = {}
        self._missing: tuple[str, ...] = ()

    async def open(self) -> str:
        return await self._session.open()

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._session.start(socket)
        self._missing = self._session.missing
        now = time.monotonic()
        lively = (one for one in self._symbols if not one.endswith(("-C", "-P")))
        self._taken_at = {symbol: now for symbol in lively if _channel(symbol) not in self._missing}

    def read(self, frame: str) -> Iterable[FeedEvent]:
        found = self._session.read(frame)
        if found is None:
            return
        ticker = decode(_TICKER, bytes(found.data), f"{self._source} {found.channel}")
        if ticker.instrument_name in self._taken_at:
            self._taken_at[ticker.instrument_name] = time.monotonic()
        if self._missing:
            told, self._missing = ", ".join(self._missing), ()
            yield FeedEvent(
                source=self._source, received_at=self._clock(), reason=f"not listed: {told}"
            )
        if ticker.timestamp < self._last_stamp.get(ticker.instrument_name, 0):
            return
        self._last_stamp[ticker.instrument_name] = ticker.timestamp
        now = self._clock()
        reading = Reading(source=VENUE, received_at=now, venue_time=instant(ticker.timestamp))
        yield FeedEvent(source=self._source, received_at=now, marks=(mark_of(ticker, reading),))

    def silent_after(self) -> float:
        frames = self._session.silent_after()
        if not self._taken_at:
            return frames
        latest, oldest = max(self._taken_at.values()), min(self._taken_at.values())
        return min(frames, latest + self._stale, oldest + _ONE_ALONE * self._stale)

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._session.attend(socket)


def _channel(symbol: str) -> str:
    return f"ticker.{symbol}.100ms"


def mark_of(ticker: wire.Ticker, reading: Reading) -> Mark:
    """Return the mark of a ticker: volatility as a fraction, no sides where they are crossed.

    Raises
    ------
    BadPayload
        If the mark is not above zero, or stamped further in the future than clocks differ.
    """
    symbol = ticker.instrument_name
    if ticker.mark_price <= 0:
        raise BadPayload(
            f"{VENUE} {symbol}: mark {ticker.mark_price} is not above 0",
            identifier=symbol,
            value=ticker.mark_price,
        )
    if reading.venue_time is not None and reading.venue_time - reading.received_at > FUTURE_MAX:
        raise BadPayload(
            f"{VENUE} {symbol}: stamped {reading.venue_time.isoformat()}, in the future",
            identifier=symbol,
            value=reading.venue_time,
        )
    bid, ask = ticker.best_bid_price, ticker.best_ask_price
    if bid is not None and ask is not None and bid > ask:
        bid = ask = None
    return Mark(
        instrument_id=instrument_id(symbol),
        reading=reading,
        mark_price=ticker.mark_price,
        index_price=ticker.index_price,
        funding_rate=ticker.funding_8h,
        mark_iv=None if ticker.mark_iv is None else ticker.mark_iv / _HUNDRED,
        forward_price=ticker.underlying_price,
        # An empty side is shown as 0.
        bid=bid or None,
        ask=ask or None,
    )

"""Marks of Binance USD-M: premium index by REST, ``@markPrice@1s`` by stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Final

import aiohttp
import msgspec

from engine.errors import VenueUnavailable
from engine.ports import FeedEvent, Mark, Reading
from infra.clock import Clock, utc_now
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.binance.instruments import instrument_id, symbol_of
from infra.venues.freshness import ExpectedMarks
from infra.venues.marks import require_mark
from infra.venues.payloads import decode, instant, optional_decimal
from infra.venues.streams import StreamLimits, follow

STALE_SECONDS: Final = 5.0
_PREMIUMS: Final = msgspec.json.Decoder(list[wire.PremiumIndex])
_SOURCE: Final = f"{VENUE} marks"
_FRAME: Final = msgspec.json.Decoder(wire.CombinedFrame)
_UPDATE: Final = msgspec.json.Decoder(wire.MarkPriceUpdate)


class BinanceMarket:
    """Prices of USD-M contracts."""

    def __init__(
        self,
        client: BinanceClient,
        *,
        stale_seconds: float = STALE_SECONDS,
        limits: StreamLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._client, self.clock = client, clock
        self._stale_seconds, self._limits = stale_seconds, limits

    async def marks(self, instrument_ids: Sequence[str]) -> tuple[Mark, ...]:
        """Return present marks in the order asked; unknown instruments are absent.

        Raises
        ------
        BadPayload
            If a mark is not above zero or stamped in the future.
        """
        wanted = [symbol_of(name) for name in instrument_ids]
        call = Call(method="GET", path="/fapi/v1/premiumIndex", weight=10, is_signed=False)
        answer = await self._client.read(call, _PREMIUMS)
        by_symbol = {row.symbol: row for row in answer.content}
        return tuple(
            _mark(by_symbol[symbol], answer.received_at) for symbol in wanted if symbol in by_symbol
        )

    def stream(self, instrument_ids: Sequence[str]) -> AsyncIterator[FeedEvent]:
        """Yield marks once a second, and every change of health; ends only when closed.

        Every contract is expected within ``stale_seconds``; one that falls silent, or whose
        stamps stand still, makes the feed stale although others go on.
        """
        symbols = tuple(symbol_of(name) for name in instrument_ids)

        def protocol() -> _MarkStream:
            return _MarkStream(self, self._client.hosts.stream, symbols, self._stale_seconds)

        return follow(_SOURCE, protocol, self._limits, self.clock)


class _MarkStream:
    def __init__(
        self, market: BinanceMarket, host: str, symbols: tuple[str, ...], stale_seconds: float
    ) -> None:
        self._market, self._host, self._symbols = market, host, symbols
        self._expected = ExpectedMarks(_SOURCE, symbols, stale_seconds)

    async def open(self) -> str:
        # The venue confirms a stream of a symbol that it does not list, and is silent on it.
        listed = {symbol_of(one.instrument_id) for one in await self._market.marks(self._symbols)}
        self._expected.begin(listed)
        streams = "/".join(f"{symbol.lower()}@markPrice@1s" for symbol in self._expected.names)
        return f"{self._host}/market/stream?streams={streams}"

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        # The path subscribes; there is nothing to confirm.
        return

    def read(self, frame: str) -> Iterable[FeedEvent]:
        content = decode(_FRAME, frame, f"{VENUE} mark stream")
        if content.error is not None:
            raise VenueUnavailable(f"{VENUE} mark stream: {content.error}", identifier=VENUE)
        yield from self._expected.unlisted(self._market.clock)
        if "@markPrice" not in content.stream:
            return
        update = decode(_UPDATE, bytes(content.data), f"{VENUE} {content.stream}")
        if not self._expected.is_fresher(update.symbol, update.event_time):
            return
        now = self._market.clock()
        reading = Reading(source=VENUE, received_at=now, venue_time=instant(update.event_time))
        mark = Mark(
            instrument_id=instrument_id(update.symbol),
            reading=reading,
            mark_price=update.mark_price,
            index_price=update.index_price,
            funding_rate=optional_decimal(update.funding_rate, f"{VENUE} funding"),
        )
        yield FeedEvent(source=_SOURCE, received_at=now, marks=(require_mark(mark),))

    def silent_after(self) -> float | None:
        return self._expected.overdue_at()

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        # Nothing to renew; the venue closes after a day and the stream comes back by itself.
        await asyncio.Event().wait()


def _mark(row: wire.PremiumIndex, received_at: datetime) -> Mark:
    rate = optional_decimal(row.last_funding_rate, f"{VENUE} funding of {row.symbol}")
    return require_mark(
        Mark(
            instrument_id=instrument_id(row.symbol),
            reading=Reading(source=VENUE, received_at=received_at, venue_time=instant(row.time)),
            mark_price=row.mark_price,
            index_price=row.index_price,
            funding_rate=rate,
        )
    )

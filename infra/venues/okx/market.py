"""Marks of OKX: mark price with index, funding and option summary by REST, mark price by stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

import aiohttp
import msgspec

from engine.ports import FeedEvent, Mark, Reading
from infra.clock import Clock, utc_now
from infra.venues.freshness import ExpectedMarks
from infra.venues.marks import require_mark
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, Answered, Call, OkxClient
from infra.venues.okx.instruments import family_of, inst_id_of, inst_type_of, instrument_id
from infra.venues.okx.sockets import ping_for_ever, read_frame, subscribe
from infra.venues.payloads import decode, exact_decimal, instant, optional_decimal
from infra.venues.streams import StreamLimits, follow

# The channel repeats an unchanged price after ten seconds.
STALE_SECONDS: Final = 12.0
_MARKS: Final = msgspec.json.Decoder(list[wire.MarkPrice])
_INDICES: Final = msgspec.json.Decoder(list[wire.IndexTicker])
_RATES: Final = msgspec.json.Decoder(list[wire.FundingRate])
_SUMMARIES: Final = msgspec.json.Decoder(list[wire.OptionSummary])
_SOURCE: Final = f"{VENUE} marks"
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class _Besides:
    index: Mapping[str, Decimal]
    funding: Mapping[str, Decimal]
    options: Mapping[str, wire.OptionSummary]


class OkxMarket:
    """Prices of OKX."""

    def __init__(
        self,
        client: OkxClient,
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
        wanted = [inst_id_of(name) for name in instrument_ids]
        kinds = sorted({inst_type_of(name) for name in wanted})
        families = sorted({family_of(name) for name in wanted})
        options = [f for f in families if any(_is_option_of(name, f) for name in wanted)]
        answers = await asyncio.gather(*(self._marks_of(kind) for kind in kinds))
        besides = _Besides(
            await self._indices(families),
            await self._funding() if "SWAP" in kinds else {},
            await self._options(options),
        )
        rows = {row.inst_id: (row, one.received_at) for one in answers for row in one.rows}
        return tuple(_mark(*rows[name], besides) for name in wanted if name in rows)

    def stream(self, instrument_ids: Sequence[str]) -> AsyncIterator[FeedEvent]:
        """Yield marks, and every change of health; ends only when closed.

        Every instrument is expected within ``stale_seconds``, since the venue repeats a price that
        does not move.
        """
        names = tuple(inst_id_of(name) for name in instrument_ids)

        def protocol() -> _MarkStream:
            return _MarkStream(self, self._client.hosts.stream, names, self._stale_seconds)

        return follow(_SOURCE, protocol, self._limits, self.clock)

    async def _marks_of(self, kind: str) -> Answered[wire.MarkPrice]:
        # What is spot to us has its mark under margin.
        kind = "MARGIN" if kind == "SPOT" else kind
        return await self._public("public/mark-price", {"instType": kind}, _MARKS, weight=6)

    async def _indices(self, families: Sequence[str]) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for quote in sorted({name.partition("-")[2] for name in families}):
            path, parameters = "market/index-tickers", {"quoteCcy": quote}
            answered = await self._public(path, parameters, _INDICES, weight=3)
            for row in answered.rows:
                found[row.inst_id] = exact_decimal(row.idx_px, f"{VENUE} index {row.inst_id}")
        return found

    async def _funding(self) -> dict[str, Decimal]:
        answered = await self._public("public/funding-rate", {"instId": "ANY"}, _RATES, weight=6)
        rates = {
            row.inst_id: optional_decimal(row.funding_rate, f"{VENUE} funding {row.inst_id}")
            for row in answered.rows
        }
        return {name: rate for name, rate in rates.items() if rate is not None}

    async def _options(self, families: Sequence[str]) -> dict[str, wire.OptionSummary]:
        found: dict[str, wire.OptionSummary] = {}
        for name in families:
            path, parameters = "public/opt-summary", {"instFamily": name}
            answered = await self._public(path, parameters, _SUMMARIES, weight=3)
            found |= {row.inst_id: row for row in answered.rows}
        return found

    async def _public(
        self,
        path: str,
        parameters: Mapping[str, str],
        decoder: msgspec.json.Decoder[list[_Row]],
        *,
        weight: int,
    ) -> Answered[_Row]:
        call = Call(path=f"/api/v5/{path}", parameters=parameters, weight=weight, is_signed=False)
        return await self._client.read(call, decoder)


class _MarkStream:
    def __init__(
        self, market: OkxMarket, host: str, names: tuple[str, ...], stale_seconds: float
    ) -> None:
        self._market, self._host, self._names = market, host, names
        self._expected = ExpectedMarks(_SOURCE, names, stale_seconds)
        self._early: list[str] = []

    async def open(self) -> str:
        # One instrument that is not listed makes the venue refuse the whole subscription.
        listed = {inst_id_of(one.instrument_id) for one in await self._market.marks(self._names)}
        self._expected.begin(listed)
        return f"{self._host}/public"

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        channels = [{"channel": "mark-price", "instId": name} for name in self._expected.names]
        self._early = await subscribe(socket, channels, _SOURCE)
        self._expected.await_first()

    def read(self, frame: str) -> Iterable[FeedEvent]:
        frames, self._early = [*self._early, frame], []
        yield from self._expected.unlisted(self._market.clock)
        for one in frames:
            content = read_frame(one, _SOURCE)
            if content is None or content.arg is None or content.arg.channel != "mark-price":
                continue
            for row in decode(_MARKS, bytes(content.data), _SOURCE):
                yield from self._event(row)

    def silent_after(self) -> float | None:
        return self._expected.overdue_at()

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await ping_for_ever(socket)

    def _event(self, row: wire.MarkPrice) -> Iterable[FeedEvent]:
        stamp = int(row.ts) if row.ts.isdecimal() else 0
        if not self._expected.is_fresher(row.inst_id, stamp):
            return
        now = self._market.clock()
        mark = _mark(row, now, _Besides({}, {}, {}))
        yield FeedEvent(source=_SOURCE, received_at=now, marks=(mark,))


def _mark(row: wire.MarkPrice, received_at: datetime, besides: _Besides) -> Mark:
    option = besides.options.get(row.inst_id)
    name = f"{VENUE} {row.inst_id}"
    return require_mark(
        Mark(
            instrument_id=instrument_id(row.inst_id),
            reading=Reading(source=VENUE, received_at=received_at, venue_time=instant(row.ts)),
            mark_price=exact_decimal(row.mark_px, name),
            index_price=besides.index.get(family_of(row.inst_id)),
            funding_rate=besides.funding.get(row.inst_id),
            mark_iv=None if option is None else optional_decimal(option.mark_vol, name),
            forward_price=None if option is None else optional_decimal(option.fwd_px, name),
        )
    )


def _is_option_of(inst_id: str, family: str) -> bool:
    return inst_type_of(inst_id) == "OPTION" and family_of(inst_id) == family

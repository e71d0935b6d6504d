"""What Binance USD-M says of a day: rates of margin assets, funding, delivery prices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from engine.day_ports import Expired, FundingPayment, SettlementPrice, UsdRate
from engine.errors import BadPayload
from engine.ports import Reading
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.binance.instruments import instrument_id, symbol_of
from infra.venues.payloads import Wire, instant, to_milliseconds

# Symbols are paid every eight hours unless ``fundingInfo`` lists them with another interval.
_INTERVAL_HOURS: Final = Decimal(8)
_LIMIT: Final = 1000


class _AssetIndex(Wire):
    """A row of ``GET /fapi/v1/assetIndex``: ``USDTUSD`` and its like."""

    symbol: str
    time: int
    index: Decimal


class _Funding(Wire):
    """A row of ``GET /fapi/v1/fundingRate``."""

    symbol: str
    funding_time: int
    funding_rate: Decimal


class _Interval(Wire):
    """A row of ``GET /fapi/v1/fundingInfo``, which lists exceptions alone."""

    symbol: str
    funding_interval_hours: Decimal


class _Delivery(Wire):
    """A row of ``GET /futures/data/delivery-price``."""

    delivery_time: int
    delivery_price: Decimal


_INDICES: Final = msgspec.json.Decoder(list[_AssetIndex])
_FUNDING: Final = msgspec.json.Decoder(list[_Funding])
_INTERVALS: Final = msgspec.json.Decoder(list[_Interval])
_DELIVERIES: Final = msgspec.json.Decoder(list[_Delivery])


class BinanceDay:
    """Figures of a day, public ones alone."""

    def __init__(self, client: BinanceClient) -> None:
        self._client = client

    async def usd_rates(self, assets: Sequence[str]) -> tuple[UsdRate, ...]:
        """Return the index of margin assets in USD; others are absent."""
        call = Call(method="GET", path="/fapi/v1/assetIndex", weight=10, is_signed=False)
        answered = await self._client.read(call, _INDICES)
        by_symbol = {row.symbol: row for row in answered.content}
        rates = []
        for asset in assets:
            row = by_symbol.get(f"{asset}USD")
            if row is None:
                continue
            if row.index <= 0:
                raise BadPayload(
                    f"{VENUE} index of {asset}: {row.index} is not above 0",
                    identifier=asset,
                    value=row.index,
                )
            reading = Reading(
                source=VENUE, received_at=answered.received_at, venue_time=instant(row.time)
            )
            rates.append(UsdRate(asset=asset, usd_rate=row.index, reading=reading))
        return tuple(rates)

    async def funding(
        self, instrument_ids: Sequence[str], since: datetime, until: datetime
    ) -> tuple[FundingPayment, ...]:
        """Return payments after ``since``, up to and including ``until``."""
        if not instrument_ids:
            return ()
        call = Call(method="GET", path="/fapi/v1/fundingInfo", is_signed=False)
        hours = {
            row.symbol: row.funding_interval_hours
            for row in (await self._client.read(call, _INTERVALS)).content
        }
        rows = await asyncio.gather(*(self._funding(one, since, until) for one in instrument_ids))
        return tuple(
            FundingPayment(
                instrument_id=instrument_id(row.symbol), paid_at=instant(row.funding_time),
                funding_rate=row.funding_rate,
                interval_hours=hours.get(row.symbol, _INTERVAL_HOURS),
            )
            for paid in rows
            for row in paid
            if since < instant(row.funding_time) <= until
        )  # fmt: skip

    async def settlement_prices(self, expired: Sequence[Expired]) -> tuple[SettlementPrice, ...]:
        """Return delivery prices of quarterly deliveries."""
        prices: dict[str, dict[int, Decimal]] = {}
        settled = []
        for one in expired:
            pair = one.venue_symbol.partition("_")[0]
            if pair not in prices:
                prices[pair] = await self._deliveries(pair)
            at = one.expired_at
            price = prices[pair].get(to_milliseconds(at))
            if price is not None:
                settled.append(
                    SettlementPrice(
                        instrument_id=one.instrument_id, settled_at=at, settlement_price=price
                    )
                )
        return tuple(settled)

    async def _deliveries(self, pair: str) -> dict[int, Decimal]:
        call = Call(
            method="GET", path="/futures/data/delivery-price", parameters={"pair": pair},
            is_signed=False,
        )  # fmt: skip
        rows = (await self._client.read(call, _DELIVERIES)).content
        return {row.delivery_time: row.delivery_price for row in rows}

    async def _funding(self, name: str, since: datetime, until: datetime) -> list[_Funding]:
        symbol = symbol_of(name)
        parameters = {
            "symbol": symbol,
            "startTime": str(to_milliseconds(since)),
            "endTime": str(to_milliseconds(until)),
            "limit": str(_LIMIT),
        }
        call = Call(
            method="GET", path="/fapi/v1/fundingRate", parameters=parameters, is_signed=False
        )
        rows = (await self._client.read(call, _FUNDING)).content
        if len(rows) >= _LIMIT:
            raise BadPayload(
                f"{VENUE} funding of {symbol}: {len(rows)} payments, a page holds {_LIMIT}",
                identifier=symbol,
                value=len(rows),
            )
        return rows

"""What Deribit says of a day: rates of stablecoins, hourly funding, delivery prices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

import msgspec

from engine.day_ports import Expired, FundingPayment, SettlementPrice, UsdRate
from engine.errors import BadPayload, VenueRejected
from engine.ports import Reading
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.deribit.instruments import instrument_id, symbol_of
from infra.venues.payloads import instant, to_milliseconds

_HOUR: Final = Decimal(1)
# Delivery prices come newest first; expiries of ten days are on one page.
_PRICES: Final = 10
# An hour more than asked, so that a payment at the edge is seen and then cut off by its stamp.
_EDGE: Final = timedelta(hours=1)


class _Index(msgspec.Struct):
    """``public/get_index_price``."""

    index_price: Decimal


class _Funding(msgspec.Struct):
    """One of ``public/get_funding_rate_history``: ``interest_1h`` is for the hour before."""

    timestamp: int
    interest_1h: Decimal


class _Delivery(msgspec.Struct):
    """One of ``public/get_delivery_prices``."""

    date: str
    delivery_price: Decimal


class _Deliveries(msgspec.Struct):
    """``public/get_delivery_prices``, newest first."""

    data: list[_Delivery]


_INDEX: Final = msgspec.json.Decoder(_Index)
_FUNDING: Final = msgspec.json.Decoder(list[_Funding])
_DELIVERIES: Final = msgspec.json.Decoder(_Deliveries)


class DeribitDay:
    """Figures of a day, public ones alone.

    Funding is paid continuously and told by the hour. Everything that expires on a day settles at
    the index of its underlying at 08:00 UTC.
    """

    def __init__(self, client: DeribitClient) -> None:
        self._client = client

    async def usd_rates(self, assets: Sequence[str]) -> tuple[UsdRate, ...]:
        """Return the index of each asset in USD; one that Deribit does not keep is absent."""
        found = await asyncio.gather(*(self._usd_rate(asset) for asset in assets))
        return tuple(rate for rate in found if rate is not None)

    async def funding(
        self, instrument_ids: Sequence[str], since: datetime, until: datetime
    ) -> tuple[FundingPayment, ...]:
        """Return hourly funding after ``since``, up to and including ``until``.

        Raises
        ------
        BadPayload
            If an hour is missing between two that are told.
        """
        found = await asyncio.gather(*(self._funding(one, since, until) for one in instrument_ids))
        return tuple(payment for payments in found for payment in payments)

    async def settlement_prices(self, expired: Sequence[Expired]) -> tuple[SettlementPrice, ...]:
        """Return delivery prices; an option's is its payoff, in coin where its marks are."""
        prices: dict[str, dict[date, Decimal]] = {}
        settled = []
        for one in expired:
            # Inverse contracts are quoted in coin or in dollars and settle by the dollar index.
            is_usdc = one.quote_asset == "USDC"
            index = f"{one.underlying}_{'usdc' if is_usdc else 'usd'}".lower()
            if index not in prices:
                prices[index] = await self._deliveries(index)
            at = one.expired_at
            price = prices[index].get(at.date())
            if price is None:
                continue
            if one.kind == "option":
                price = one.payoff(price) / (1 if is_usdc else price)
            settled.append(
                SettlementPrice(
                    instrument_id=one.instrument_id, settled_at=at, settlement_price=price
                )
            )
        return tuple(settled)

    async def _usd_rate(self, asset: str) -> UsdRate | None:
        call = Call("public/get_index_price", {"index_name": f"{asset.lower()}_usd"})
        try:
            answered = await self._client.read(call, _INDEX)
        except VenueRejected:
            return None
        if answered.content.index_price <= 0:
            raise BadPayload(
                f"{VENUE} index of {asset}: {answered.content.index_price} is not above 0",
                identifier=asset,
                value=answered.content.index_price,
            )
        # The answer bears no stamp of its own.
        reading = Reading(source=VENUE, received_at=answered.received_at)
        return UsdRate(asset=asset, usd_rate=answered.content.index_price, reading=reading)

    async def _funding(
        self, instrument: str, since: datetime, until: datetime
    ) -> list[FundingPayment]:
        symbol = symbol_of(instrument)
        call = Call(
            "public/get_funding_rate_history",
            {
                "instrument_name": symbol,
                "start_timestamp": to_milliseconds(since),
                "end_timestamp": to_milliseconds(until + _EDGE),
            },
        )
        rows = (await self._client.read(call, _FUNDING)).content
        rows.sort(key=lambda row: row.timestamp)
        for before, after in pairwise(rows):
            if instant(after.timestamp) - instant(before.timestamp) > _EDGE:
                raise BadPayload(
                    f"{VENUE} funding of {symbol}: nothing between "
                    f"{instant(before.timestamp).isoformat()} and "
                    f"{instant(after.timestamp).isoformat()}",
                    identifier=symbol,
                )
        return [
            FundingPayment(
                instrument_id=instrument_id(symbol), paid_at=instant(row.timestamp),
                funding_rate=row.interest_1h, interval_hours=_HOUR,
            )
            for row in rows
            if since < instant(row.timestamp) <= until
        ]  # fmt: skip

    async def _deliveries(self, index: str) -> dict[date, Decimal]:
        call = Call("public/get_delivery_prices", {"index_name": index, "count": _PRICES})
        rows = (await self._client.read(call, _DELIVERIES)).content.data
        return {_day(row.date): row.delivery_price for row in rows if row.delivery_price > 0}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadPayload(f"{VENUE} delivery prices: {text!r} is no date", value=text) from error

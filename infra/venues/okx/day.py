"""What OKX says of a day: rates of stablecoins, funding, delivery and exercise prices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from engine.day_ports import Expired, FundingPayment, SettlementPrice, UsdRate
from engine.errors import BadPayload, VenueRejected
from engine.ports import Reading
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, Answered, Call, OkxClient
from infra.venues.okx.instruments import family_of, inst_id_of, inst_type_of
from infra.venues.payloads import Wire, exact_decimal, instant, to_milliseconds

_Row = TypeVar("_Row")
_PAGE: Final = 100
# The longest interval of a swap; a swap's own is the time between its payments.
_INTERVAL_MAX: Final = timedelta(hours=8)
_HOUR: Final = timedelta(hours=1)
_EXPIRED_PATH: Final = "public/delivery-exercise-history"


class _Funding(Wire):
    """A row of ``public/funding-rate-history``; ``realized_rate`` is what was paid."""

    inst_id: str
    funding_time: str
    realized_rate: str


class _Settled(Wire):
    """One instrument of a row of ``public/delivery-exercise-history``."""

    ins_id: str
    px: str


class _Expiry(Wire):
    """A row of ``public/delivery-exercise-history``."""

    ts: str
    details: list[_Settled]


_INDICES: Final = msgspec.json.Decoder(list[wire.IndexTicker])
_FUNDING: Final = msgspec.json.Decoder(list[_Funding])
_EXPIRIES: Final = msgspec.json.Decoder(list[_Expiry])


class OkxDay:
    """Figures of a day, public ones alone."""

    def __init__(self, client: OkxClient) -> None:
        self._client = client

    async def usd_rates(self, assets: Sequence[str]) -> tuple[UsdRate, ...]:
        """Return the index of each asset in USD; one that OKX does not keep is absent."""
        found = await asyncio.gather(*(self._usd_rate(asset) for asset in assets))
        return tuple(rate for rate in found if rate is not None)

    async def funding(
        self, instrument_ids: Sequence[str], since: datetime, until: datetime
    ) -> tuple[FundingPayment, ...]:
        """Return payments after ``since``, up to and including ``until``."""
        found = await asyncio.gather(*(self._funding(one, since, until) for one in instrument_ids))
        return tuple(payment for payments in found for payment in payments)

    async def settlement_prices(self, expired: Sequence[Expired]) -> tuple[SettlementPrice, ...]:
        """Return what deliveries settled at; an option's is its payoff in coin, as marks are."""
        found: dict[tuple[str, str], dict[str, Decimal]] = {}
        settled = []
        for one in expired:
            group = (inst_type_of(one.venue_symbol), family_of(one.venue_symbol))
            if group not in found:
                found[group] = await self._expiries(*group)
            price = found[group].get(one.venue_symbol)
            if price is None:
                continue
            if one.kind == "option":
                # Told is the index at which it was exercised.
                price = one.payoff(price) / price
            settled.append(
                SettlementPrice(
                    instrument_id=one.instrument_id, settled_at=one.expired_at,
                    settlement_price=price,
                )
            )  # fmt: skip
        return tuple(settled)

    async def _expiries(self, kind: str, family: str) -> dict[str, Decimal]:
        parameters = {"instType": kind, "instFamily": family, "limit": str(_PAGE)}
        rows = (await self._public(_EXPIRED_PATH, parameters, _EXPIRIES)).rows
        return {
            one.ins_id: exact_decimal(one.px, f"{VENUE} {one.ins_id}")
            for row in rows
            for one in row.details
        }

    async def _usd_rate(self, asset: str) -> UsdRate | None:
        name = f"{asset}-USD"
        try:
            answered = await self._public("market/index-tickers", {"instId": name}, _INDICES)
        except VenueRejected:
            return None
        if not answered.rows:
            return None
        row = answered.rows[0]
        rate = exact_decimal(row.idx_px, f"{VENUE} index {name}")
        if rate <= 0:
            raise BadPayload(
                f"{VENUE} index {name}: {rate} is not above 0", identifier=asset, value=rate
            )
        reading = Reading(
            source=VENUE, received_at=answered.received_at, venue_time=instant(row.ts)
        )
        return UsdRate(asset=asset, usd_rate=rate, reading=reading)

    async def _funding(self, name: str, since: datetime, until: datetime) -> list[FundingPayment]:
        inst_id = inst_id_of(name)
        # A payment before the day says how long its first interval was.
        earliest = since - _INTERVAL_MAX - _HOUR
        parameters = {
            "instId": inst_id,
            "before": str(to_milliseconds(earliest)),
            "after": str(to_milliseconds(until + _HOUR)),
            "limit": str(_PAGE),
        }
        rows = (await self._public("public/funding-rate-history", parameters, _FUNDING)).rows
        if len(rows) >= _PAGE:
            raise BadPayload(
                f"{VENUE} funding of {inst_id}: {len(rows)} payments, a page holds {_PAGE}",
                identifier=inst_id,
                value=len(rows),
            )
        paid = sorted((instant(row.funding_time), row.realized_rate) for row in rows)
        payments = []
        for place, (at, rate) in enumerate(paid):
            interval = at - paid[place - 1][0] if place else _INTERVAL_MAX
            if since < at <= until:
                payments.append(
                    FundingPayment(
                        instrument_id=name, paid_at=at,
                        funding_rate=exact_decimal(rate, f"{VENUE} funding of {inst_id}"),
                        interval_hours=Decimal(round(interval / _HOUR)),
                    )
                )  # fmt: skip
        return payments

    async def _public(
        self, path: str, parameters: Mapping[str, str], decoder: msgspec.json.Decoder[list[_Row]]
    ) -> Answered[_Row]:
        call = Call(path=f"/api/v5/{path}", parameters=parameters, weight=6, is_signed=False)
        return await self._client.read(call, decoder)

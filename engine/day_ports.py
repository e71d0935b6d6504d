"""What a close needs of a venue beside marks and holdings: rates, funding, prices of expiry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from engine.ports import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class UsdRate:
    """USD for one unit of a currency or stablecoin, by the venue's own index."""

    asset: str
    usd_rate: Decimal
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """The fraction of notional that longs paid to shorts at ``paid_at`` for the hours before."""

    instrument_id: str
    paid_at: datetime
    funding_rate: Decimal
    interval_hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """An instrument that has expired; columns of contract ``instruments``, exact."""

    instrument_id: str
    venue_symbol: str
    kind: str
    underlying: str
    quote_asset: str
    expired_at: datetime
    strike: Decimal | None = None
    option_type: str | None = None

    def payoff(self, index: Decimal) -> Decimal:
        """Return what an option pays at an index, in its quote asset; never below zero."""
        strike = self.strike or Decimal(0)
        gain = index - strike if self.option_type == "call" else strike - index
        return max(gain, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementPrice:
    """The price that settled an instrument at its expiry, in its quote asset."""

    instrument_id: str
    settled_at: datetime
    settlement_price: Decimal


class DayFeed(Protocol):
    """What a venue says of a day beside its marks; public, exact, absent where it says nothing."""

    async def usd_rates(self, assets: Sequence[str]) -> tuple[UsdRate, ...]:
        """Return present rates; an asset without an index of the venue is absent."""

    async def funding(
        self, instrument_ids: Sequence[str], since: datetime, until: datetime
    ) -> tuple[FundingPayment, ...]:
        """Return payments of perpetuals after ``since``, up to and including ``until``.

        Raises BadPayload rather than return a part of them.
        """

    async def settlement_prices(self, expired: Sequence[Expired]) -> tuple[SettlementPrice, ...]:
        """Return what settled instruments; one of which the venue says nothing is absent."""

"""What an adapter offers, and which one serves a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from engine.day_ports import DayFeed
from engine.errors import MissingDataError
from engine.order_ports import RiskActions
from engine.ports import (
    AccountFeed,
    AccountSnapshot,
    DepositHistory,
    HeldBalance,
    MarketFeed,
    TransferGateway,
    VenueCatalog,
    VenueLedgerPage,
    WhatIf,
)

AdapterT = TypeVar("AdapterT")


class TradingVenue(Protocol):
    """What it takes to make positions at a venue smaller."""

    @property
    def market(self) -> MarketFeed: ...
    @property
    def accounts(self) -> AccountFeed: ...
    @property
    def what_if(self) -> WhatIf: ...
    @property
    def actions(self) -> RiskActions: ...


class VenueAdapter(TradingVenue, Protocol):
    """What every venue offers; a function that a venue has not raises Unsupported."""

    @property
    def catalog(self) -> VenueCatalog: ...
    @property
    def day(self) -> DayFeed: ...
    @property
    def transfers(self) -> TransferGateway: ...
    @property
    def deposits(self) -> DepositHistory: ...


class VaultBalances(Protocol):
    """What a custodian holds for us."""

    async def balances(self, place: str) -> tuple[HeldBalance, ...]:
        """Return all that a vault holds."""

    async def all_balances(self) -> Mapping[str, tuple[HeldBalance, ...]]:
        """Return what every vault holds, by place."""


class Holdings(Protocol):
    """What a place holds, and the lines that explain it."""

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return everything of a place, read together."""

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return its own lines after ``cursor``."""


class CustodyAdapter(Protocol):
    """What every custodian offers: it holds and moves, and has neither market nor positions."""

    @property
    def transfers(self) -> TransferGateway: ...
    @property
    def deposits(self) -> DepositHistory: ...
    @property
    def vaults(self) -> VaultBalances: ...
    @property
    def accounts(self) -> Holdings: ...


def adapter_of(venues: Mapping[str, AdapterT], place: str) -> AdapterT:
    """Return the adapter of a place; MissingDataError if its venue is not connected."""
    name = place.partition("/")[0]
    if name not in venues:
        known = ", ".join(sorted(venues)) or "none"
        raise MissingDataError(
            f"{place}: venue {name} is not connected; connected: {known}",
            identifier=place,
            limit=known,
        )
    return venues[name]

"""Deribit behind the ports, wired in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.deribit.account import DeribitAccounts
from infra.venues.deribit.actions import DeribitActions
from infra.venues.deribit.client import DeribitClient
from infra.venues.deribit.day import DeribitDay
from infra.venues.deribit.deposits import DeribitDeposits
from infra.venues.deribit.hosts import DeribitHosts
from infra.venues.deribit.instruments import DeribitCatalog
from infra.venues.deribit.market import STALE_SECONDS, DeribitMarket
from infra.venues.deribit.transfers import REQUEST_EXPIRY, DeribitTransfers
from infra.venues.limits import RequestLimiter
from infra.venues.streams import StreamLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class DeribitConfiguration:
    """What the adapter needs to know.

    Attributes
    ----------
    main_account : str
        The venue's number of the account of ``credential``; its sub-accounts are reached with
        tokens exchanged for them.
    limiter : RequestLimiter, optional
        Shared, where several parts of the process use one credential.
    request_expiry : timedelta
        How long a request that got no answer may still be accepted.
    """

    hosts: DeribitHosts
    credential: Credential | None = None
    main_account: str = ""
    stale_seconds: float = STALE_SECONDS
    stream_limits: StreamLimits | None = None
    limiter: RequestLimiter | None = None
    request_expiry: timedelta = REQUEST_EXPIRY


class Deribit:
    """One object for each port; use as ``async with``."""

    def __init__(self, configuration: DeribitConfiguration, clock: Clock = utc_now) -> None:
        c = configuration
        self.client = DeribitClient(
            c.hosts, c.credential, c.main_account, limiter=c.limiter, clock=clock
        )
        self.catalog = DeribitCatalog(self.client)
        self.market = DeribitMarket(
            self.client, stale_seconds=c.stale_seconds, limits=c.stream_limits, clock=clock
        )
        self.day = DeribitDay(self.client)
        self.accounts = DeribitAccounts(
            self.client, self.catalog, limits=c.stream_limits, clock=clock
        )
        self.actions = DeribitActions(self.client, self.catalog, request_expiry=c.request_expiry)
        self.what_if = self.actions
        self.transfers = DeribitTransfers(self.client, request_expiry=c.request_expiry)
        self.deposits = DeribitDeposits(self.client)

    async def close(self) -> None:
        """Close connections."""
        await self.client.close()

    async def __aenter__(self) -> Deribit:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

"""OKX behind the ports, wired in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from engine.errors import ParameterError
from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.okx.account import OkxAccounts
from infra.venues.okx.account_stream import PRIVATE_STALE_SECONDS
from infra.venues.okx.actions import OkxActions
from infra.venues.okx.client import VENUE, OkxClient, OkxHosts
from infra.venues.okx.day import OkxDay
from infra.venues.okx.deposits import OkxDeposits
from infra.venues.okx.instruments import OPTION_FAMILIES, OkxCatalog
from infra.venues.okx.market import STALE_SECONDS, OkxMarket
from infra.venues.okx.places import OkxAccount, OkxPlaces, WithdrawalTerms
from infra.venues.okx.transfers import OkxTransfers
from infra.venues.streams import StreamLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxConfiguration:
    """What the adapter needs to know.

    Attributes
    ----------
    accounts : sequence of OkxAccount
        Several wallets may share a credential; they then share its client and its limits.
    option_families : sequence of str
        Families whose options the catalogue lists.
    is_client_id_once : bool
        Whether it is proven that the venue carries out a ``clientId`` at most once. The
        documentation does not say so; without proof, routes count as unkeyed.
    """

    hosts: OkxHosts
    accounts: Sequence[OkxAccount] = ()
    withdrawals: Sequence[WithdrawalTerms] = ()
    option_families: Sequence[str] = OPTION_FAMILIES
    stale_seconds: float = STALE_SECONDS
    private_stale_seconds: float = PRIVATE_STALE_SECONDS
    stream_limits: StreamLimits | None = None
    is_client_id_once: bool = False


class Okx:
    """One object for each port; use as ``async with``."""

    def __init__(self, configuration: OkxConfiguration, clock: Clock = utc_now) -> None:
        c = configuration
        self._public = OkxClient(c.hosts, None, clock)
        self._clients = _clients(c, clock)
        places = OkxPlaces(
            accounts={account.name: account for account in c.accounts},
            clients=self._clients,
            withdrawals=tuple(c.withdrawals),
            is_client_id_once=c.is_client_id_once,
        )
        self.catalog = OkxCatalog(self._public, c.option_families)
        self.market = OkxMarket(
            self._public, stale_seconds=c.stale_seconds, limits=c.stream_limits, clock=clock
        )
        self.day = OkxDay(self._public)
        self.accounts = OkxAccounts(
            places, stale_seconds=c.private_stale_seconds, limits=c.stream_limits, clock=clock
        )
        self.actions = OkxActions(places, self.market)
        self.what_if = self.actions
        self.transfers = OkxTransfers(places)
        self.deposits = OkxDeposits(places)

    async def close(self) -> None:
        """Close connections."""
        await self._public.close()
        for client in self._clients.values():
            await client.close()

    async def __aenter__(self) -> Okx:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _clients(configuration: OkxConfiguration, clock: Clock) -> dict[str, OkxClient]:
    names = [account.name for account in configuration.accounts]
    if len(set(names)) < len(names):
        raise ParameterError(f"{VENUE} accounts need names of their own, found {names}")
    by_name: dict[str, Credential] = {}
    for account in configuration.accounts:
        held = account.credential
        if by_name.setdefault(held.name, held) != held:
            raise ParameterError(
                f"{VENUE} has two credentials named {held.name}", identifier=held.name
            )
    return {
        name: OkxClient(configuration.hosts, credential, clock)
        for name, credential in by_name.items()
    }

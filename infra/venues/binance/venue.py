"""Binance USD-M behind the ports, wired in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType

from engine.errors import ParameterError, Unsupported
from engine.ports import ReportedMargin
from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.binance.account import BinanceAccounts
from infra.venues.binance.actions import BinanceActions
from infra.venues.binance.client import VENUE, BinanceClient, BinanceHosts
from infra.venues.binance.day import BinanceDay
from infra.venues.binance.deposits import BinanceDeposits
from infra.venues.binance.instruments import BinanceCatalog
from infra.venues.binance.market import STALE_SECONDS, BinanceMarket
from infra.venues.binance.places import BinanceAccount, BinancePlaces, WithdrawalTerms
from infra.venues.binance.transfers import BinanceTransfers
from infra.venues.streams import StreamLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceConfiguration:
    """What the adapter needs to know.

    Attributes
    ----------
    accounts : sequence of BinanceAccount
        Several wallets may share a credential; they then share its client and its limits.
    master : Credential, optional
        Key of the master account with the permission of universal transfers.
    """

    hosts: BinanceHosts
    accounts: Sequence[BinanceAccount] = ()
    master: Credential | None = None
    withdrawals: Sequence[WithdrawalTerms] = ()
    stale_seconds: float = STALE_SECONDS
    stream_limits: StreamLimits | None = None


class NoWhatIf:
    """Binance has no endpoint that margins a changed book."""

    async def simulate(
        self, account_id: str, changes: Mapping[str, Decimal]
    ) -> tuple[ReportedMargin, ...]:
        """Raise Unsupported."""
        raise Unsupported(
            f"{VENUE} does not margin a changed book; ask the engine's own model",
            identifier=account_id,
        )


class Binance:
    """One object for each port; use as ``async with``."""

    def __init__(self, configuration: BinanceConfiguration, clock: Clock = utc_now) -> None:
        self._public = BinanceClient(configuration.hosts, None, clock)
        self._clients = _clients(configuration, clock)
        master = configuration.master
        places = BinancePlaces(
            accounts={account.name: account for account in configuration.accounts},
            clients=self._clients,
            master=None if master is None else self._clients[master.name],
            withdrawals=tuple(configuration.withdrawals),
        )
        self.catalog = BinanceCatalog(self._public)
        self.market = BinanceMarket(
            self._public,
            stale_seconds=configuration.stale_seconds,
            limits=configuration.stream_limits,
            clock=clock,
        )
        self.day = BinanceDay(self._public)
        self.accounts = BinanceAccounts(places, limits=configuration.stream_limits, clock=clock)
        self.what_if = NoWhatIf()
        self.actions = BinanceActions(places, clock)
        self.transfers = BinanceTransfers(places)
        self.deposits = BinanceDeposits(places)

    async def close(self) -> None:
        """Close connections."""
        await self._public.close()
        for client in self._clients.values():
            await client.close()

    async def __aenter__(self) -> Binance:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _clients(configuration: BinanceConfiguration, clock: Clock) -> dict[str, BinanceClient]:
    credentials = [account.credential for account in configuration.accounts]
    if configuration.master is not None:
        credentials.append(configuration.master)
    names = [account.name for account in configuration.accounts]
    if len(set(names)) < len(names):
        raise ParameterError(f"{VENUE} accounts need names of their own, found {names}")
    by_name: dict[str, Credential] = {}
    for credential in credentials:
        other = by_name.setdefault(credential.name, credential)
        if other != credential:
            raise ParameterError(
                f"{VENUE} has two credentials named {credential.name}", identifier=credential.name
            )
    return {
        name: BinanceClient(configuration.hosts, credential, clock)
        for name, credential in by_name.items()
    }

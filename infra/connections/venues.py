"""Open what the connections file names: one adapter per venue, all behind the same ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.ports import DepositHistory, TransferGateway
from infra.clock import Clock, utc_now
from infra.connections.adapters import CustodyAdapter, Holdings, VenueAdapter, adapter_of
from infra.connections.close_terms import CloseTerms
from infra.connections.document import (
    AccountConnection,
    BinanceConnection,
    ConnectionsFile,
    DeribitConnection,
    FireblocksConnection,
    OkxConnection,
    OmsConnection,
    read_connections,
)
from infra.secrets import read_credential
from infra.settings import Settings
from infra.venues.networks import Network, require_network

Opened: TypeAlias = AbstractAsyncContextManager[VenueAdapter]
"""An adapter that is open as long as the block it is entered for."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Open adapters by venue and by custodian, and the accounts by their place."""

    venues: Mapping[str, VenueAdapter] = field(default_factory=dict)
    accounts: Mapping[str, AccountConnection] = field(default_factory=dict)
    custodians: Mapping[str, CustodyAdapter] = field(default_factory=dict)
    close: CloseTerms = field(default_factory=CloseTerms)
    oms: OmsConnection | None = None

    def venue_of(self, place: str) -> VenueAdapter:
        """Return the adapter of a place; raises MissingDataError if its venue is not connected."""
        return adapter_of(self.venues, place)

    @property
    def gateways(self) -> Mapping[str, TransferGateway]:
        """Return the transfer gateways, by venue or custodian."""
        gateways = {name: venue.transfers for name, venue in self.venues.items()}
        return gateways | {name: one.transfers for name, one in self.custodians.items()}

    def holdings_of(self, place: str) -> Holdings:
        """Return what says what a place holds, at a venue or a custodian; raises as above."""
        custodian = self.custodians.get(place.partition("/")[0])
        return self.venue_of(place).accounts if custodian is None else custodian.accounts


@asynccontextmanager
async def open_connections(
    settings: Settings, clock: Clock = utc_now
) -> AsyncIterator[Connections]:
    """Yield the connections of an installation, closed afterwards.

    Raises
    ------
    MissingDataError
        If there is no connections file.
    ParameterError
        If it is wrong, a credential is absent, or live was not asked for twice.
    """
    found = read_connections(settings.connections_path)
    allowed = settings.venue_network
    require_network(found.network, setting=allowed, is_live_meant=found.is_live_meant)
    async with AsyncExitStack() as stack:
        venues: dict[str, VenueAdapter] = {}
        for name, adapter in _adapters(found, clock).items():
            venues[name] = await stack.enter_async_context(adapter)
        custodians: dict[str, CustodyAdapter] = {}
        if found.fireblocks is not None:
            # What has left a vault has arrived when the venue says so.
            histories = {name: venue.deposits for name, venue in venues.items()}
            opened = _fireblocks(found.fireblocks, found.network, histories, clock)
            custodians["fireblocks"] = await stack.enter_async_context(opened)
        accounts = {each.place: each for each in found.account}
        yield Connections(venues, accounts, custodians, found.close, found.oms)


@asynccontextmanager
async def open_gateways(settings: Settings) -> AsyncIterator[Mapping[str, TransferGateway]]:
    """Yield the transfer gateways of an installation, by venue or custodian."""
    async with open_connections(settings) as connections:
        yield connections.gateways


def has_connections(settings: Settings) -> bool:
    """Return whether there is a connections file."""
    return settings.connections_path.is_file()


def _adapters(found: ConnectionsFile, clock: Clock) -> dict[str, Opened]:
    adapters: dict[str, Opened] = {}
    if found.deribit is not None:
        adapters["deribit"] = _deribit(found.deribit, found.network, clock)
    if found.binance is not None:
        adapters["binance"] = _binance(found.binance, found.network, clock)
    if found.okx is not None:
        adapters["okx"] = _okx(found.okx, found.network, clock)
    return adapters


def _deribit(wanted: DeribitConnection, network: Network, clock: Clock) -> Opened:
    from infra.venues.deribit import Deribit, DeribitConfiguration, DeribitHosts

    hosts = DeribitHosts(rest=wanted.rest, stream=wanted.stream, network=network)
    configuration = DeribitConfiguration(
        hosts=hosts,
        credential=read_credential(wanted.credential),
        main_account=wanted.main_account,
    )
    return Deribit(configuration, clock)


def _binance(wanted: BinanceConnection, network: Network, clock: Clock) -> Opened:
    from infra.venues.binance import (
        Binance,
        BinanceAccount,
        BinanceConfiguration,
        BinanceHosts,
        WithdrawalTerms,
    )

    accounts = [
        BinanceAccount(
            name=wallet.name,
            credential=read_credential(wallet.credential),
            email=wallet.email,
            wallet=wallet.wallet,
        )
        for wallet in wanted.wallets
    ]
    configuration = BinanceConfiguration(
        accounts=accounts,
        master=None if wanted.master is None else read_credential(wanted.master),
        withdrawals=[
            WithdrawalTerms(
                asset=route.asset,
                network=route.network,
                fee_max=route.fee_max,
                amount_min=route.amount_min,
            )
            for route in wanted.withdrawals
        ],
        hosts=BinanceHosts(
            futures=wanted.futures, wallet=wanted.wallet, stream=wanted.stream, network=network
        ),
    )
    return Binance(configuration, clock)


def _okx(wanted: OkxConnection, network: Network, clock: Clock) -> Opened:
    from infra.venues.okx import Okx, OkxAccount, OkxConfiguration, OkxHosts, WithdrawalTerms

    accounts = [
        OkxAccount(
            name=wallet.name,
            credential=read_credential(wallet.credential, has_passphrase=True),
            sub_account=wallet.sub_account,
            wallet=wallet.wallet,
        )
        for wallet in wanted.wallets
    ]
    configuration = OkxConfiguration(
        hosts=OkxHosts(rest=wanted.rest, stream=wanted.stream, network=network),
        accounts=accounts,
        withdrawals=[
            WithdrawalTerms(
                asset=route.asset,
                chain=route.network,
                fee_max=route.fee_max,
                amount_min=route.amount_min,
            )
            for route in wanted.withdrawals
        ],
        is_client_id_once=wanted.is_client_id_once,
    )
    return Okx(configuration, clock)


def _fireblocks(
    wanted: FireblocksConnection,
    network: Network,
    deposits: Mapping[str, DepositHistory],
    clock: Clock,
) -> AbstractAsyncContextManager[CustodyAdapter]:
    from infra.custody.fireblocks import (
        LIVE_ASSETS,
        TEST_ASSETS,
        Fireblocks,
        FireblocksConfiguration,
        FireblocksHosts,
    )

    hosts = FireblocksHosts(rest=wanted.rest, keys=wanted.keys, network=network)
    configuration = FireblocksConfiguration(
        hosts=hosts,
        credential=read_credential(wanted.credential),
        assets=TEST_ASSETS if network == "test" else LIVE_ASSETS,
        deposits=deposits,
    )
    return Fireblocks(configuration, clock)

"""A town with a Fireblocks and a Deribit in it, and the adapters that speak to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from engine.ports import TransferOrder
from infra.custody.fireblocks import Fireblocks, FireblocksConfiguration, FireblocksHosts
from infra.secrets import Credential
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.deribit import DeribitVenue
from infra.simulator.venues.fireblocks import FireblocksVenue
from infra.simulator.venues.streets import build_town
from infra.venues.deribit import Deribit, DeribitConfiguration, DeribitHosts

KEY = "0123456789abcdef0123456789abcdef"
TRANSACTIONS = "/v1/transactions"
VAULT = "fireblocks/0"
MARGIN = "deribit/1002"
CONFIRMATION = 5.0


@dataclass
class Scene:
    """Everything that a test of the custodian needs; nothing moves but by ``go``."""

    town: VenueTown
    venue: FireblocksVenue
    deribit_venue: DeribitVenue
    adapter: Fireblocks
    deribit: Deribit
    address: str

    def inject(self, kind: FaultKind, endpoint: str = "*", **more: Any) -> int:
        times = more.pop("times", None)
        fault = Fault(
            kind=kind, venue="fireblocks", endpoint=endpoint, times=times, parameters=more
        )
        return self.town.plan.inject(fault)

    def order(self, quantity: str = "1.5", key: str = KEY, **changes: Any) -> TransferOrder:
        first = TransferOrder(
            key=key, source=VAULT, destination=MARGIN, asset="BTC", quantity=Decimal(quantity),
            address=self.address, network="BTC",
        )  # fmt: skip
        return replace(first, **changes)

    def times(self, key: str = KEY) -> int:
        return self.venue.book.times_executed(key)

    def held(self, vault: str = "0", asset: str = "BTC") -> Decimal:
        return self.venue.book.accounts[vault].balance(asset)

    def arrived(self, asset: str = "BTC") -> Decimal:
        return self.deribit_venue.book.accounts["1002"].balance(asset)

    async def go(self, ticks: int = 1, seconds: float = 0.0) -> None:
        for _ in range(ticks):
            await self.town.step(seconds)

    async def complete(self) -> None:
        """Let everything on its way arrive."""
        await self.go(5)
        await self.go(2, CONFIRMATION)


def credential(venue: FireblocksVenue) -> Credential:
    return Credential(
        name="fireblocks_api", key=SecretStr(venue.api_key), secret=SecretStr(venue.secret_key)
    )


@asynccontextmanager
async def scene(*, seed: int = 3) -> AsyncIterator[Scene]:
    parameters = TownParameters(
        seed=seed, speed=0.0, tick_seconds=0.0, confirmation_seconds=CONFIRMATION
    )
    async with build_town(["deribit", "fireblocks"], parameters) as town:
        venue, deribit_venue = town.venues["fireblocks"], town.venues["deribit"]
        assert isinstance(venue, FireblocksVenue)
        assert isinstance(deribit_venue, DeribitVenue)
        told: Any = town.describe()["deribit"]
        first = told["credentials"][0]
        deribit_rest, rest = town.address("deribit"), town.address("fireblocks")
        hosts = DeribitHosts(
            rest=deribit_rest,
            stream=deribit_rest.replace("http", "ws") + "/ws/api/v2",
            network="sim",
        )
        main = Credential(
            name="deribit",
            key=SecretStr(first["client_id"]),
            secret=SecretStr(first["client_secret"]),
        )
        configuration = DeribitConfiguration(hosts=hosts, credential=main, main_account="1001")
        async with Deribit(configuration) as deribit:
            custody = FireblocksConfiguration(
                hosts=FireblocksHosts(rest=rest, keys=rest, network="sim"),
                credential=credential(venue),
                deposits={"deribit": deribit.deposits},
            )
            account = deribit_venue.book.accounts["1002"]
            address = deribit_venue.rails.deposit_address(account, "BTC").address
            venue.whitelist("Deribit margin", "BTC", address)
            async with Fireblocks(custody) as adapter:
                yield Scene(town, venue, deribit_venue, adapter, deribit, address)

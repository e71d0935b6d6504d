"""A town with an OKX in it, and the adapter that speaks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from engine.ports import TransferOrder
from infra.secrets import Credential
from infra.simulator.venues.core.faults import Fault
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.okx import OkxVenue
from infra.simulator.venues.streets import build_town
from infra.venues.okx import Okx, OkxAccount, OkxConfiguration, OkxHosts, WithdrawalTerms
from infra.venues.streams import StreamLimits

QUICK = StreamLimits(connect=1.0, heartbeat=0.2, backoff_min=0.02, backoff_max=0.1, sustained=0.5)
KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Hosted:
    """A town that is up, its OKX, and the adapter."""

    town: VenueTown
    venue: OkxVenue
    adapter: Okx

    def inject(self, fault: Fault) -> int:
        return self.town.plan.inject(fault)

    def executed(self, key: str = KEY) -> int:
        return self.venue.book.times_executed(key)


def credentials(town: VenueTown) -> dict[str, Any]:
    told: Any = town.describe()["okx"]
    return {one["account"]: one for one in told["credentials"]}


def credential(told: dict[str, Any], name: str) -> Credential:
    one = told[name]
    return Credential(
        name=name,
        key=SecretStr(one["api_key"]),
        secret=SecretStr(one["api_secret"]),
        passphrase=SecretStr(one["passphrase"]),
    )


@asynccontextmanager
async def hosted(
    *,
    seed: int = 3,
    stale_seconds: float = 0.6,
    is_client_id_once: bool = False,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> AsyncIterator[Hosted]:
    town = build_town(["okx"], TownParameters(seed=seed, tick_seconds=0.05))
    async with town:
        rest = town.address("okx")
        told = credentials(town)
        if change is not None:
            change(told)
        main = credential(told, "main")
        configuration = OkxConfiguration(
            hosts=OkxHosts(rest=rest, stream=rest.replace("http", "ws") + "/ws/v5"),
            accounts=[
                OkxAccount(name="main", credential=main),
                OkxAccount(name="main-funding", credential=main, wallet="funding"),
                OkxAccount(name="alpha", credential=credential(told, "alpha"), sub_account="alpha"),
                OkxAccount(name="beta", credential=credential(told, "beta"), sub_account="beta"),
            ],
            withdrawals=[
                WithdrawalTerms(
                    asset="BTC",
                    chain="BTC-Bitcoin",
                    fee_max=Decimal("0.001"),
                    amount_min=Decimal("0.001"),
                )
            ],
            stale_seconds=stale_seconds,
            private_stale_seconds=stale_seconds,
            stream_limits=QUICK,
            is_client_id_once=is_client_id_once,
        )
        venue = town.venues["okx"]
        assert isinstance(venue, OkxVenue)
        async with Okx(configuration) as adapter:
            yield Hosted(town, venue, adapter)


def transfer(
    quantity: str = "1250.12345678",
    key: str = KEY,
    source: str = "okx/main-funding",
    destination: str = "okx/alpha",
) -> TransferOrder:
    return TransferOrder(
        key=key,
        source=source,
        destination=destination,
        asset="USDT",
        quantity=Decimal(quantity),
    )

"""A town with a Binance in it, and the adapter and clients that speak to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from engine.ports import TransferOrder
from infra.secrets import Credential
from infra.simulator.venues.binance import BinanceVenue
from infra.simulator.venues.core.faults import Fault
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from infra.venues.binance import (
    Binance,
    BinanceAccount,
    BinanceConfiguration,
    BinanceHosts,
    WithdrawalTerms,
)
from infra.venues.streams import StreamLimits

QUICK = StreamLimits(connect=1.0, heartbeat=0.2, backoff_min=0.02, backoff_max=0.1, sustained=0.5)
KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Hosted:
    """A town that is up, its Binance, and the adapter."""

    town: VenueTown
    venue: BinanceVenue
    adapter: Binance

    def inject(self, fault: Fault) -> int:
        return self.town.plan.inject(fault)

    def executed(self, key: str = KEY) -> int:
        return self.venue.book.times_executed(key)


def credential(told: dict[str, Any], name: str) -> Credential:
    return Credential(
        name=name,
        key=SecretStr(told[name]["api_key"]),
        secret=SecretStr(told[name]["api_secret"]),
    )


def credentials(town: VenueTown) -> dict[str, Any]:
    told: Any = town.describe()["binance"]
    return {one["account"]: one for one in told["credentials"]}


@asynccontextmanager
async def hosted(
    *,
    seed: int = 3,
    has_master: bool = True,
    stale_seconds: float = 0.6,
    change: Callable[[dict[str, Any]], None] | None = None,
    parameters: TownParameters | None = None,
) -> AsyncIterator[Hosted]:
    town = build_town(["binance"], parameters or TownParameters(seed=seed, tick_seconds=0.05))
    async with town:
        rest = town.address("binance")
        told = credentials(town)
        if change is not None:
            change(told)
        main = credential(told, "main")
        subs = [
            BinanceAccount(name=name, credential=credential(told, name), email=told[name]["email"])
            for name in ("alpha", "beta")
        ]
        configuration = BinanceConfiguration(
            accounts=[
                BinanceAccount(name="main", credential=main),
                BinanceAccount(name="main-spot", credential=main, wallet="SPOT"),
                *subs,
            ],
            master=main if has_master else None,
            withdrawals=[
                WithdrawalTerms(
                    asset="BTC",
                    network="BTC",
                    fee_max=Decimal("0.001"),
                    amount_min=Decimal("0.001"),
                )
            ],
            hosts=BinanceHosts(futures=rest, wallet=rest, stream=rest.replace("http", "ws")),
            stale_seconds=stale_seconds,
            stream_limits=QUICK,
        )
        venue = town.venues["binance"]
        assert isinstance(venue, BinanceVenue)
        async with Binance(configuration) as adapter:
            yield Hosted(town, venue, adapter)


def transfer(
    quantity: str = "1250.12345678", key: str = KEY, destination: str = "binance/alpha"
) -> TransferOrder:
    return TransferOrder(
        key=key,
        source="binance/main-spot",
        destination=destination,
        asset="USDT",
        quantity=Decimal(quantity),
    )

"""A town with Deribit in it, and the adapter that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from pydantic import SecretStr

from engine.ports import FeedEvent, TransferOrder
from infra.secrets import Credential
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.deribit import DeribitVenue
from infra.simulator.venues.streets import build_town
from infra.venues.deribit import Deribit, DeribitConfiguration, DeribitHosts, deribit_hosts
from infra.venues.streams import StreamLimits

MAIN, MARGIN_A, MARGIN_B = "deribit/1001", "deribit/1002", "deribit/1003"
PERPETUAL = "deribit:BTC-PERPETUAL"
LIMITS = StreamLimits(connect=2.0, heartbeat=0.4, backoff_min=0.02, backoff_max=0.1)


@dataclass(slots=True)
class Scene:
    """Town, simulated venue and adapter of one test."""

    town: VenueTown
    venue: DeribitVenue
    adapter: Deribit

    def inject(self, kind: FaultKind, **fields: Any) -> None:
        self.town.plan.inject(Fault(kind=kind, venue="deribit", **fields))

    def times(self, key: str) -> int:
        return self.venue.book.times_executed(key)

    def balance(self, place: str, asset: str) -> Any:
        return self.venue.book.accounts[place.removeprefix("deribit/")].balance(asset)


def hosts(town: VenueTown) -> DeribitHosts:
    return deribit_hosts(address=town.address("deribit"))


def credential(town: VenueTown, n: int = 0) -> Credential:
    told = cast(Any, town.describe())["deribit"]["credentials"][n]
    return Credential("desk", SecretStr(told["client_id"]), SecretStr(told["client_secret"]))


@asynccontextmanager
async def scene(*, stale_seconds: float = 5.0, **parameters: Any) -> AsyncIterator[Scene]:
    """Host a town that ticks twenty times a second, with an adapter on the main account."""
    settings = {"seed": 3, "tick_seconds": 0.05, "confirmation_seconds": 0.2, **parameters}
    async with build_town(["deribit"], TownParameters(**settings)) as town:
        configuration = DeribitConfiguration(
            hosts=hosts(town), credential=credential(town), main_account="1001",
            stale_seconds=stale_seconds, stream_limits=LIMITS,
        )  # fmt: skip
        async with Deribit(configuration) as adapter:
            yield Scene(town, cast(DeribitVenue, town.venues["deribit"]), adapter)


def order(key: str, quantity: Any, **fields: Any) -> TransferOrder:
    """Return a transfer of BTC from the treasury to a margin account."""
    told = {"source": MAIN, "destination": MARGIN_A, "asset": "BTC", **fields}
    return TransferOrder(key=key, quantity=quantity, **told)


async def until(
    events: AsyncIterator[FeedEvent], wanted: Callable[[FeedEvent], bool], n_max: int = 400
) -> list[FeedEvent]:
    """Return events up to and with the first one that is wanted."""
    seen: list[FeedEvent] = []
    async for event in events:
        seen.append(event)
        if wanted(event):
            return seen
        if len(seen) >= n_max:
            break
    raise AssertionError(f"not among {n_max}: {[(e.health, e.reason) for e in seen[-5:]]}")

"""The desk with the adapters of venues against their simulators: real sockets and signatures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from engine.transfers import TransferIntent, TransferPolicy
from infra.connections import open_gateways
from infra.db import open_database
from infra.db.ledger import Entry, Posting
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from infra.transfers import KillSwitch, TransferDesk
from tests.integration.transfers.fake_venue import Clock, listed, rules

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Route:
    """A movement inside a venue, the request that makes it, and a code of the venue's own."""

    source: str
    destination: str
    endpoint: str
    asset: str
    code: int


ROUTES = {
    "binance": Route(
        "binance/main", "binance/alpha", "/sapi/v1/sub-account/universalTransfer", "USDT", -1007
    ),
    "deribit": Route(
        "deribit/1001", "deribit/1002", "private/submit_transfer_between_subaccounts", "BTC", 13888
    ),
    "okx": Route("okx/main", "okx/alpha", "/api/v5/asset/transfer", "USDT", 50026),
}
TREATMENTS: tuple[tuple[FaultKind, dict[str, object]] | None, ...] = (
    None,
    (FaultKind.RESET_AFTER, {}),
    (FaultKind.RESET_BEFORE, {}),
    (FaultKind.BAD_GATEWAY, {"status": 502, "when": "after"}),
    (FaultKind.UNKNOWN_CODE, {"when": "after"}),
    (FaultKind.BROKEN_BODY, {"form": "html", "when": "after"}),
)
EACH = Decimal("0.1")


def rules_for(asset: str) -> TransferPolicy:
    """Return a policy for one asset."""
    policy = rules()
    return replace(
        policy,
        assets={asset: policy.assets["BTC"]},
        limits=(replace(policy.limits[0], asset=asset),),
    )


@pytest.mark.parametrize("venue", sorted(ROUTES))
def test_i06_each_transfer_is_executed_once_whatever_the_venue_does_to_the_request(
    venue: str, database_url: str, quick_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    route = ROUTES[venue]

    async def scene() -> None:
        async with build_town([venue], TownParameters(seed=5)) as town:
            told = [
                TownAccount(place=place, account_id=f"a{n}", client_id="c", netting_set_id="n")
                for n, place in enumerate((route.source, route.destination))
            ]
            for name, value in connect_home(tmp_path, town.describe(), told).items():
                monkeypatch.setenv(name, value)
            async with open_gateways(Settings(home=tmp_path)) as gateways:
                clock = Clock(datetime.now(UTC))
                database = open_database(database_url, actor="test", clock=clock)
                switch = KillSwitch(quick_folder, clock)
                desk = TransferDesk(database, rules_for(route.asset), switch)
                await all_through(town, gateways, desk, clock, route)
                database.close()

    asyncio.run(scene())


async def all_through(town, gateways, desk: TransferDesk, clock: Clock, route: Route) -> None:
    """See a transfer through under every treatment, and compare both books afterwards."""
    venue = route.source.partition("/")[0]
    gateway, ledger = gateways[venue], desk.database.ledger
    before = (await gateway.balance(route.destination, route.asset)).quantity
    ledger.register_assets({route.asset: 8})
    opening = Posting("outside:world", f"location:{route.source}", route.asset, 10**10)
    ledger.post(Entry("opening", "test", clock().date(), None, (opening,)))
    for number, treatment in enumerate(TREATMENTS, start=1):
        if treatment is not None:
            kind, parameters = treatment
            told = {"code": route.code, **parameters}
            town.plan.inject(
                Fault(kind=kind, venue=venue, endpoint=route.endpoint, times=1, parameters=told)
            )
        intent = TransferIntent(
            purpose="call-1", leg=number, source=route.source, destination=route.destination,
            asset=route.asset, amount=int(EACH.scaleb(8)), scale=8,
        )  # fmt: skip
        await through(desk, clock, gateways, intent)
        town.plan.clear()
    after = (await gateway.balance(route.destination, route.asset)).quantity
    moved = EACH * len(TREATMENTS)
    assert after - before == moved
    assert ledger.balance(f"location:{route.destination}", route.asset).amount == moved
    assert all(amount == 0 for amount in ledger.balances(kind="transit")["amount"])


async def through(desk: TransferDesk, clock: Clock, gateways, intent: TransferIntent) -> None:
    """See one transfer through to its end."""
    listed(desk.database, intent)
    record = desk.propose(intent, "alice", "test")
    desk.approve(record.transfer_key, "bob", record.payload_hash)
    for _ in range(12):
        await desk.send_due(gateways)
        await desk.resolve_due(gateways, everything=True)
        if desk.database.transfers.get(record.transfer_key).state == "reconciled":
            return
        clock.advance(60)
    found = desk.database.transfers.get(record.transfer_key)
    raise AssertionError([f"{e.state}: {e.reason}" for e in desk.database.transfers.events(
        record.transfer_key)] + [found.note])  # fmt: skip

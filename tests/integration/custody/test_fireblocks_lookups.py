"""What Fireblocks is asked afterwards: found by its key, on the chain, at its balances."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import (
    BadPayload,
    ClockSkew,
    Unsupported,
    VenueError,
    VenueUnavailable,
)
from engine.ports import TransferOrder
from infra.custody.fireblocks import Fireblocks, FireblocksConfiguration, FireblocksHosts
from infra.simulator.venues.binance import BinanceVenue
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.fireblocks import FireblocksVenue
from infra.simulator.venues.streets import build_town
from infra.venues import http
from infra.venues.binance import Binance, BinanceAccount, BinanceConfiguration, BinanceHosts
from tests.integration.custody.fireblocks_town import (
    KEY,
    TRANSACTIONS,
    VAULT,
    credential,
    scene,
)
from tests.integration.venues.binance_town import credential as binance_credential
from tests.integration.venues.binance_town import credentials as binance_credentials

K = FaultKind
FEE = Decimal("0.00005")
LOOKUP = f"{TRANSACTIONS}/external_tx_id/{KEY}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)


def test_f60_what_the_chain_drops_comes_back_and_what_it_undoes_is_pending_again() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            await s.complete()
            (sent,) = s.town.chain.transfers.values()
            s.town.chain.reorganise(sent.tx_hash)
            await s.go()
            undone = await s.adapter.transfers.find(s.order())
            assert undone is not None
            assert (undone.status, undone.is_credited) == ("pending", None)
            s.town.chain.reorganise(sent.tx_hash, is_dropped=True)
            await s.go()
            dropped = await s.adapter.transfers.find(s.order())
            assert dropped is not None
            assert (dropped.status, dropped.is_debited) == ("rejected", False)
            assert s.held() == Decimal(120)

    asyncio.run(run())


def test_another_movement_under_the_key_is_no_answer() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            await s.go(5)
            wrong = (
                s.order(source="fireblocks/1"), s.order(asset="ETH", network="ETH"),
                s.order(address="sim1another"), s.order(destination="fireblocks/1"),
            )  # fmt: skip
            for order in wrong:
                with pytest.raises(BadPayload, match=r"has (source|asset|address|destination)"):
                    await s.adapter.transfers.find(order)
            larger = await s.adapter.transfers.find(s.order("9"))
            # The desk compares quantities itself.
            assert larger is not None and larger.quantity == Decimal("1.5")

    asyncio.run(run())


def test_a_stale_listing_finds_nothing_and_claims_nothing() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.LISTING_STALE, "/v1/transactions/external_tx_id", times=1, seconds=60)
            await s.adapter.transfers.submit(s.order())
            assert await s.adapter.transfers.find(s.order()) is None
            assert await s.adapter.transfers.find(s.order()) is not None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        (K.RESET_BEFORE, {}, VenueUnavailable),
        (K.BAD_GATEWAY, {"status": 502}, VenueUnavailable),
        (K.BAD_GATEWAY, {"status": 404}, VenueUnavailable),
        (K.BROKEN_BODY, {"form": "truncated"}, BadPayload),
        (K.ODD_NUMBER, {"field": "amount", "form": "nan"}, BadPayload),
        (K.ODD_NUMBER, {"field": "amount", "form": "null"}, BadPayload),
    ],
)
def test_a_lookup_is_tried_twice_and_its_failure_is_not_absence(
    kind: FaultKind, parameters: dict[str, Any], expected: type[VenueError]
) -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            s.inject(kind, LOOKUP, times=1, **parameters)
            assert await s.adapter.transfers.find(s.order()) is not None
            s.inject(kind, LOOKUP, **parameters)
            with pytest.raises(expected):
                await s.adapter.transfers.find(s.order())

    asyncio.run(run())


def test_f71_a_refused_time_is_corrected_by_the_custodians_own_date() -> None:
    async def run() -> None:
        async with scene() as s:
            s.town.clock.set_skew(-90.0)
            with pytest.raises(ClockSkew):
                await s.adapter.transfers.submit(s.order(destination="fireblocks/1", address=""))
            assert s.times() == 0
            await s.adapter.transfers.submit(s.order(destination="fireblocks/1", address=""))
            s.town.clock.set_skew(120.0)
            held = await s.adapter.transfers.balance(VAULT, "BTC")
            assert (held.quantity, s.times()) == (Decimal(120), 1)

    asyncio.run(run())


def test_routes_that_do_not_exist_are_refused_before_anything_is_sent() -> None:
    async def run() -> None:
        async with scene() as s:
            for changes in (
                {"source": "deribit/1002"}, {"asset": "DOGE"}, {"network": "TRX"},
                {"address": ""}, {"key": "x" * 41}, {"source": "fireblocks/main"},
            ):  # fmt: skip
                with pytest.raises(Unsupported):
                    s.adapter.transfers.guarantees(s.order(**changes))
                with pytest.raises(Unsupported):
                    await s.adapter.transfers.submit(s.order(**changes))
            promised = s.adapter.transfers.guarantees(s.order())
            assert promised.is_keyed and promised.has_lookup and promised.needs_whitelist
            assert promised.is_cancellable and promised.key_lifetime is None

    asyncio.run(run())


def test_balances_are_read_by_vault_and_all_together() -> None:
    async def run() -> None:
        async with scene() as s:
            one = {held.asset: held.quantity for held in await s.adapter.vaults.balances(VAULT)}
            assert one["USDT"] == Decimal(6_000_000)
            everything = await s.adapter.vaults.all_balances()
            assert sorted(everything) == ["fireblocks/0", "fireblocks/1"]
            assert {held.asset: held.quantity for held in everything[VAULT]} == one
            for place, asset in (("fireblocks/7", "BTC"), (VAULT, "DOGE")):
                with pytest.raises(Unsupported):
                    await s.adapter.transfers.balance(place, asset)

    asyncio.run(run())


def test_deposits_of_other_venues_are_proven_by_their_own_history() -> None:
    """A vault pays Binance, which says itself what has arrived."""

    async def run() -> None:
        parameters = TownParameters(seed=3, speed=0.0, tick_seconds=0.0, confirmation_seconds=5.0)
        async with build_town(["binance", "fireblocks"], parameters) as town:
            venue, binance = town.venues["fireblocks"], town.venues["binance"]
            assert isinstance(venue, FireblocksVenue)
            assert isinstance(binance, BinanceVenue)
            account, rest = binance.book.accounts["main"], town.address("fireblocks")
            address = binance.rails.deposit_address(account, "ETH", wallet="spot").address
            venue.whitelist("Binance", "USDT_ERC20", address)
            api = binance_credentials(town)
            main = BinanceAccount(name="main-spot", credential=binance_credential(api, "main"),
                                  wallet="SPOT")  # fmt: skip
            there = town.address("binance")
            hosts = BinanceHosts(futures=there, wallet=there, stream=there.replace("http", "ws"),
                                 network="sim")  # fmt: skip
            configuration = BinanceConfiguration(hosts=hosts, accounts=[main])
            async with Binance(configuration) as adapter:
                custody = FireblocksConfiguration(
                    hosts=FireblocksHosts(rest=rest, keys=rest, network="sim"),
                    credential=credential(venue), deposits={"binance": adapter.deposits},
                )  # fmt: skip
                order = TransferOrder(
                    key=KEY, source=VAULT, destination="binance/main-spot", asset="USDT",
                    quantity=Decimal("1500.5"), address=address, network="ETH",
                )  # fmt: skip
                async with Fireblocks(custody) as custodian:
                    await custodian.transfers.submit(order)
                    for seconds in (0, 0, 0, 0, 0):
                        await town.step(seconds)
                    sent = await custodian.transfers.find(order)
                    assert sent is not None
                    assert (sent.is_debited, sent.is_credited) == (True, None)
                    await town.step(6)
                    await town.step(0)
                    found = await custodian.transfers.find(order)
                    assert found is not None
                    assert (found.status, found.fee) == ("credited", 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "sub_status", "expected"),
    [
        ("FAILED", "SMART_CONTRACT_EXECUTION_FAILED", "pending"),
        ("REJECTED", "REJECTED_BY_USER", "pending"),
        ("FAILED", "DROPPED_BY_BLOCKCHAIN", "rejected"),
        ("PENDING_AML_SCREENING", "", "pending"),
    ],
)
def test_what_has_reached_the_chain_is_refused_only_if_the_chain_dropped_it(
    status: str, sub_status: str, expected: str
) -> None:
    """I-07: a refusal frees the hold; one that is doubtful must not."""

    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            await s.go(5)
            one = s.venue.transactions.by_external_id[KEY]
            one.status, one.sub_status = status, sub_status
            found = await s.adapter.transfers.find(s.order())
            assert found is not None
            assert found.status == expected
            assert found.is_credited is (False if expected == "rejected" else None)

    asyncio.run(run())


def test_a_status_that_is_not_known_is_no_answer() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            s.venue.transactions.by_external_id[KEY].status = "PARTIALLY_COMPLETED"
            with pytest.raises(BadPayload, match="none we know"):
                await s.adapter.transfers.find(s.order())

    asyncio.run(run())

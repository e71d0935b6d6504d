"""The transfer desk from a vault to a deposit address at Deribit: two facts, and hints beside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from infra.clock import utc_now
from infra.connections import AccountConnection, Connections
from infra.custody.fireblocks import (
    Inbox,
    PublishedKeys,
    WebhookVerifier,
    receiving_application,
)
from infra.custody.fireblocks.receiving import PATH
from infra.reconciling import look_at
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues import http
from tests.integration.custody.fireblocks_office import FEE, UNIT, Office, office
from tests.integration.custody.fireblocks_town import (
    MARGIN,
    TRANSACTIONS,
    VAULT,
    Scene,
)

K = FaultKind


@pytest.fixture
def folder(quick_folder: Path, sqlite_template: Path) -> Path:
    (quick_folder / "plimsoll.db").write_bytes(Path(sqlite_template).read_bytes())
    return quick_folder


def test_i15_from_a_vault_to_deribit_debit_and_credit_are_booked_when_each_is_seen(
    folder: Path,
) -> None:
    async def run() -> None:
        async with office(folder) as o:
            record, there = o.approved(), o.s.arrived()
            assert o.database.ledger.available(f"location:{VAULT}", "BTC").amount == 118
            await o.send()
            assert o.get(record).state == "done"
            await o.look()
            assert o.get(record).debited_at is None
            await o.s.go(5)
            await o.look()
            assert o.get(record).debited_at is not None
            assert o.get(record).credited_at is None
            assert o.units(f"location:{VAULT}") == 118 * UNIT
            assert o.units(f"transit:{record.transfer_key}") == 2 * UNIT
            assert o.units(f"location:{MARGIN}") == 0
            o.require_whole(record)
            await o.s.complete()
            await o.look()
            assert o.get(record).state == "credited"
            assert o.units(f"location:{MARGIN}") == 2 * UNIT - FEE
            assert o.units(f"transit:{record.transfer_key}") == 0
            o.require_whole(record)
            # The ledger and both simulated books say the same.
            assert o.s.held() == 118
            assert o.s.arrived() - there == Decimal(2) - Decimal("0.00005")
            o.clock.advance(10)
            await o.look()
            assert o.get(record).state == "reconciled"

    asyncio.run(run())


def test_f56_a_missing_credit_stays_in_transit_and_is_put_before_a_person(folder: Path) -> None:
    async def run() -> None:
        async with office(folder) as o:
            o.s.town.plan.inject(Fault(kind=K.CREDIT_MISSING, venue="deribit", endpoint="chain"))
            record = o.approved()
            await o.send()
            await o.s.complete()
            await o.look()
            assert o.get(record).debited_at is not None
            o.clock.advance(1000)
            await o.look()
            stuck = o.get(record)
            assert (stuck.state, stuck.credited_at) == ("stuck", None)
            assert "not credited since" in stuck.note
            assert o.units(f"transit:{record.transfer_key}") == 2 * UNIT
            assert o.units(f"location:{MARGIN}") == 0
            o.require_whole(record)

    asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_f61_after_an_internal_error_the_key_is_looked_up_and_executed_at_most_once(
    folder: Path, when: str
) -> None:
    async def run() -> None:
        async with office(folder) as o:
            o.s.inject(K.KEY_SPENT_BY_ERROR, TRANSACTIONS, times=1, when=when)
            record = o.approved()
            await o.send()
            assert o.get(record).state == "unknown"
            # Beyond the quiescence, so that absence would say something.
            for _ in range(4):
                o.clock.advance(200)
                await o.look()
                await o.send()
            await o.s.complete()
            await o.look()
            found = o.get(record)
            executed = {"before": 0, "after": 1}[when]
            assert o.s.times(record.transfer_key) == executed
            assert found.state == ("credited" if executed else "stuck")
            keys = {one.wanted.external_id for one in o.s.venue.transactions.by_id.values()}
            assert keys <= {record.transfer_key}
            o.require_whole(record)

    asyncio.run(run())


def test_f3_cut_after_the_commit_the_transfer_is_found_and_not_sent_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)

    async def run() -> None:
        async with office(folder) as o:
            o.s.inject(K.RESET_AFTER, TRANSACTIONS, times=1)
            record = o.approved()
            await o.send()
            assert o.get(record).state == "unknown"
            await o.look()
            assert o.get(record).state == "done"
            await o.send()
            await o.s.complete()
            await o.look()
            assert o.get(record).state == "credited"
            assert o.s.times(record.transfer_key) == 1

    asyncio.run(run())


def test_f58_a_policy_that_blocks_gives_the_hold_back(folder: Path) -> None:
    async def run() -> None:
        async with office(folder) as o:
            o.s.inject(K.APPROVAL_DENIED, "transactions")
            record = o.approved()
            await o.send()
            await o.s.go(2)
            await o.look()
            assert o.get(record).state == "rejected"
            assert o.database.ledger.available(f"location:{VAULT}", "BTC").amount == 120
            o.require_whole(record)

    asyncio.run(run())


def test_f57_an_address_that_the_custodian_does_not_know_ends_the_transfer(folder: Path) -> None:
    async def run() -> None:
        async with office(folder) as o:
            o.s.venue.wallets.by_id.clear()
            record = o.approved()
            await o.send()
            assert o.get(record).state == "rejected"
            assert (o.s.times(record.transfer_key), o.s.held()) == (0, 120)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "venue", "endpoint", "debited"),
    [
        (K.ADDRESS_LOCKED, "fireblocks", "transactions", 0),
        (K.WITHDRAWALS_PENDING, "fireblocks", "*", 0),
        (K.STUCK_FEE, "fireblocks", "chain", 2),
    ],
)
def test_f22_f57_f60_i15_what_does_not_get_through_counts_once_and_comes_before_a_person(
    folder: Path, kind: FaultKind, venue: str, endpoint: str, debited: int
) -> None:
    async def run() -> None:
        async with office(folder) as o:
            o.s.town.plan.inject(Fault(kind=kind, venue=venue, endpoint=endpoint))
            record, there = o.approved(), o.s.arrived()
            for _ in range(6):
                await o.send()
                await o.s.go(5, 60.0)
                await o.look()
                o.clock.advance(600)
                o.require_whole(record)
            found = o.get(record)
            assert o.s.arrived() == there
            assert o.s.held() == 120 - debited
            assert o.s.times(record.transfer_key) == (0 if kind is K.ADDRESS_LOCKED else 1)
            assert found.state == ("rejected" if kind is K.ADDRESS_LOCKED else "stuck")
            if kind is not K.ADDRESS_LOCKED:
                o.s.town.plan.clear()
                await o.s.complete()
                await o.look()
                # It was looked at on and on, and nothing was sent anew.
                assert o.get(record).state == "credited"
                assert o.s.times(record.transfer_key) == 1

    asyncio.run(run())


@asynccontextmanager
async def told(o: Office) -> AsyncIterator[list[tuple[str, int]]]:
    """Let the custodian tell the desk; yield what it was answered."""
    keys = PublishedKeys(o.s.town.address("fireblocks"))
    inbox = Inbox(o.database, WebhookVerifier(keys), o.desk.ingest)
    runner = web.AppRunner(receiving_application(inbox), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    o.s.venue.webhooks.subscribe(f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}")
    try:
        yield o.s.venue.webhooks.answered
    finally:
        await keys.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        (K.WEBHOOK_LOST,),
        (K.WEBHOOK_DUPLICATED, K.WEBHOOK_REPLAYED, K.WEBHOOK_REORDERED),
        (K.WEBHOOK_FORGED, K.KEY_ROTATED),
    ],
)
def test_f59_whatever_becomes_of_webhooks_the_ledger_ends_the_same(
    folder: Path, kinds: tuple[FaultKind, ...]
) -> None:
    async def run() -> None:
        async with office(folder) as o, told(o) as answers:
            for kind in kinds:
                times = 1 if kind is K.KEY_ROTATED else None
                o.s.inject(kind, "webhooks", times=times)
            record = o.approved()
            await o.send()
            for _ in range(3):
                await o.s.go(2)
                # What was told has moved nothing: only a look does.
                assert o.get(record).debited_at is None
            await o.look()
            await o.s.complete()
            assert o.get(record).credited_at is None
            await o.look()
            assert o.get(record).state == "credited"
            assert o.units(f"location:{MARGIN}") == 2 * UNIT - FEE
            assert (401 in [status for _, status in answers]) == (K.WEBHOOK_FORGED in kinds)
            o.require_whole(record)

    asyncio.run(run())


def test_a_hint_brings_the_next_look_forward_and_a_forged_one_does_not(folder: Path) -> None:
    async def run() -> None:
        async with office(folder) as o, told(o):
            record = o.approved()
            await o.send()
            await o.look()
            planned = o.get(record).look_at
            assert planned is not None and planned > o.clock.now
            queue = o.s.venue.webhooks.queue
            forged = [replace(one, body=one.body + b" ") for one in queue]
            queue[:] = forged
            await o.s.venue.webhooks.deliver()
            assert o.get(record).look_at == planned
            queue.clear()
            await o.s.go()
            sooner = o.get(record).look_at
            assert sooner is not None and sooner <= o.clock.now

    asyncio.run(run())


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_i06_i15_under_a_mix_of_faults_nothing_is_executed_twice_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """F3, F13, F52, F59, F61 at once: the ledger ends as both sides do."""
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(http, "BREAKER_FAILURES", 1000)
    wire = (K.RESET_BEFORE, K.RESET_AFTER, K.BAD_GATEWAY, K.BROKEN_BODY, K.KEY_SPENT_BY_ERROR)
    webhooks = (K.WEBHOOK_LOST, K.WEBHOOK_DUPLICATED, K.WEBHOOK_REORDERED, K.WEBHOOK_FORGED,
                K.WEBHOOK_REPLAYED)  # fmt: skip

    async def run() -> None:
        async with office(folder, seed=seed) as o, told(o):
            for kind, endpoint in (
                *((kind, "/v1/*") for kind in wire), *((kind, "webhooks") for kind in webhooks),
                (K.LISTING_STALE, "/v1/transactions/external_tx_id"),
            ):  # fmt: skip
                o.s.town.plan.inject(
                    Fault(kind=kind, venue="fireblocks", endpoint=endpoint, probability=0.15)
                )
            there = o.s.arrived()
            records = [o.approved("0.5", leg) for leg in range(1, 11)]
            for _ in range(16):
                await o.send()
                await o.s.go(1, 1.0)
                await o.look()
                o.clock.advance(40)
            assert o.s.town.plan.struck.total() > 20
            o.s.town.plan.clear()
            for _ in range(3):
                await o.send()
                await o.s.complete()
                await o.look()
                o.clock.advance(200)
            done = n_asked = 0
            for record in records:
                found, executed = o.get(record), o.s.times(record.transfer_key)
                # After the last attempt it is proven not executed, or a person is asked while the
                # balance leaves it open; in neither case was it executed.
                assert found.state in ("credited", "reconciled", "rejected", "stuck"), found.note
                assert executed == (0 if found.state in ("rejected", "stuck") else 1), found.note
                done += executed
                n_asked += found.state == "stuck"
            assert done >= 5
            assert o.s.arrived() - there == done * (Decimal("0.5") - Decimal("0.00005"))
            assert o.s.held() == 120 - done * Decimal("0.5")
            assert o.units(f"location:{VAULT}") == 120 * UNIT - done * UNIT // 2
            assert o.units(f"location:{MARGIN}") == done * (UNIT // 2 - FEE)
            held = o.database.ledger.available(f"location:{VAULT}", "BTC").amount
            assert held == o.s.held() - n_asked * Decimal("0.5")
            o.database.ledger.verify()

    asyncio.run(run())


def test_a_vault_is_reconciled_like_any_place_while_its_transfer_is_on_the_way(
    folder: Path,
) -> None:
    """I-15: the ledger and both sides differ in nothing that is not known to be on its way."""

    async def run() -> None:
        async with office(folder, is_stocked=False) as o:
            accounts = {
                place: AccountConnection(
                    account_id=place.replace("/", "-"), place=place, client_id="house",
                    netting_set_id="house",
                )
                for place in (VAULT, MARGIN)
            }  # fmt: skip
            connections = Connections(
                {"deribit": o.s.deribit}, accounts, {"fireblocks": o.s.adapter}
            )

            async def differences() -> list[str]:
                o.clock.now = max(o.clock.now, utc_now())
                found = await look_at(o.database, connections, {"USDC": 6})
                assert all(not each.failure for each in found.places)
                return [str(each) for each in found.breaks]

            assert await differences() == []
            assert o.units(f"location:{VAULT}") == 120 * UNIT
            record = o.approved()
            await o.send()
            for _ in range(5):
                await o.s.go()
                assert await differences() == []
                await o.look()
                assert await differences() == []
            await o.s.complete()
            await o.look()
            assert o.get(record).state == "credited"
            assert await differences() == []
            # A token's fee leaves in ether, without any transfer of ours: its line is booked.
            await _token(o.s)
            ether = o.database.ledger.balance(f"location:{VAULT}", "ETH").amount
            await differences()
            after = o.database.ledger.balance(f"location:{VAULT}", "ETH").amount
            assert ether - after == Decimal("0.0009")
            # The token itself was moved past the desk: that is a break by its amount.
            assert any("USDC" in each for each in await differences())
            o.database.ledger.verify()

    asyncio.run(run())


async def _token(s: Scene) -> None:
    account = s.deribit_venue.book.accounts["1002"]
    address = s.deribit_venue.rails.deposit_address(account, "USDC").address
    s.venue.whitelist("Deribit USDC", "USDC", address)
    order = s.order("2500", "c" * 32, asset="USDC", network="ETH", address=address)
    await s.adapter.transfers.submit(order)
    await s.complete()

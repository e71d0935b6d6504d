"""Transfers out of vaults: at the wire, with every fault, and what was carried out."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import (
    NotSent,
    OutcomeUnknown,
    Throttled,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
)
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues import http
from tests.integration.custody.fireblocks_town import (
    CONFIRMATION,
    KEY,
    TRANSACTIONS,
    VAULT,
    scene,
)

K = FaultKind
FEE = Decimal("0.00005")
LOOKUP = f"{TRANSACTIONS}/external_tx_id/{KEY}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)


UNCLEAR: list[tuple[FaultKind, dict[str, Any], int]] = [
    (K.RESET_BEFORE, {}, 0),
    (K.RESET_AFTER, {}, 1),
    (K.LATE_REPLY, {"seconds": 0.6}, 1),
    (K.DRIP, {"seconds": 1.5}, 1),
    (K.HALF_OPEN, {}, 1),
    *((K.BAD_GATEWAY, {"status": status}, 1) for status in (502, 503, 504)),
    (K.BAD_GATEWAY, {"status": 502, "when": "before"}, 0),
    *((K.BROKEN_BODY, {"form": form}, 1) for form in ("html", "truncated", "empty")),
    (K.FORBIDDEN, {}, 0),
    (K.UNKNOWN_CODE, {}, 1),
    (K.UNKNOWN_CODE, {"when": "before"}, 0),
    (K.KEY_SPENT_BY_ERROR, {}, 1),
    (K.KEY_SPENT_BY_ERROR, {"when": "before"}, 0),
]


@pytest.mark.parametrize(("kind", "parameters", "n_done"), UNCLEAR)
def test_i07_without_a_clear_answer_the_outcome_is_unknown_and_the_key_finds_it(
    kind: FaultKind, parameters: dict[str, Any], n_done: int
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(kind, TRANSACTIONS, times=5, **parameters)
            with pytest.raises(OutcomeUnknown) as caught:
                await s.adapter.transfers.submit(s.order())
            assert caught.value.was_sent == "maybe"
            assert s.town.plan.struck[kind] == 1, "the write was sent again"
            assert s.times() == n_done
            s.town.plan.clear()
            found = await s.adapter.transfers.find(s.order())
            assert (found is not None) == bool(n_done)

    asyncio.run(run())


CLEAR: list[tuple[FaultKind, dict[str, Any], type[VenueError]]] = [
    (K.TOO_MANY_REQUESTS, {"retry_after": 7}, Throttled),
    (K.TOO_MANY_REQUESTS, {}, Throttled),
    (K.KEY_REVOKED, {}, VenueAccessDenied),
    (K.SUSPENDED, {}, VenueAccessDenied),
]


@pytest.mark.parametrize(("kind", "parameters", "expected"), CLEAR)
def test_a_clear_refusal_had_no_effect(
    kind: FaultKind, parameters: dict[str, Any], expected: type[VenueError]
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(kind, TRANSACTIONS, **parameters)
            with pytest.raises(expected) as caught:
                await s.adapter.transfers.submit(s.order())
            assert (caught.value.was_sent, s.times()) == ("no", 0)

    asyncio.run(run())


def test_a_custodian_that_accepts_no_connection_was_sent_nothing() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.REFUSE)
            await s.go()
            with pytest.raises(NotSent):
                await s.adapter.transfers.submit(s.order())
            assert s.times() == 0

    asyncio.run(run())


def test_f61_a_key_spent_by_an_internal_error_is_looked_up_and_never_renewed() -> None:
    """F61, I-06: the custodian has executed it, answered 500, and refuses the key from then on."""

    async def run() -> None:
        async with scene() as s:
            s.inject(K.KEY_SPENT_BY_ERROR, TRANSACTIONS, times=1)
            with pytest.raises(OutcomeUnknown):
                await s.adapter.transfers.submit(s.order())
            with pytest.raises(VenueRejected, match="after an internal error") as caught:
                await s.adapter.transfers.submit(s.order())
            assert caught.value.cause == "duplicate_key"
            found = await s.adapter.transfers.find(s.order())
            assert found is not None and found.status == "pending"
            assert s.times() == 1
            sent = [one.wanted.external_id for one in s.venue.transactions.by_id.values()]
            assert sent == [KEY]

    asyncio.run(run())


def test_i06_a_repeated_key_gets_the_first_transaction() -> None:
    async def run() -> None:
        async with scene() as s:
            first = await s.adapter.transfers.submit(s.order())
            again = await s.adapter.transfers.submit(s.order())
            assert first.venue_transfer_id == again.venue_transfer_id
            assert s.times() == 1
            # After 24 hours the key is forgotten there, the external id is not.
            s.venue._desk._answers.clear()
            with pytest.raises(VenueRejected) as caught:
                await s.adapter.transfers.submit(s.order())
            assert (caught.value.cause, s.times()) == ("duplicate_key", 1)

    asyncio.run(run())


def test_a_request_that_is_carried_out_after_we_gave_up_is_found_later() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.LATE_COMMIT, TRANSACTIONS, times=1, seconds=0.6)
            with pytest.raises(OutcomeUnknown):
                await s.adapter.transfers.submit(s.order())
            assert await s.adapter.transfers.find(s.order()) is None
            await asyncio.sleep(0.6)
            assert (await s.adapter.transfers.find(s.order())) is not None
            assert s.times() == 1

    asyncio.run(run())


def test_f55_i15_debit_and_credit_are_two_facts_and_the_fee_is_what_is_missing() -> None:
    async def run() -> None:
        async with scene() as s:
            held, there = s.held(), s.arrived()
            made = await s.adapter.transfers.submit(s.order())
            assert (made.status, made.is_debited) == ("pending", None)
            await s.go(4)
            sent = await s.adapter.transfers.find(s.order())
            assert sent is not None
            assert (sent.status, sent.is_debited, sent.is_credited) == ("pending", True, None)
            assert held - s.held() == Decimal("1.5")
            assert s.arrived() == there
            await s.go(2, CONFIRMATION)
            found = await s.adapter.transfers.find(s.order())
            assert found is not None
            assert (found.status, found.is_debited, found.is_credited) == ("credited", True, True)
            assert (found.quantity, found.fee) == (Decimal("1.5"), FEE)
            assert s.arrived() - there == Decimal("1.5") - FEE

    asyncio.run(run())


def test_f56_a_credit_that_is_missing_is_not_reported() -> None:
    async def run() -> None:
        async with scene() as s:
            there = s.arrived()
            s.town.plan.inject(_missing())
            await s.adapter.transfers.submit(s.order())
            await s.complete()
            found = await s.adapter.transfers.find(s.order())
            assert found is not None
            assert (found.status, found.is_debited, found.is_credited) == ("done", True, None)
            assert s.arrived() == there

    asyncio.run(run())


def _missing() -> Fault:
    return Fault(kind=K.CREDIT_MISSING, venue="deribit", endpoint="chain")


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [(K.APPROVAL_DENIED, "rejected", "BLOCKED_BY_POLICY"), (None, "rejected", "INSUFFICIENT")],
)
def test_f58_a_refusal_after_the_acceptance_gives_back_what_was_locked(
    fault: FaultKind | None, status: str, words: str
) -> None:
    async def run() -> None:
        async with scene() as s:
            order = s.order("1.5" if fault else "500")
            if fault:
                s.inject(fault, "transactions")
            await s.adapter.transfers.submit(order)
            await s.go(2)
            found = await s.adapter.transfers.find(order)
            assert found is not None
            assert (found.status, found.is_debited, found.is_credited) == (status, False, False)
            assert words in found.reason
            held = await s.adapter.transfers.balance(VAULT, "BTC")
            assert held.quantity == held.available == Decimal(120)

    asyncio.run(run())


def test_f58_what_waits_for_an_approver_is_pending_until_he_acts_or_it_expires() -> None:
    async def run() -> None:
        async with scene() as s:
            s.venue.transactions.approval_above["BTC"] = Decimal(1)
            for key, act in (("a" * 32, "approve"), ("b" * 32, "deny"), ("c" * 32, "expire")):
                made = await s.adapter.transfers.submit(s.order(key=key))
                await s.go(4)
                waits = await s.adapter.transfers.find(s.order(key=key))
                assert waits is not None
                assert (waits.status, waits.is_debited) == ("pending", None)
                assert waits.reason == "PENDING_AUTHORIZATION"
                held = await s.adapter.transfers.balance(VAULT, "BTC")
                assert held.quantity - (held.available or 0) == Decimal("1.5")
                if act == "expire":
                    await s.go(2, 100_000)
                else:
                    getattr(s.venue.transactions, act)(made.venue_transfer_id)
                    await s.complete()
                found = await s.adapter.transfers.find(s.order(key=key))
                assert found is not None
                ends = {"approve": "credited", "deny": "rejected", "expire": "cancelled"}
                assert found.status == ends[act]

    asyncio.run(run())


def test_a_transfer_is_called_back_while_it_is_pending_and_not_later() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(s.order())
            assert await s.adapter.transfers.cancel(s.order())
            found = await s.adapter.transfers.find(s.order())
            assert found is not None and found.status == "cancelled"
            late = s.order(key="b" * 32)
            await s.adapter.transfers.submit(late)
            await s.go(5)
            with pytest.raises(VenueError):
                await s.adapter.transfers.cancel(late)
            found = await s.adapter.transfers.find(late)
            assert found is not None and found.is_debited
            assert not await s.adapter.transfers.cancel(s.order(key="c" * 32))

    asyncio.run(run())


def test_f57_nothing_leaves_for_an_address_that_is_not_whitelisted_or_cools_off() -> None:
    async def run() -> None:
        async with scene() as s:
            unknown = s.order(address="sim1nobody")
            with pytest.raises(VenueRejected, match="in no whitelisted wallet") as caught:
                await s.adapter.transfers.submit(unknown)
            assert caught.value.cause == "address"
            with pytest.raises(VenueRejected, match="whitelisted"):
                await s.adapter.transfers.submit(s.order(memo="42"))
            wallet = s.venue.wallets.create("new")
            s.venue.wallets.add(wallet.wallet_id, "BTC", "sim1new")
            cooling = s.order(address="sim1new")
            for words in ("WAITING_FOR_APPROVAL", "cools off"):
                with pytest.raises(VenueRejected, match=words):
                    await s.adapter.transfers.submit(cooling)
                await s.go()
            await s.go(1, s.venue.wallets.cool_off_seconds)
            assert (await s.adapter.transfers.submit(cooling)).status == "pending"
            assert len(s.venue.transactions.by_id) == 1

    asyncio.run(run())


def test_a_whitelist_that_cannot_be_read_sends_nothing() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.RESET_BEFORE, "/v1/external_wallets")
            with pytest.raises(VenueError) as caught:
                await s.adapter.transfers.submit(s.order())
            assert (type(caught.value), caught.value.was_sent) == (NotSent, "no")
            assert s.times() == 0

    asyncio.run(run())


def test_a_token_pays_its_network_fee_in_another_asset_and_arrives_whole() -> None:
    async def run() -> None:
        async with scene() as s:
            account = s.deribit_venue.book.accounts["1002"]
            address = s.deribit_venue.rails.deposit_address(account, "USDC").address
            s.venue.whitelist("Deribit USDC", "USDC", address)
            order = s.order("2500.25", asset="USDC", network="ETH", address=address)
            ether = s.held(asset="ETH")
            await s.adapter.transfers.submit(order)
            await s.complete()
            found = await s.adapter.transfers.find(order)
            assert found is not None
            assert (found.status, found.fee) == ("credited", 0)
            assert ether - s.held(asset="ETH") == Decimal("0.0009")

    asyncio.run(run())


def test_between_vaults_the_custodian_itself_knows_of_the_credit() -> None:
    async def run() -> None:
        async with scene() as s:
            order = s.order(destination="fireblocks/1", address="")
            assert not s.adapter.transfers.guarantees(order).needs_whitelist
            await s.adapter.transfers.submit(order)
            await s.complete()
            found = await s.adapter.transfers.find(order)
            assert found is not None
            assert (found.status, found.fee) == ("credited", FEE)
            assert s.held("1") == Decimal(45) + Decimal("1.5") - FEE

    asyncio.run(run())


def test_fifty_transfers_under_faults_are_booked_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-06, I-07: what is unknown is looked up and sent again only under its key."""
    monkeypatch.setattr(http, "BREAKER_FAILURES", 1000)
    kinds = (K.RESET_BEFORE, K.RESET_AFTER, K.BROKEN_BODY, K.BAD_GATEWAY, K.KEY_SPENT_BY_ERROR)

    async def run() -> None:
        async with scene(seed=11) as s:
            for kind in kinds:
                s.town.plan.inject(
                    Fault(kind=kind, venue="fireblocks", endpoint=TRANSACTIONS, probability=0.12)
                )
            keys = [f"{number:032x}" for number in range(50)]
            for key in keys:
                order = s.order("0.01", key, destination="fireblocks/1", address="")
                for _ in range(20):
                    try:
                        await s.adapter.transfers.submit(order)
                    except (OutcomeUnknown, VenueRejected):
                        if await s.adapter.transfers.find(order) is None:
                            continue
                    break
            assert s.town.plan.struck.total() > 15
            assert [s.times(key) for key in keys] == [1] * 50
            s.town.plan.clear()
            await s.complete()
            assert Decimal(120) - s.held() == Decimal("0.5")

    asyncio.run(run())

"""Faults of Binance at the wire: what the adapter says, and what the venue has done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import infra.venues.http
from engine.errors import (
    BadPayload,
    ClockSkew,
    Maintenance,
    NotSent,
    OutcomeUnknown,
    Throttled,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues.binance.client import FUTURES_WEIGHT_MINUTE
from tests.integration.venues.binance_town import Hosted, hosted, transfer

TRANSFER = "/sapi/v1/sub-account/universalTransfer"
ACCOUNT = "/fapi/v2/account"


def fault(kind: FaultKind, endpoint: str = TRANSFER, times: int = 1, **parameters: Any) -> Fault:
    return Fault(kind=kind, venue="binance", endpoint=endpoint, times=times, parameters=parameters)


async def refusal_of_a_transfer(there: Hosted) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await there.adapter.transfers.submit(transfer())
    return caught.value


@pytest.mark.parametrize(
    ("kind", "parameters", "n_executed"),
    [
        (FaultKind.RESET_BEFORE, {}, 0),
        (FaultKind.RESET_AFTER, {}, 1),
        (FaultKind.LATE_REPLY, {"seconds": 1.2}, 1),
        (FaultKind.LATE_COMMIT, {"seconds": 1.2}, 0),
        (FaultKind.DRIP, {"seconds": 3.0}, 1),
        (FaultKind.HALF_OPEN, {}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 502}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 503}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 504}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 520}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 502, "when": "before"}, 0),
        (FaultKind.BROKEN_BODY, {"form": "html"}, 1),
        (FaultKind.BROKEN_BODY, {"form": "truncated"}, 1),
        (FaultKind.BROKEN_BODY, {"form": "empty"}, 1),
        (FaultKind.FORBIDDEN, {}, 0),
        (FaultKind.UNKNOWN_CODE, {"code": -9999}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": -9999, "when": "before"}, 0),
        (FaultKind.UNKNOWN_CODE, {"code": -1007, "status": 408}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": -1001, "status": 500}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": -1, "status": 503}, 1),
    ],
)
def test_a_write_without_a_clear_answer_is_unknown_and_left_once(
    kind: FaultKind,
    parameters: dict[str, Any],
    n_executed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-07: no answer is no refusal, and nothing on the way repeats a write."""
    monkeypatch.setattr(infra.venues.http, "ANSWER_SECONDS", 0.5)

    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(kind, times=5, **parameters))
            error = await refusal_of_a_transfer(there)
            struck = there.town.plan.struck[kind]
            there.town.plan.clear()
            assert isinstance(error, OutcomeUnknown) and error.was_sent == "maybe"
            assert not error.retryable
            assert there.executed() == n_executed
            assert struck == 1, "the write was sent again"
            found = await there.adapter.transfers.find(transfer())
            assert (found is not None) == bool(n_executed)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        (FaultKind.TOO_MANY_REQUESTS, {"retry_after": 7}, Throttled),
        (FaultKind.TOO_MANY_REQUESTS, {}, Throttled),
        (FaultKind.BANNED, {"seconds": 120}, Throttled),
        (FaultKind.MAINTENANCE, {}, Maintenance),
        (FaultKind.UNKNOWN_CODE, {"code": -1008, "status": 503, "when": "before"}, Throttled),
        (FaultKind.UNKNOWN_CODE, {"code": -1021, "when": "before"}, ClockSkew),
        (FaultKind.UNKNOWN_CODE, {"code": -2015, "status": 401, "when": "before"},
         VenueAccessDenied),
    ],
)  # fmt: skip
def test_a_clear_refusal_says_that_nothing_was_done(
    kind: FaultKind, parameters: dict[str, Any], expected: type[VenueError]
) -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(kind, **parameters))
            error = await refusal_of_a_transfer(there)
            assert type(error) is expected and error.was_sent == "no"
            assert there.executed() == 0

    asyncio.run(run())


def test_after_a_ban_nothing_is_sent_until_it_ends() -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(FaultKind.BANNED, seconds=120))
            banned = await refusal_of_a_transfer(there)
            held_back = await refusal_of_a_transfer(there)
            assert banned.retry_after_seconds == 120
            assert isinstance(held_back, NotSent)
            assert 100 < (held_back.retry_after_seconds or 0) <= 120
            assert there.town.plan.struck[FaultKind.BANNED] == 1

    asyncio.run(run())


def test_a_venue_that_accepts_no_connection_was_sent_nothing() -> None:
    async def run() -> None:
        async with hosted() as there:
            await there.adapter.transfers.balance("binance/alpha", "USDT")
            number = there.inject(Fault(kind=FaultKind.REFUSE, venue="binance"))
            await there.town.tick()
            error = await refusal_of_a_transfer(there)
            there.town.plan.withdraw(number)
            await there.town.tick()
            assert isinstance(error, NotSent) and error.was_sent == "no"
            assert there.executed() == 0
            await there.adapter.transfers.submit(transfer())
            assert there.executed() == 1

    asyncio.run(run())


def test_a_repeated_key_is_refused_as_one_and_moves_nothing() -> None:
    """I-06: a key is executed at most once."""

    async def run() -> None:
        async with hosted() as there:
            await there.adapter.transfers.submit(transfer())
            error = await refusal_of_a_transfer(there)
            assert isinstance(error, VenueRejected) and error.cause == "duplicate_key"
            assert there.executed() == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "key_of_account"),
    [(FaultKind.KEY_REVOKED, "main"), (FaultKind.SUSPENDED, "main")],
)
def test_a_key_that_was_taken_away_stops_with_access_denied(
    kind: FaultKind, key_of_account: str
) -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(Fault(kind=kind, venue="binance", account=key_of_account))
            error = await refusal_of_a_transfer(there)
            assert isinstance(error, VenueAccessDenied)
            assert there.executed() == 0

    asyncio.run(run())


def test_a_venue_clock_that_jumps_is_measured_anew() -> None:
    """F71, F72: what was signed for another time is refused, not carried out."""

    async def run() -> None:
        async with hosted() as there:
            there.town.clock.set_skew(30.0)
            await there.adapter.transfers.submit(transfer())
            assert there.executed() == 1
            there.town.clock.set_skew(-30.0)
            with pytest.raises(ClockSkew):
                await there.adapter.transfers.submit(transfer(key="f" * 32))
            await there.adapter.transfers.submit(transfer(key="f" * 32))
            assert there.executed("f" * 32) == 1
            there.town.clock.set_skew(45.0)
            assert (await there.adapter.accounts.snapshot("alpha")).positions

    asyncio.run(run())


def test_a_debit_without_a_credit_is_reported_as_that() -> None:
    """F56, I-15: the credit is its own fact."""

    async def run() -> None:
        async with hosted() as there:
            there.inject(
                Fault(kind=FaultKind.CREDIT_MISSING, venue="binance", account="alpha", times=1)
            )
            await there.adapter.transfers.submit(transfer())
            missing = await there.adapter.transfers.find(transfer())
            await there.adapter.transfers.submit(transfer(key="e" * 32))
            arrived = await there.adapter.transfers.find(transfer(key="e" * 32))
            assert missing is not None and arrived is not None
            assert (missing.status, missing.is_debited, missing.is_credited) == (
                "done",
                True,
                None,
            )
            assert (arrived.status, arrived.is_credited) == ("credited", True)

    asyncio.run(run())


def test_a_stale_listing_finds_nothing_and_claims_nothing() -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(FaultKind.LISTING_STALE, seconds=60))
            await there.adapter.transfers.submit(transfer())
            assert await there.adapter.transfers.find(transfer()) is None
            assert await there.adapter.transfers.find(transfer()) is not None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        (FaultKind.RESET_BEFORE, {}, VenueUnavailable),
        (FaultKind.RESET_AFTER, {}, VenueUnavailable),
        (FaultKind.LATE_REPLY, {"seconds": 1.2}, VenueUnavailable),
        (FaultKind.BAD_GATEWAY, {"status": 502}, VenueUnavailable),
        (FaultKind.FORBIDDEN, {}, VenueUnavailable),
        (FaultKind.UNKNOWN_CODE, {}, VenueUnavailable),
        (FaultKind.BROKEN_BODY, {"form": "html"}, BadPayload),
        (FaultKind.BROKEN_BODY, {"form": "truncated"}, BadPayload),
        (FaultKind.BROKEN_BODY, {"form": "empty"}, BadPayload),
        (FaultKind.TORN_SNAPSHOT, {}, BadPayload),
        (FaultKind.ODD_NUMBER, {"field": "walletBalance", "form": "nan"}, BadPayload),
    ],
)
def test_a_read_is_tried_twice_and_then_says_why(
    kind: FaultKind,
    parameters: dict[str, Any],
    expected: type[VenueError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(infra.venues.http, "ANSWER_SECONDS", 0.5)

    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(kind, ACCOUNT, times=1, **parameters))
            healed = await there.adapter.accounts.snapshot("alpha")
            assert len(healed.positions) == 3
            there.inject(fault(kind, ACCOUNT, times=9, **parameters))
            with pytest.raises(expected) as caught:
                await there.adapter.accounts.snapshot("alpha")
            assert isinstance(caught.value, expected)

    asyncio.run(run())


@pytest.mark.parametrize("kind", [FaultKind.TOO_MANY_REQUESTS, FaultKind.MAINTENANCE])
def test_a_venue_that_wants_silence_is_not_asked_again(kind: FaultKind) -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(kind, ACCOUNT, times=5))
            with pytest.raises((Throttled, Maintenance)):
                await there.adapter.accounts.snapshot("alpha")
            assert there.town.plan.struck[kind] == 1

    asyncio.run(run())


def test_f80_weight_that_another_process_spends_is_heard_of_and_waited_for() -> None:
    """The venue counts a credential's requests together: its count goes before one's own."""

    async def run() -> None:
        async with hosted() as there:
            alpha = there.adapter._clients["alpha"]
            await there.adapter.accounts.snapshot("alpha")
            assert alpha._futures.limiter.pause_seconds == 0.0
            if there.town.clock.wall().second > 50:
                # A minute that turns in between would forgive what was spent.
                await asyncio.sleep(11.0)
            assert alpha.credential is not None
            key = alpha.credential.key.get_secret_value()
            there.venue.identity.spend(f"fapi/{key}", FUTURES_WEIGHT_MINUTE - 100)
            await there.adapter.transfers.balance("binance/alpha", "USDT")
            assert alpha._futures.limiter.pause_seconds > 0.0
            with pytest.raises(NotSent, match="the venue ordered a pause"):
                await there.adapter.accounts.snapshot("alpha")
            # What was held back never reached the venue, so it bans nobody.
            assert there.venue.identity.spend(f"fapi/{key}", 0) <= FUTURES_WEIGHT_MINUTE
            # Another credential's wallet is another pool: money can still be moved.
            await there.adapter.transfers.submit(transfer())
            assert there.executed() == 1

    asyncio.run(run())

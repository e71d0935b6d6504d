"""Faults of OKX at the wire: what the adapter says, and what the venue has done."""

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
from tests.integration.venues.okx_town import Hosted, hosted, transfer

TRANSFER = "/api/v5/asset/transfer"
POSITIONS = "/api/v5/account/positions"


def fault(kind: FaultKind, endpoint: str = TRANSFER, times: int = 1, **parameters: Any) -> Fault:
    return Fault(kind=kind, venue="okx", endpoint=endpoint, times=times, parameters=parameters)


def lift_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.simulator.venues.okx.identity.PERIOD_MS", 1)
    monkeypatch.setattr("infra.venues.okx.client.PERIOD_SECONDS", 0.02)


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
        (FaultKind.BAD_GATEWAY, {"status": 504}, 1),
        (FaultKind.BAD_GATEWAY, {"status": 502, "when": "before"}, 0),
        (FaultKind.BROKEN_BODY, {"form": "html"}, 1),
        (FaultKind.BROKEN_BODY, {"form": "truncated"}, 1),
        (FaultKind.BROKEN_BODY, {"form": "empty"}, 1),
        (FaultKind.FORBIDDEN, {}, 0),
        (FaultKind.UNKNOWN_CODE, {"code": "59999"}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": "50004", "status": 400}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": "50026", "status": 500}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": "50013", "status": 429, "when": "after"}, 1),
        (FaultKind.UNKNOWN_CODE, {"code": "58124"}, 1),
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
        (FaultKind.MAINTENANCE, {}, Maintenance),
        (FaultKind.UNKNOWN_CODE, {"code": "50011", "status": 429, "when": "before"}, Throttled),
        (FaultKind.UNKNOWN_CODE, {"code": "50102", "status": 401, "when": "before"}, ClockSkew),
        (FaultKind.UNKNOWN_CODE, {"code": "50110", "status": 401, "when": "before"},
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


def test_a_venue_that_stops_transfers_is_in_maintenance() -> None:
    """F21."""

    async def run() -> None:
        async with hosted() as there:
            there.inject(Fault(kind=FaultKind.TRANSFERS_FROZEN, venue="okx", times=1))
            assert isinstance(await refusal_of_a_transfer(there), Maintenance)
            await there.adapter.transfers.submit(transfer())
            assert there.executed() == 1

    asyncio.run(run())


def test_a_venue_that_accepts_no_connection_was_sent_nothing() -> None:
    async def run() -> None:
        async with hosted() as there:
            await there.adapter.transfers.balance("okx/alpha", "USDT")
            there.inject(Fault(kind=FaultKind.REFUSE, venue="okx"))
            await there.town.tick()
            error = await refusal_of_a_transfer(there)
            assert isinstance(error, NotSent) and error.was_sent == "no"
            assert there.executed() == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"quantity": "99999999"}, "funds"),
        ({"quantity": "0"}, "limit"),
    ],
)
def test_refusals_have_a_cause(change: dict[str, str], cause: str) -> None:
    async def run() -> None:
        async with hosted() as there:
            with pytest.raises(VenueRejected) as caught:
                await there.adapter.transfers.submit(transfer(**change))
            assert caught.value.cause == cause and there.executed() == 0

    asyncio.run(run())


def test_a_key_that_the_venue_could_not_keep_is_not_sent() -> None:
    async def run() -> None:
        async with hosted() as there:
            for key in ("with-hyphen", "x" * 33):
                with pytest.raises(NotSent):
                    await there.adapter.transfers.submit(transfer(key=key))

    asyncio.run(run())


@pytest.mark.parametrize("kind", [FaultKind.KEY_REVOKED, FaultKind.SUSPENDED])
def test_a_key_that_was_taken_away_stops_with_access_denied(kind: FaultKind) -> None:
    async def run() -> None:
        async with hosted() as there:
            there.inject(Fault(kind=kind, venue="okx", account="main"))
            assert isinstance(await refusal_of_a_transfer(there), VenueAccessDenied)
            assert there.executed() == 0

    asyncio.run(run())


def test_a_venue_clock_that_jumps_is_measured_anew() -> None:
    """F71, F72."""

    async def run() -> None:
        async with hosted() as there:
            there.town.clock.set_skew(300.0)
            await there.adapter.transfers.submit(transfer())
            assert there.executed() == 1
            there.town.clock.set_skew(-300.0)
            with pytest.raises(ClockSkew):
                await there.adapter.transfers.submit(transfer(key="f" * 32))
            assert there.executed("f" * 32) == 0
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
                Fault(kind=FaultKind.CREDIT_MISSING, venue="okx", account="alpha", times=1)
            )
            await there.adapter.transfers.submit(transfer())
            missing = await there.adapter.transfers.find(transfer())
            assert missing is not None
            assert (missing.status, missing.is_credited) == ("done", None)
            # A look-alike that arrives does not vouch for the one that did not.
            await there.adapter.transfers.submit(transfer(key="e" * 32))
            twin = await there.adapter.transfers.find(transfer(key="e" * 32))
            again = await there.adapter.transfers.find(transfer())
            assert twin is not None and twin.is_credited is None
            assert again is not None and again.is_credited is None
            await there.adapter.transfers.submit(transfer("77.5", key="d" * 32))
            arrived = await there.adapter.transfers.find(transfer("77.5", key="d" * 32))
            assert arrived is not None and arrived.status == "credited"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        (FaultKind.RESET_BEFORE, {}, VenueUnavailable),
        (FaultKind.LATE_REPLY, {"seconds": 1.2}, VenueUnavailable),
        (FaultKind.BAD_GATEWAY, {"status": 502}, VenueUnavailable),
        (FaultKind.UNKNOWN_CODE, {}, VenueUnavailable),
        (FaultKind.BROKEN_BODY, {"form": "html"}, BadPayload),
        (FaultKind.BROKEN_BODY, {"form": "truncated"}, BadPayload),
        (FaultKind.TORN_SNAPSHOT, {}, BadPayload),
        (FaultKind.ODD_NUMBER, {"field": "pos", "form": "nan"}, BadPayload),
        (FaultKind.ODD_NUMBER, {"field": "pos", "form": "flip"}, BadPayload),
    ],
)
def test_a_read_is_tried_twice_and_then_says_why(
    kind: FaultKind,
    parameters: dict[str, Any],
    expected: type[VenueError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lift_limits(monkeypatch)
    monkeypatch.setattr(infra.venues.http, "ANSWER_SECONDS", 0.5)

    async def run() -> None:
        async with hosted() as there:
            there.inject(fault(kind, POSITIONS, times=1, **parameters))
            healed = await there.adapter.accounts.snapshot("alpha")
            assert len(healed.positions) == 3
            # Every other reading is torn, so that a torn one never agrees with the next.
            chance = 0.5 if kind is FaultKind.TORN_SNAPSHOT else 1.0
            there.inject(
                Fault(
                    kind=kind, venue="okx", endpoint=POSITIONS, probability=chance,
                    parameters=parameters,
                )
            )  # fmt: skip
            with pytest.raises(expected):
                for _ in range(12):
                    await there.adapter.accounts.snapshot("alpha")

    asyncio.run(run())

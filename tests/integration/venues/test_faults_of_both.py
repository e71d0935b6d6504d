"""What Binance and OKX promise alike under faults at the wire: nothing twice, no secret told."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from engine.errors import BadPayload, OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues import http
from tests.integration.venues import binance_town, okx_town

K = FaultKind
LEAKS = (
    K.RESET_BEFORE, K.RESET_AFTER, K.LATE_REPLY, K.BAD_GATEWAY, K.BROKEN_BODY, K.FORBIDDEN,
    K.UNKNOWN_CODE, K.MAINTENANCE, K.KEY_REVOKED, K.TORN_SNAPSHOT, K.TOO_MANY_REQUESTS,
)  # fmt: skip
MIX = (K.RESET_BEFORE, K.RESET_AFTER, K.BROKEN_BODY, K.BAD_GATEWAY, K.UNKNOWN_CODE)


@dataclass(frozen=True, slots=True)
class Wire:
    """A venue's town, where its transfers are asked for, and what it signs with."""

    town: ModuleType
    endpoint: str
    secrets: tuple[str, ...]
    signature: str
    more_secrets: Callable[[Any], Iterable[str]] = lambda _: ()


WIRES = {
    "binance": Wire(
        binance_town,
        "/sapi/v1/sub-account/universalTransfer",
        ("api_key", "api_secret"),
        "signature=",
        lambda venue: venue.identity.listen_keys,
    ),
    "okx": Wire(
        okx_town,
        "/api/v5/asset/transfer",
        ("api_key", "api_secret", "passphrase"),
        "OK-ACCESS-SIGN",
    ),
}


@pytest.mark.parametrize("venue", sorted(WIRES))
def test_no_fault_brings_a_secret_to_light(
    venue: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    caplog.set_level(logging.DEBUG)
    wire = WIRES[venue]
    said: list[str] = []
    planted: list[str] = []

    def note(told: dict[str, Any]) -> None:
        for one in told.values():
            planted.extend(one[name] for name in wire.secrets)

    async def provoke(kind: FaultKind) -> None:
        async with wire.town.hosted(change=note) as there:
            there.inject(Fault(kind=kind, venue=venue, parameters={"seconds": 0.6}))
            for attempt in (
                there.adapter.transfers.submit(wire.town.transfer()),
                there.adapter.accounts.snapshot("alpha"),
            ):
                try:
                    await attempt
                except VenueError as error:
                    said.append("".join(traceback.format_exception(error)))
                    said.append(f"{error!r} {vars(error)}")
            events = there.adapter.accounts.stream("alpha")
            async with asyncio.timeout(30):
                async for event in events:
                    said.append(repr(event))
                    planted.extend(wire.more_secrets(there.venue))
                    if len(said) % 5 == 0:
                        break
            await events.aclose()
            said.append(repr(there.adapter._clients))

    for kind in LEAKS:
        asyncio.run(provoke(kind))
    text = "\n".join(said) + caplog.text
    assert len(said) > 20 and planted
    for secret in planted:
        assert secret not in text
    assert wire.signature not in text.replace(f"{wire.signature}[secret]", "")


@pytest.mark.parametrize("venue", sorted(WIRES))
def test_a_hundred_transfers_under_faults_are_booked_once_each(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-06, I-07: unknown outcomes are looked up, sent again only under their key, none twice."""
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(http, "BREAKER_FAILURES", 1000)
    monkeypatch.setattr("infra.simulator.venues.okx.identity.PERIOD_MS", 1)
    monkeypatch.setattr("infra.venues.okx.client.PERIOD_SECONDS", 0.02)
    wire = WIRES[venue]

    async def run() -> None:
        async with wire.town.hosted(seed=11) as there:
            before = there.venue.book.account("alpha").balance("USDT")
            for kind in MIX:
                there.inject(
                    Fault(kind=kind, venue=venue, endpoint=wire.endpoint, probability=0.15)
                )
            orders = [wire.town.transfer("7.00000001", f"{number:032x}") for number in range(100)]
            for order in orders:
                await resolved(there.adapter.transfers, order)
            assert there.town.plan.struck.total() > 30
            assert [there.executed(order.key) for order in orders] == [1] * 100
            after = there.venue.book.account("alpha").balance("USDT")
            assert after - before == sum(order.quantity for order in orders)

    asyncio.run(run())


async def resolved(transfers: Any, order: Any) -> None:
    """Send until it is done: again only when the venue, asked for its key, does not have it."""
    for _ in range(20):
        try:
            await transfers.submit(order)
            return
        except VenueRejected as error:
            assert error.cause == "duplicate_key"
            return
        except OutcomeUnknown:
            # The simulated listing is fresh, so that absence after the answer is proof here.
            if await is_there(transfers, order):
                return
    raise AssertionError(f"{order.key} is not resolved")


async def is_there(transfers: Any, order: Any) -> bool:
    """Return whether the venue has the transfer; where lookups share its path, they fail too."""
    for _ in range(20):
        try:
            return await transfers.find(order) is not None
        except (VenueUnavailable, BadPayload):
            continue
    raise AssertionError(f"{order.key} cannot be looked up")

"""Planted secrets of OKX are in no message, event, log or traceback."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

import infra.venues.http
from engine.errors import VenueError
from infra.simulator.venues.core.faults import Fault, FaultKind
from tests.integration.venues.okx_town import hosted, transfer

KINDS = (
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.LATE_REPLY,
    FaultKind.BAD_GATEWAY,
    FaultKind.BROKEN_BODY,
    FaultKind.FORBIDDEN,
    FaultKind.UNKNOWN_CODE,
    FaultKind.MAINTENANCE,
    FaultKind.KEY_REVOKED,
    FaultKind.TORN_SNAPSHOT,
    FaultKind.TOO_MANY_REQUESTS,
)


def test_no_fault_brings_a_secret_to_light(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.venues.http, "ANSWER_SECONDS", 0.3)
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    planted: list[str] = []

    def note(told: dict[str, Any]) -> None:
        for one in told.values():
            planted.extend((one["api_key"], one["api_secret"], one["passphrase"]))

    async def provoke(kind: FaultKind) -> None:
        async with hosted(change=note) as there:
            there.inject(Fault(kind=kind, venue="okx", parameters={"seconds": 0.6}))
            for attempt in (
                there.adapter.transfers.submit(transfer()),
                there.adapter.accounts.snapshot("alpha"),
            ):
                try:
                    await attempt
                except VenueError as error:
                    said.append("".join(traceback.format_exception(error)))
                    said.append(f"{error!r} {vars(error)}")
            events = there.adapter.accounts.stream("alpha")
            async with asyncio.timeout(3):
                async for event in events:
                    said.append(repr(event))
                    if len(said) % 5 == 0:
                        break
            await events.aclose()
            said.append(repr(there.adapter._clients))

    for kind in KINDS:
        asyncio.run(provoke(kind))
    text = "\n".join(said) + caplog.text
    assert len(said) > 20 and planted
    for secret in planted:
        assert secret not in text
    assert "OK-ACCESS-SIGN" not in text

"""Transfers through a wire that damages half of all calls: every intent is booked exactly once.

I-05, I-06, I-15 for a keyed route: the same key is sent again only after it was looked for.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID, uuid5

import pytest

from engine.errors import VenueError
from engine.ports import TransferReport
from infra.simulator.venues.core.faults import FaultKind
from infra.venues import http
from tests.integration.venues.deribit_town import MAIN, MARGIN_A, Scene, order, scene

K = FaultKind
N_INTENTS = 120
AMOUNT = Decimal("0.1")
_SPACE = UUID("6f1a4c0e-52b0-4f0f-9d5c-3a1f7b2e9c11")


def inject_half(s: Scene) -> None:
    wallet = "private/submit_transfer*"
    for kind, probability in ((K.RESET_BEFORE, 0.1), (K.RESET_AFTER, 0.15), (K.LATE_REPLY, 0.05)):
        s.inject(kind, endpoint=wallet, probability=probability, parameters={"seconds": 0.4})
    s.inject(K.BAD_GATEWAY, endpoint=wallet, probability=0.15)
    s.inject(K.BROKEN_BODY, endpoint=wallet, probability=0.1, parameters={"form": "truncated"})
    s.inject(K.UNKNOWN_CODE, endpoint=wallet, probability=0.1)
    s.inject(K.LISTING_STALE, endpoint="private/get_transfers", probability=0.2,
             parameters={"seconds": 0.05})  # fmt: skip
    s.inject(K.RESET_AFTER, endpoint="private/get_transfers", probability=0.1)


async def settle(s: Scene, key: str) -> tuple[TransferReport, int]:
    """Return the report of an intent and how often it was sent, by look-up before every resend."""
    n_sent = 0
    while True:
        n_sent += 1
        try:
            return await s.adapter.transfers.submit(order(key, AMOUNT)), n_sent
        except VenueError:
            pass
        for _ in range(3):
            try:
                found = await s.adapter.transfers.find(order(key, AMOUNT))
            except VenueError:
                continue
            if found is not None:
                return found, n_sent
            await asyncio.sleep(0.03)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_intent_is_booked_exactly_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with scene(seed=seed) as s:
            s.adapter.client.http.limiter = _unlimited()
            before = s.balance(MAIN, "BTC") + s.balance(MARGIN_A, "BTC")
            inject_half(s)
            keys = [uuid5(_SPACE, f"{seed}/{n}").hex for n in range(N_INTENTS)]
            done = [await settle(s, key) for key in keys]
            assert [s.times(key) for key in keys] == [1] * N_INTENTS, f"seed {seed}"
            assert {report.status for report, _ in done} == {"done"}
            assert sum(n for _, n in done) > N_INTENTS
            assert sum(s.town.plan.struck.values()) > N_INTENTS / 3
            assert s.balance(MARGIN_A, "BTC") == 12 + AMOUNT * N_INTENTS
            assert s.balance(MAIN, "BTC") + s.balance(MARGIN_A, "BTC") == before

    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(http, "BREAKER_FAILURES", 50)
    asyncio.run(run())


def _unlimited() -> http.RequestLimiter:
    return http.RequestLimiter(100_000, 1.0)

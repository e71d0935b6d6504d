"""Requests wait for room, and not for ever; a pause that a venue orders holds for all."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import NotSent
from infra.venues.limits import EndpointLimiter, RequestLimiter


def test_room_is_shared_and_refills() -> None:
    async def run() -> None:
        limiter = RequestLimiter(10, 0.2, wait_seconds_max=0.5)
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            await limiter.acquire(1, "r")
        assert asyncio.get_running_loop().time() - started >= 0.15

    asyncio.run(run())


def test_a_wait_beyond_the_bound_is_a_refusal_that_sent_nothing() -> None:
    async def run() -> None:
        limiter = RequestLimiter(1, 60, wait_seconds_max=0.05)
        await limiter.acquire(1, "first")
        with pytest.raises(NotSent, match="no room") as caught:
            await limiter.acquire(1, "second")
        assert caught.value.was_sent == "no"

    asyncio.run(run())


def test_a_pause_refuses_at_once_and_a_shorter_one_does_not_shorten_it() -> None:
    now = [100.0]
    limiter = RequestLimiter(10, 1, monotonic=lambda: now[0])
    limiter.pause(30)
    limiter.pause(5)

    async def run() -> None:
        with pytest.raises(NotSent) as caught:
            await limiter.acquire(1, "r")
        assert caught.value.retry_after_seconds == 30
        now[0] += 30
        await limiter.acquire(1, "r")

    asyncio.run(run())


def test_endpoints_have_room_of_their_own_and_one_pause() -> None:
    async def run() -> None:
        limiter = EndpointLimiter(1, 60, wait_seconds_max=0.05)
        await limiter.acquire(1, "a")
        await limiter.acquire(1, "b")
        with pytest.raises(NotSent):
            await limiter.acquire(1, "a")
        limiter.pause(10)
        with pytest.raises(NotSent, match="pause"):
            await limiter.acquire(1, "c")

    asyncio.run(run())

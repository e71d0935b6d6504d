"""Streams of Deribit under the faults of a wire: every change of health is said, nothing hangs.

I-39: after a gap the account is uncertain until a snapshot. I-40: a repeated frame changes nothing.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.ports import FeedEvent
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.trading import OrderRequest, deleverage, liquidate, place
from infra.venues.deribit import account_stream, session
from infra.venues.following import FollowedAccount, FollowLimits, follow_account
from tests.integration.venues.deribit_town import MARGIN_A, PERPETUAL, Scene, order, scene, until

K = FaultKind
TICKER = "ticker*"


def is_mark(event: FeedEvent) -> bool:
    return bool(event.marks)


def is_health(*health: str) -> Any:
    return lambda event: event.health in health


async def recovers(s: Scene, kind: FaultKind, health: str, **fields: Any) -> list[FeedEvent]:
    """Return events from the fault to the first mark after it said its health."""
    events = s.adapter.market.stream([PERPETUAL])
    try:
        async with asyncio.timeout(30.0):
            await until(events, is_mark)
            s.inject(kind, **fields)
            told = await until(events, is_health(health))
            s.town.plan.clear()
            return [*told, *await until(events, is_mark)]
    finally:
        await events.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "health", "fields"),
    [
        (K.STREAM_RESET, "down", {"channel": TICKER, "times": 1}),
        (K.FORCED_CLOSE, "down", {"channel": TICKER, "times": 1}),
        (K.TOO_SLOW, "down", {"channel": TICKER, "times": 1}),
        (K.HALF_OPEN, "stale", {"channel": TICKER, "times": 1}),
        (K.STALE, "stale", {"channel": TICKER}),
        (K.UNREADABLE_FRAME, "uncertain", {"channel": TICKER, "times": 1}),
        (K.UNKNOWN_CHANNEL, "uncertain", {"channel": TICKER, "times": 1}),
        (K.ERROR_FRAME, "uncertain", {"times": 1}),
        (K.MARK_ZERO, "uncertain", {"channel": "BTC-PERPETUAL", "times": 1}),
        (
            K.ODD_NUMBER,
            "uncertain",
            {"channel": TICKER, "times": 1, "parameters": {"form": "nan"}},
        ),
    ],
)
def test_a_market_stream_says_what_happened_and_comes_back(
    kind: FaultKind, health: str, fields: dict[str, Any]
) -> None:
    async def run() -> None:
        async with scene(stale_seconds=0.5) as s:
            told = await recovers(s, kind, health, **fields)
        event = next(one for one in told if one.health == health)
        assert event.reason
        if health == "uncertain" and kind is not K.ERROR_FRAME:
            # What could not be read is kept as it came.
            assert event.raw

    asyncio.run(run())


def test_a_storm_of_resets_ends_with_marks() -> None:
    async def run() -> None:
        async with scene() as s:
            told = await recovers(s, K.STREAM_RESET, "down", channel=TICKER, probability=0.5)
            assert told[-1].marks

    asyncio.run(run())


@pytest.mark.parametrize("kind", [K.DUPLICATE, K.REORDER, K.GAP])
def test_marks_never_go_back_in_time(kind: FaultKind) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(kind, channel=TICKER, probability=0.5)
            events = s.adapter.market.stream([PERPETUAL])
            seen: list[FeedEvent] = []
            async with asyncio.timeout(30.0):
                while len(seen) < 20:
                    seen += [e for e in await until(events, is_mark) if e.marks]
            await events.aclose()  # type: ignore[attr-defined]
            assert s.town.plan.struck[kind] > 0
            stamps = [event.marks[0].reading.venue_time for event in seen]
            assert stamps == sorted(stamps)  # type: ignore[type-var]

    asyncio.run(run())


def test_a_refused_subscription_and_a_full_venue_are_waited_out() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.CREDITS_EMPTY, endpoint="subscribe", times=2)
            s.inject(K.CONNECTION_CAP, times=2, parameters={"limit": 0})
            events = s.adapter.market.stream([PERPETUAL])
            async with asyncio.timeout(30.0):
                told = await until(events, is_mark)
            await events.aclose()  # type: ignore[attr-defined]
            reasons = " ".join(event.reason for event in told)
            assert "10028" in reasons and "HTTP 429" in reasons

    asyncio.run(run())


def test_one_instrument_that_expires_silences_itself_alone() -> None:
    async def run() -> None:
        async with scene(stale_seconds=0.3) as s:
            both = [PERPETUAL, "deribit:ETH-PERPETUAL"]
            events = s.adapter.market.stream(both)
            async with asyncio.timeout(30.0):
                await until(events, lambda e: any(m.instrument_id == both[1] for m in e.marks))
                s.inject(K.INSTRUMENT_GONE, channel="ETH-PERPETUAL")
                # Its silence is noticed, and the next connection goes without it.
                told = await until(events, lambda e: "not listed" in e.reason)
                assert any(event.health == "stale" for event in told)
                assert "ETH-PERPETUAL" in told[-1].reason
                await until(events, is_mark)
            await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_heartbeats_are_answered_and_their_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with scene() as s:
            option = next(n for n in s.venue.book.listings if n.endswith("-C"))
            s.inject(K.STALE, channel=TICKER)
            events = s.adapter.market.stream([f"deribit:{option}"])
            async with asyncio.timeout(30.0):
                await until(events, is_health("uncertain"))
                for running in s.venue.streams.sessions:
                    running.heartbeat_seconds, running.heartbeat_due = 0.1, 0.0
                # An option may be silent: as long as heartbeats come, all is well.
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.2):
                        await until(events, is_health("stale", "down"))
            await events.aclose()  # type: ignore[attr-defined]
            s.inject(K.HEARTBEATS_STOP)
            again = s.adapter.market.stream([f"deribit:{option}"])
            async with asyncio.timeout(30.0):
                told = await until(again, is_health("stale"))
            await again.aclose()  # type: ignore[attr-defined]
            assert "overdue" in told[-1].reason

    monkeypatch.setattr(session, "_FRAME_SECONDS", 0.6)
    asyncio.run(run())


async def follow(s: Scene, wanted: Any, audit: float = 30.0) -> list[FollowedAccount]:
    """Return what became known of margin account A until it is as wanted."""
    seen: list[FollowedAccount] = []
    known = follow_account(s.adapter.accounts, MARGIN_A, FollowLimits(audit=audit, retry=0.05))
    try:
        async with asyncio.timeout(30.0):
            async for account in known:
                seen.append(account)
                if await wanted(account):
                    return seen
    finally:
        await known.aclose()
    raise AssertionError


def when_live(act: Any) -> Any:
    """Return a condition that acts once the account is live, and then holds if ``act`` says so."""
    state = {"acted": False}

    async def wanted(account: FollowedAccount) -> bool:
        if not state["acted"]:
            if account.health == "live":
                state["acted"] = True
                act(None)
            return False
        return bool(act(account))

    return wanted


def quantity(account: FollowedAccount) -> Decimal:
    return account.positions[PERPETUAL].quantity


def test_what_a_client_and_the_venue_do_is_followed() -> None:
    async def run() -> None:
        async with scene() as s:
            book, held = s.venue.book, s.venue.book.accounts["1002"]

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    place(book, held, OrderRequest(symbol="BTC-PERPETUAL", side="sell",
                                                   quantity=Decimal(500)))  # fmt: skip
                    liquidate(book, held, "BTC-PERPETUAL", Decimal("0.5"))
                    deleverage(book, held, "ETH-PERPETUAL", Decimal(1))
                    return False
                eth = account.positions["deribit:ETH-PERPETUAL"].quantity
                return quantity(account) == 5750 and eth == 0

            seen = await follow(s, when_live(act))
            assert seen[-1].health == "live" and seen[-1].n_gaps == 0
            assert seen[-1].margins["BTC"].initial_margin > 0

    asyncio.run(run())


def test_an_unreadable_frame_is_kept_and_the_account_uncertain_until_a_snapshot() -> None:
    async def run() -> None:
        async with scene() as s:

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    s.inject(K.UNREADABLE_FRAME, channel="user.*", times=1)
                    return False
                return account.health == "live" and account.n_unreadable == 1

            seen = await follow(s, when_live(act))
            assert any(one.health == "uncertain" and one.n_unreadable == 1 for one in seen)
            assert seen[-1].unreadable[0].startswith('{"jsonrpc"')

    asyncio.run(run())


def test_a_change_that_the_stream_lost_is_found_by_the_audit() -> None:
    """I-39, on a channel without numbers."""

    async def run() -> None:
        async with scene() as s:
            book, held = s.venue.book, s.venue.book.accounts["1002"]

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    s.inject(K.GAP, channel="user.changes*")
                    liquidate(book, held, "BTC-PERPETUAL", Decimal("0.5"))
                    return False
                return account.n_gaps == 1 and account.health == "live"

            seen = await follow(s, when_live(act), audit=0.4)
            assert quantity(seen[-1]) == 6000
            reasons = [one.reason for one in seen if one.health == "uncertain"]
            assert any("12000 became 6000 unseen" in reason for reason in reasons)

    asyncio.run(run())


def test_a_snapshot_older_than_the_stream_does_not_undo_it() -> None:
    async def run() -> None:
        async with scene() as s:
            book, held = s.venue.book, s.venue.book.accounts["1002"]
            doubted: list[FollowedAccount] = []

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    place(book, held, OrderRequest(symbol="BTC-PERPETUAL", side="sell",
                                                   quantity=Decimal(500)))  # fmt: skip
                    s.inject(K.OLD_SNAPSHOT, endpoint="private/get_positions", times=1)
                    return False
                if account.health == "uncertain":
                    doubted.append(account)
                return bool(doubted) and account.health == "live"

            seen = await follow(s, when_live(act), audit=0.3)
            assert quantity(doubted[0]) == quantity(seen[-1]) == 11_500
            assert seen[-1].n_gaps == 0

    asyncio.run(run())


@pytest.mark.parametrize("kind", [K.DUPLICATE, K.REORDER])
def test_repeated_and_swapped_frames_end_in_the_venues_state(kind: FaultKind) -> None:
    async def run() -> None:
        async with scene() as s:
            book, held = s.venue.book, s.venue.book.accounts["1002"]

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    s.inject(kind, channel="user.*", probability=0.5)
                    for _ in range(3):
                        place(book, held, OrderRequest(symbol="BTC-PERPETUAL", side="sell",
                                                       quantity=Decimal(100)))  # fmt: skip
                    return False
                return account.health == "live" and quantity(account) == 11_700

            await follow(s, when_live(act), audit=0.4)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "fields", "health"),
    [
        (K.STREAM_RESET, {"channel": "user.*", "times": 1}, "down"),
        (K.STALE, {"channel": "user.*"}, "stale"),
        (K.TOKEN_EXPIRED, {"times": 1}, "down"),
    ],
)
def test_an_account_stream_comes_back_with_a_snapshot(
    kind: FaultKind, fields: dict[str, Any], health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with scene() as s:
            state = {"said": False}

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    s.inject(kind, **fields)
                    if kind is K.TOKEN_EXPIRED:
                        for running in list(s.venue.streams.sessions):
                            running.socket.abort()
                    return False
                if account.health == health:
                    state["said"] = True
                    if health == "stale":
                        s.town.plan.clear()
                return state["said"] and account.health == "live"

            seen = await follow(s, when_live(act))
            assert seen[-1].positions

    monkeypatch.setattr(account_stream, "STALE_SECONDS", 0.5)
    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(K.MAINTENANCE, "no snapshot"), (K.TORN_SNAPSHOT, "several instants")],
)
def test_an_account_stays_uncertain_until_a_whole_snapshot_can_be_read(
    kind: FaultKind, reason: str
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(kind, endpoint="private/get_positions")

            async def wanted(account: FollowedAccount) -> bool:
                if reason in account.reason:
                    s.town.plan.clear()
                return account.health == "live"

            seen = await follow(s, wanted)
            doubts = [one for one in seen if reason in one.reason]
            assert doubts and {one.health for one in doubts} == {"uncertain"}
            assert seen[-1].positions

    asyncio.run(run())


def test_a_transfer_shows_on_the_accounts_stream() -> None:
    async def run() -> None:
        async with scene() as s:
            sending: list[asyncio.Task[Any]] = []

            def act(account: FollowedAccount | None) -> bool:
                if account is None:
                    sent = s.adapter.transfers.submit(order("k" * 32, Decimal("1.5")))
                    sending.append(asyncio.ensure_future(sent))
                    return False
                return account.balances["BTC"].quantity == Decimal("13.5")

            await follow(s, when_live(act))
            assert (await sending[0]).status == "done"

    asyncio.run(run())

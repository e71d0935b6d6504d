"""A handler of our own that fails: the process says so, or ends; it never goes on deaf (F79)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.intraday import Fill
from infra.db import Database
from infra.intraday import feeds, session
from infra.intraday.core import LoopCore
from infra.intraday.relay import RelayFollower, RelayFrame
from infra.intraday.reports import Incoming
from infra.intraday.watching import OMS, Seen, Watch
from tests.integration.intraday.stage import Relay, playing, quiet
from tests.worlds.loop import base

CLOSE = base({"A": 140_000.0, "B": 1e7})


def test_f79_a_feed_handler_that_fails_is_told_and_read_again(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = RelayFollower.take, asyncio.Event()

    def take(self: RelayFollower, frame: RelayFrame) -> None:
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError("planted")
        whole(self, frame)

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, CLOSE, tmp_path, relay) as stage:
                broken.clear()
                await relay.send(quiet(59_900.0))

                def told() -> list[Any]:
                    rows = stage.status().get("health", [])
                    return [row for row in rows if "ZeroDivisionError: planted" in row["reason"]]

                (row,) = await stage.until(told, "the fault on the board")
                assert row["state"] == "degraded" and row["next_action"]
                # It is read again by itself, and what comes then still leads to a call.
                await stage.until(lambda: told() == [], "the end of the fault")
                await relay.send(quiet(58_500.0), full=True)
                assert list(await stage.until(stage.called, "a call")) == ["A"]

    broken.set()
    monkeypatch.setattr(RelayFollower, "take", take)
    monkeypatch.setattr(feeds, "RETRY_SECONDS", 0.6)
    asyncio.run(play())


@pytest.mark.parametrize("where", ["decide", "housekeeping"])
def test_f79_a_loop_that_cannot_decide_any_more_ends_with_the_error(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Its lease runs out, a standby takes over, and whoever supervises it starts it anew."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, CLOSE, tmp_path, relay) as stage:
                if where == "decide":
                    monkeypatch.setattr(LoopCore, "decide", broken)
                else:
                    monkeypatch.setattr(session.Teller, "write", broken)
                await relay.send(quiet(59_900.0))
                await asyncio.wait({stage.task}, timeout=10.0)
                assert isinstance(stage.task.exception(), ZeroDivisionError)

    asyncio.run(play())
    sqlite_database.audit.verify()


def fill(quantity: float, account: str = "A-a") -> Fill:
    return Fill(account, "binance:BTCUSDT", quantity, 60_000.0, ("oms",))


def test_f79_i54_a_report_that_the_book_refuses_degrades_its_account_and_loses_no_other(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes over a callback from the writer's thread, where an error would only be logged."""
    now = datetime.now(UTC)
    told = [
        Incoming(OMS, "e-1", fill(1.0, "stranger"), now),
        Incoming(OMS, "e-2", fill(float("nan")), now),
        Incoming(OMS, "e-3", fill(5.0), now),
    ]
    monkeypatch.setattr(
        Watch, "look", lambda self: Seen(reports=told, open_calls=None, close_id=None)
    )

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, CLOSE, tmp_path, relay) as stage:
                called = await stage.until(stage.called, "a call for what was bought")
                assert list(called) == ["A"]
                await stage.until(
                    lambda: stage.health().get(("account", "stranger")) == "degraded", "the board"
                )
                rows = stage.status()["health"]
                (row,) = [row for row in rows if row["name"] == "stranger"]
                assert "report e-1 of oms is not counted" in row["reason"]
                events = stage.database.intraday_events.after(0)
                assert {"plimsoll.account.stranger", "plimsoll.account.A-a"} <= {
                    one.resource for one in events if one.payload.get("state") == "uncertain"
                }
                run = sqlite_database.runs.list(limit=1, kind="intraday")[0]
                kept = sqlite_database.intraday_journal.messages(run.run_id)
                assert [one.message_id for one in kept] == ["e-3"]

    asyncio.run(play())


def test_f79_an_error_of_the_loop_s_own_in_a_callback_ends_it(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            async with playing(sqlite_database, CLOSE, tmp_path, relay) as stage:
                monkeypatch.setattr(LoopCore, "committed", broken)
                await relay.send(quiet(58_500.0))
                await asyncio.wait({stage.task}, timeout=10.0)
                assert isinstance(stage.task.exception(), ZeroDivisionError)
                # What was decided before is durable; the next process goes on from there.
                assert list(stage.called()) == ["A"]

    asyncio.run(play())

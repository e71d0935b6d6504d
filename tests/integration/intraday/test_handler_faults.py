"""A handler of our own that fails: the process says so, or ends; it never goes on deaf (F79)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.intraday import Fill
from infra.alerts import AlertDesk
from infra.db import Database
from infra.intraday import feeds, session
from infra.intraday.core import LoopCore
from infra.intraday.relay import RelayFollower, RelayFrame
from infra.intraday.reports import Incoming
from infra.intraday.watching import OMS, Seen, Watch
from tasks.alerting import UNGROUPED
from tests.integration.intraday.stage import Relay, playing, quiet
from tests.integration.intraday.test_killed_loop import until
from tests.worlds.loop import base

CLOSE = base({"A": 140_000.0, "B": 1e7})


def test_f79_a_feed_handler_that_fails_is_told_and_read_again(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, is_broken = RelayFollower.take, asyncio.Event()

    def take(self: RelayFollower, frame: RelayFrame) -> None:
        if is_broken.is_set():
            raise ZeroDivisionError("planted")
        whole(self, frame)

    async def play() -> None:
        async with Relay() as relay:
            await relay.send(quiet(), full=True)
            # It does not decide before the first frame has told of its sources.
            async with playing(sqlite_database, CLOSE, tmp_path, relay, grace=60.0) as stage:
                is_broken.set()
                await relay.send(quiet(59_900.0))

                def told() -> list[Any]:
                    rows = stage.status().get("health", [])
                    return [row for row in rows if "ZeroDivisionError: planted" in row["reason"]]

                rows = await stage.until(lambda: len(told()) > 1 and told(), "the fault")
                states = {(row["scope"], row["name"]): row["state"] for row in rows}
                place = relay.url.removeprefix("ws://").rstrip("/")
                assert states["system", f"relay {place}"] == "degraded"
                # What the frame held is lost: its sources are down until a whole one comes.
                assert states["venue", "binance"] == "down"
                assert all(row["next_action"] for row in rows)
                is_broken.clear()
                # It is read again by itself, and what comes then still leads to a call.
                await stage.until(lambda: told() == [], "the end of the fault")
                await relay.send(quiet(58_500.0), full=True)
                assert list(await stage.until(stage.called, "a call")) == ["A"]
                resource = "plimsoll.system.relay-" + place
                assert names_of(sqlite_database, resource) == ["degraded", "restored"]

    monkeypatch.setattr(RelayFollower, "take", take)
    monkeypatch.setattr(feeds, "RETRY_SECONDS", 0.6)
    asyncio.run(play())


def names_of(database: Database, resource: str) -> list[str]:
    events = database.intraday_events.after(0)
    return [one.name.removeprefix("plimsoll.") for one in events if one.resource == resource]


def test_a_feed_handler_that_is_not_there_is_an_event_and_an_alert_and_ends_with_it(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Before its first frame nobody knows its sources: only its own name can be told of."""

    async def play() -> None:
        async with Relay() as relay:
            port = int(relay.url.rsplit(":", 1)[1].strip("/"))
        resource = f"plimsoll.system.relay-127.0.0.1:{port}"
        async with playing(sqlite_database, CLOSE, tmp_path, relay):
            await until(lambda: names_of(sqlite_database, resource), "the event")
            events = sqlite_database.intraday_events.after(0)
            (event,) = (one for one in events if one.resource == resource)
            assert "ClientConnectorError" in event.payload["reason"]
            assert event.payload["next_action"].startswith("look at the feed handler")
            async with Relay(port) as back:
                await back.send(quiet(), full=True)
                await until(lambda: len(names_of(sqlite_database, resource)) > 1, "its end")
        assert names_of(sqlite_database, resource) == ["degraded", "restored"]
        done = AlertDesk(sqlite_database, (), UNGROUPED).round()
        assert done.n_alerts == done.n_events > 1

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

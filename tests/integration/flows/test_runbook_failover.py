"""Two hosts on one record: the second one takes over from one that is killed, and once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

from infra.db import open_database
from infra.intraday.leading import LEASE_SECONDS
from tests.integration.flows.conftest import FIRST_DATE, CommandLine
from tests.integration.flows.runbook import Host, ending, lines, started, wait_for
from tests.integration.flows.test_runbook_postgresql import Server, host, record
from tests.integration.intraday.stage import Relay

__all__ = ["host", "record"]
pytestmark = [pytest.mark.fault, pytest.mark.postgres, pytest.mark.timeout(600)]


class Prices:
    """A feed handler of one's own that tells the marks of the close, moved by a factor."""

    def __init__(self, market: Path) -> None:
        marks = pd.read_parquet(market / "marks.parquet")
        listed = pd.read_parquet(market / "instruments.parquet").set_index("instrument_id")
        marks = marks[pd.to_datetime(marks["business_date"]) == pd.Timestamp(FIRST_DATE)]
        kinds = marks["instrument_id"].map(listed["kind"])
        quoted = marks[kinds.isin(["perpetual", "future", "spot"]) & (marks["mark_price"] > 0)]
        self._marks = dict(zip(quoted["instrument_id"], quoted["mark_price"], strict=True))
        self._loop = asyncio.new_event_loop()
        self.relay = Relay()

    @contextmanager
    def told(self) -> Iterator[Prices]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self._await(self.relay.__aenter__())
            self.move(1.0)
            yield self
        finally:
            self._await(self.relay.__aexit__())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def move(self, factor: float) -> None:
        """Tell every price, times a factor."""
        prices = {name: float(price) * factor for name, price in self._marks.items()}
        self._await(self._send(prices))

    async def _send(self, prices: dict[str, float]) -> None:
        # Who has been killed is noticed when somebody writes to it.
        for _ in range(100):
            with suppress(ConnectionError):
                await self.relay.send(prices, full=True)
                return
            await asyncio.sleep(0.1)
        raise AssertionError("nobody listens to prices any more")

    def _await(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)  # type: ignore[arg-type]


def word_of(host: Host) -> dict[str, object]:
    """Return what the loop of a host says of itself, by the runbook's command."""
    status, _ = lines("failover")
    said = host.run(f"{status} --json").out
    return dict(json.loads(said)) if said.strip() else {}


def test_the_other_host_takes_over_within_the_lease_and_nothing_is_there_twice(
    host: Host, record: Server, world: Path, tmp_path: Path
) -> None:
    shared = {**host.plimsoll.variables, "PLIMSOLL_STORE_URL": host.plimsoll.home.as_uri()}
    other = Host(tmp_path / "other", CommandLine(tmp_path / "other" / "home", shared), host.names)
    other.folder.mkdir()
    _, start = lines("failover")
    database = open_database(record.url)
    with Prices(world).told() as prices, ending(host), ending(other):
        follow = ["--relay", prices.relay.url]
        for one in (host, other):
            words = [*one.words(start)[1:], *follow]
            one.running["loop"] = started(one.plimsoll, words, one.folder / "loop.log")
            if one is host:
                wait_for("the first host to decide", lambda: word_of(host).get("is_deciding"))
        standing_by = other.plimsoll.home / "intraday" / "standby.json"
        wait_for("the second one to stand by", standing_by.exists)
        before = word_of(host)["epoch"]
        prices.move(0.85)
        wait_for("calls", lambda: len(database.intraday_journal.open_calls()) > 0)
        host.kill()
        prices.move(0.7)
        called = dict(database.intraday_journal.open_calls())
        wait_for(
            "the second host to decide", lambda: word_of(other).get("is_deciding"),
            30 * LEASE_SECONDS,
        )  # fmt: skip
        prices.move(0.6)
        wait_for(
            "more to be called",
            lambda: (
                sum(one.amount for one in database.intraday_journal.open_calls().values())
                > sum(one.amount for one in called.values())
            ),
        )
        assert word_of(other)["epoch"] > before
    calls = database.calls.open_calls()
    assert not calls.duplicated(["netting_set_id", "direction"]).any()
    events = [one.event_id for one in database.intraday_events.after(0)]
    assert len(events) == len(set(events))
    database.audit.verify()
    other.follow(["plimsoll ledger verify", "plimsoll intraday verify"])
    database.close()

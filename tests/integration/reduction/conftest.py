"""A desk, a venue and a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.reduction import ReductionIntent, ReductionPolicy
from infra.db import Database, open_database
from infra.db.reduction_records import NewReduction, OrderRecord, ReductionRecord
from infra.db.reduction_tables import PLAN_OPEN
from infra.outbound import KillSwitch, Worked
from infra.reduction import ReductionDesk, Standings
from tests.integration.reduction.fake_venue import Markets
from tests.integration.transfers.fake_venue import Clock
from tests.worlds.reductions import PERP, intent, policy

START = datetime(2026, 11, 21, 6, tzinfo=UTC)


def new_plan(wanted: ReductionIntent, now: datetime, **changes: Any) -> NewReduction:
    """Return what is recorded of a plan that waits for people."""
    facts: dict[str, Any] = {
        "intent": wanted, "mode": "approval", "status": "restores", "cost": Decimal("12.5"),
        "figures": {"schema": "test"}, "proposer": "alice", "reason": "test",
        "valid_until": now + timedelta(hours=1),
    }  # fmt: skip
    return NewReduction(**{**facts, **changes})


@dataclass
class Office:
    """Everything that a test of the desk needs."""

    database: Database
    venue: Markets
    clock: Clock
    kill_switch: KillSwitch
    desk: ReductionDesk

    def under(self, rules: ReductionPolicy) -> ReductionDesk:
        """Return a desk of the same books under other rules."""
        return ReductionDesk(self.database, rules, self.kill_switch)

    def proposed(self, wanted: ReductionIntent | None = None, **changes: Any) -> ReductionRecord:
        """Return a plan that alice has proposed; by hand, so that no call need be there."""
        return self.desk.propose(new_plan(wanted or by_hand(), self.clock(), **changes))

    def working(self, wanted: ReductionIntent | None = None, **changes: Any) -> ReductionRecord:
        """Return a plan that bob and carol have approved."""
        record = self.proposed(wanted, **changes)
        for who in ("bob", "carol"):
            if self.get(record).state == "proposed":
                self.desk.approve(record.plan_id, who, record.payload_hash)
        return self.get(record)

    def send(self, desk: ReductionDesk | None = None, standings: Standings | None = None) -> Worked:
        """Send what is due."""
        return asyncio.run((desk or self.desk).send_due(self.venue.wiring, standings))

    def resolve(self) -> Worked:
        """Resolve what is open."""
        return asyncio.run(self.desk.resolve_due(self.venue.wiring, everything=True))

    def rounds(self, n: int = 40, standings: Standings | None = None) -> None:
        """Let rounds pass, six seconds each, until no plan is open."""
        for _ in range(n):
            self.send(standings=standings)
            self.resolve()
            self.clock.advance(6)
            if not self.database.reductions.list(PLAN_OPEN):
                return

    def get(self, record: ReductionRecord) -> ReductionRecord:
        """Return a plan as it stands."""
        return self.database.reductions.get(record.plan_id)

    def orders(self, record: ReductionRecord) -> list[OrderRecord]:
        """Return the orders of a plan."""
        return self.database.reductions.orders(record.plan_id)

    def states(self, record: ReductionRecord) -> list[str]:
        """Return the states of a plan's orders."""
        return [one.state for one in self.orders(record)]


def by_hand(**changes: Any) -> ReductionIntent:
    """Return an intent whose cause is no call."""
    legs = changes.pop("legs", ())
    return intent(*legs, **{"cause": "hand:1", **changes})


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands in the morning."""
    return Clock(START)


def office_at(url: str, folder: Path, clock: Clock) -> Iterator[Office]:
    """Yield an office whose account is long of ten perpetuals."""
    database = open_database(url, wait_seconds=5.0, actor="test", clock=clock)
    venue = Markets(clock, positions={PERP: Decimal(10)})
    switch = KillSwitch(folder, clock)
    yield Office(database, venue, clock, switch, ReductionDesk(database, policy(), switch))
    database.close()


@pytest.fixture
def office(sqlite_template: Path, quick_folder: Path, clock: Clock) -> Iterator[Office]:
    """Yield an office on the embedded database."""
    path = quick_folder / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    yield from office_at(f"sqlite:///{path}", quick_folder, clock)


@pytest.fixture
def office_on_both(database_url: str, quick_folder: Path, clock: Clock) -> Iterator[Office]:
    """Yield an office on each kind of database."""
    yield from office_at(database_url, quick_folder, clock)

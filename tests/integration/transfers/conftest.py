"""A desk, a venue and a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.transfers import TransferPolicy
from infra.db import Database, open_database
from infra.db.transfers import TransferRecord
from infra.transfers import KillSwitch, TransferDesk, Worked
from tests.integration.transfers.fake_venue import Clock, FakeVenue, listed, rules, stock, wanted

START = datetime(2026, 11, 21, 6, tzinfo=UTC)


@dataclass
class Office:
    """Everything that a test of the desk needs."""

    database: Database
    venue: FakeVenue
    clock: Clock
    kill_switch: KillSwitch
    desk: TransferDesk

    def under(self, policy: TransferPolicy) -> TransferDesk:
        """Return a desk of the same books under other rules."""
        return TransferDesk(self.database, policy, self.kill_switch)

    def approved(self, quantity: str = "1", **changes: object) -> TransferRecord:
        """Return a transfer that is ready to be sent."""
        intent = wanted(quantity, **changes)
        listed(self.database, intent)
        record = self.desk.propose(intent, "alice", "test")
        return self.desk.approve(record.transfer_key, "bob", record.payload_hash)

    def send(self, desk: TransferDesk | None = None) -> Worked:
        """Send what is due."""
        return asyncio.run((desk or self.desk).send_due({"sim": self.venue}))

    def resolve(self) -> Worked:
        """Resolve what is open."""
        return asyncio.run(self.desk.resolve_due({"sim": self.venue}, everything=True))

    def sent_as(self, treatment: str, quantity: str = "1", **changes: object) -> TransferRecord:
        """Return an approved transfer after one sending that was treated so."""
        record = self.approved(quantity, **changes)
        self.venue.treatment = treatment
        self.send()
        self.venue.treatment = "clean"
        return self.get(record)

    def get(self, record: TransferRecord) -> TransferRecord:
        """Return a transfer as it stands."""
        return self.database.transfers.get(record.transfer_key)

    def units(self, account: str) -> int:
        """Return a balance in minor units."""
        return int(self.database.ledger.balance(account, "BTC").amount.scaleb(8))


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands in the morning."""
    return Clock(START)


@pytest.fixture
def office(database_url: str, quick_folder: Path, clock: Clock) -> Iterator[Office]:
    """Yield an office with 100 BTC at sim/a, on both kinds of database."""
    database = open_database(database_url, wait_seconds=5.0, actor="test", clock=clock)
    venue = FakeVenue(clock)
    switch = KillSwitch(quick_folder, clock)
    stock(database, venue)
    yield Office(database, venue, clock, switch, TransferDesk(database, rules(), switch))
    database.close()

"""A ledger that comes from yesterday's backup, beside a venue that remembers today."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from infra.db import open_database
from infra.db.backup import back_up
from infra.transfers import KillSwitch, TransferDesk
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import Clock, FakeVenue, rules, stock

TODAY, YESTERDAY = "plimsoll.db", "yesterday.db"


@pytest.fixture
def offices(
    quick_folder: Path, sqlite_template: Path, clock: Clock
) -> Iterator[tuple[Office, Office]]:
    """Yield an office, and one of the same venue on a backup of its books."""
    shutil.copy(sqlite_template, quick_folder / TODAY)
    venue, switch = FakeVenue(clock), KillSwitch(quick_folder, clock)
    with ExitStack() as stack:
        found = []
        for name in (TODAY, YESTERDAY):
            address = f"sqlite:///{quick_folder / name}"
            database = stack.enter_context(
                closing(open_database(address, actor="test", clock=clock))
            )
            if name == TODAY:
                stock(database, venue)
                back_up(database, quick_folder / YESTERDAY)
            desk = TransferDesk(database, rules(), switch)
            found.append(Office(database, venue, clock, switch, desk))
        yield found[0], found[1]


@pytest.mark.parametrize("treatment", ["clean", "reset_after"])
def test_i05_i06_after_a_restored_backup_a_movement_has_its_old_key_and_is_done_once(
    offices: tuple[Office, Office], treatment: str
) -> None:
    """What it is owed for is open again in what was restored, so it is wanted again."""
    today, restored = offices
    done = today.sent_as("clean")
    today.resolve()
    assert today.get(done).state == "credited"
    assert restored.database.transfers.list() == []
    record = restored.sent_as(treatment)
    assert record.transfer_key == done.transfer_key
    for _ in range(2):
        restored.resolve()
    assert restored.get(record).state == "credited"
    assert restored.units("location:sim/b") == today.units("location:sim/b")
    assert today.venue.n_executions(done.transfer_key) == 1
    restored.database.audit.verify()


def test_i07_without_keys_a_restored_ledger_does_not_hide_what_has_left(
    offices: tuple[Office, Office],
) -> None:
    """There the venue's balance speaks: what the ledger wants to send is not all there."""
    today, restored = offices
    today.venue.is_keyed = False
    done = today.sent_as("clean", "80")
    today.resolve()
    assert today.get(done).state == "credited"
    record = restored.sent_as("clean", "80")
    assert today.venue.n_executions(done.transfer_key) == 1
    assert restored.get(record).state in ("rejected", "unknown", "new")
    assert restored.units("location:sim/b") == 0

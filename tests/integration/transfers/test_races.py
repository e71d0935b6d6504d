"""Several people or processes act on one thing at the same time: one wins, nobody overshoots."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from engine.transfers.states import COUNTED
from infra.db import open_database
from infra.transfers import KillSwitch, TransferDesk
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import Clock, FakeVenue, listed, rules, stock, wanted
from tests.processes import race

N_PROCESSES = 6


def desk_of(url: str, home: Path, limit: str = "1000") -> TransferDesk:
    """Return a desk of this process."""
    clock = Clock(datetime(2026, 11, 21, 7, tzinfo=UTC))
    database = open_database(url, wait_seconds=60.0, actor="race", clock=clock)
    return TransferDesk(database, rules(limit=limit), KillSwitch(home, clock))


def approve(url: str, home: Path, key: str, payload_hash: str) -> str:
    """Approve in the name of this process."""
    return desk_of(url, home).approve(key, f"person-{os.getpid()}", payload_hash).state


def reject(url: str, home: Path, key: str) -> str:
    """Refuse in the name of this process."""
    return desk_of(url, home).reject(key, f"person-{os.getpid()}", "race").state


def url_of(office: Office) -> str:
    """Return the address of the database, and close it here."""
    office.database.close()
    return office.database.url.render_as_string(hide_password=False)


def test_i14_two_approvers_race_one_wins_the_others_are_told_who(
    office: Office, quick_folder: Path
) -> None:
    """Fault 70."""
    listed(office.database, wanted())
    record = office.desk.propose(wanted(), "alice", "test")
    url = url_of(office)
    said = race(approve, url, quick_folder, record.transfer_key, record.payload_hash, n=N_PROCESSES)
    assert said.count("new") == 1
    losers = [one for one in said if one != "new"]
    assert all(one.startswith("StateError: transfer") and "approved by" in one for one in losers)


def test_i07_two_operators_race_to_take_a_transfer_back_one_wins(
    office: Office, quick_folder: Path
) -> None:
    record = office.approved()
    said = race(reject, url_of(office), quick_folder, record.transfer_key, n=N_PROCESSES)
    assert said.count("rejected") == 1
    assert sum("cannot be taken back" in one for one in said) == N_PROCESSES - 1
    assert office.database.ledger.available("location:sim/a", "BTC").amount == 100


def attempt_all(url: str, home: Path, limit: str, rounds: int) -> tuple[int, int]:
    """Try again and again to send everything; return how many attempts, and how many left."""
    desk = desk_of(url, home, limit)
    clock = desk.database.clock
    assert isinstance(clock, Clock)
    venue = FakeVenue(clock, balances={f"sim/s{n}": Decimal(100) for n in range(N_PROCESSES)})
    venue.treatment = "reset_before"
    attempts = 0
    for _ in range(rounds):
        worked = asyncio.run(desk.send_due({"sim": venue}))
        attempts += len(worked.moved) + len(worked.waiting)
        clock.advance(5)
    desk.database.close()
    return attempts, venue.n_submitted


def sent_around_the_limit(office: Office, home: Path, n_each: int, rounds: int) -> Counter[str]:
    """Let processes send from places of their own around one limit; count what happened."""
    limit = N_PROCESSES * n_each // 3
    for number in range(N_PROCESSES):
        stock(office.database, office.venue, place=f"sim/s{number}")
        for leg in range(1, n_each + 1):
            office.approved("1", source=f"sim/s{number}", leg=leg)
    found = race(attempt_all, url_of(office), home, f"{limit}.5", rounds, n=N_PROCESSES)
    records = office.database.transfers.list(COUNTED)
    counted = sum(one.intent.quantity for one in records)
    return Counter(
        attempts=sum(one[0] for one in found),
        left=sum(one[1] for one in found),
        counted=int(counted),
        limit=limit,
    )


def test_i13_t06_processes_that_send_at_once_never_exceed_a_limit(
    office: Office, quick_folder: Path
) -> None:
    found = sent_around_the_limit(office, quick_folder, n_each=4, rounds=3)
    assert found["left"] == found["counted"] == found["limit"]
    assert found["attempts"] >= 30


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_i13_t06_ten_thousand_attempts_around_a_limit_never_exceed_it(
    office: Office, quick_folder: Path
) -> None:
    found = sent_around_the_limit(office, quick_folder, n_each=40, rounds=64)
    print(dict(found))
    assert found["left"] == found["counted"] == found["limit"]
    assert found["attempts"] >= 10_000

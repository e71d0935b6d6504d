"""Many writers around one limit: nobody gets past it, nothing is lost, nothing is booked twice.

Every attempt is a transaction of its own on a connection of its own process. What was recorded is
replayed in the order of recording afterwards, so that a breach shows even if a later step heals it.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from datetime import UTC, datetime
from operator import itemgetter

import pytest
from sqlalchemy import text

from engine.errors import InsufficientCollateral, InvariantBroken, UnbackedCredit
from infra.db import Attestation, Database, Entry, Hold, Posting, open_database
from tests.integration.db.facts import DAY
from tests.processes import race

PLACE = "location:okx/a"
LIMIT = 20
N_WRITERS = 8


def entry(key: str, debit: str, credit: str, amount: int) -> Entry:
    return Entry(key, "test", DAY, None, (Posting(debit, credit, "USD", amount),))


@pytest.fixture
def limited_url(database_url: str) -> str:
    """Return the URL of a ledger with LIMIT units at a place, all of them attested."""
    database = open_database(database_url)
    database.ledger.register_assets({"USD": 2})
    database.ledger.post(entry("in", "outside:world", PLACE, LIMIT))
    now = datetime.now(UTC)
    database.ledger.attest(
        [Attestation(asset="USD", place="okx/a", quantity=LIMIT, as_of=now, source="venue")]
    )
    database.close()
    return database_url


def push(url: str, n_attempts: int) -> Counter[str]:
    """Hold, take out, resolve and bring back around the limit; count what came of it."""
    database = open_database(url, wait_seconds=120.0)
    choice = random.Random(os.getpid())
    counts: Counter[str] = Counter()
    held: list[str] = []
    out = 0
    for number in range(n_attempts):
        key = f"{os.getpid()}-{number}"
        amount = choice.randint(1, LIMIT // 2)
        action = choice.choice(("hold", "take", "take", "end", "back", "credit"))
        try:
            if action == "hold":
                database.ledger.hold(Hold(key, PLACE, "transit:t", "USD", amount, DAY))
                held.append(key)
            elif action == "take":
                database.ledger.post(entry(key, PLACE, "outside:world", amount))
                out += amount
            elif action == "credit":
                owed = Posting("outside:world", "collateral:NS-1", "USD", amount)
                database.ledger.post(Entry(key, "test", DAY, None, (owed,)))
            elif action == "end" and held:
                database.ledger.void_hold(held.pop(choice.randrange(len(held))), "test")
            elif out:
                database.ledger.post(entry(key, "outside:world", PLACE, out))
                out = 0
            counts["done"] += 1
        except InsufficientCollateral:
            counts["overdraft refused"] += 1
        except UnbackedCredit:
            counts["credit refused"] += 1
    database.close()
    return counts


def breaches(database: Database) -> list[str]:
    """Replay what was recorded and return every instant at which more was gone than was there."""
    events: list[tuple[datetime, int, int]] = []
    with database.reading() as connection:
        for sign, side in ((1, "credit"), (-1, "debit")):
            rows = connection.execute(
                text(
                    f"SELECT recorded_at, amount FROM ledger_entries NATURAL JOIN "
                    f"(SELECT position, amount FROM ledger_postings WHERE {side} = :place) AS p"
                ),
                {"place": PLACE},
            )
            events += [(row.recorded_at, sign * int(row.amount), 0) for row in rows]
        rows = connection.execute(
            text(
                "SELECT h.recorded_at, h.amount, r.recorded_at AS ended_at FROM ledger_holds h "
                "LEFT JOIN ledger_hold_resolutions r ON r.hold = h.position"
            )
        )
        for row in rows:
            events.append((row.recorded_at, 0, int(row.amount)))
            if row.ended_at is not None:
                events.append((row.ended_at, 0, -int(row.amount)))
    found, posted, held = [], 0, 0
    for instant, amount, hold in sorted(events, key=itemgetter(0)):
        posted, held = posted + amount, held + hold
        if posted < held:
            found.append(f"{instant}: {posted} posted, {held} held")
    return found


def require_no_breach(url: str, n_attempts: int) -> Counter[str]:
    answers = race(push, url, n_attempts // N_WRITERS, n=N_WRITERS)
    assert all(isinstance(answer, Counter) for answer in answers), answers
    total = sum(answers, Counter())
    assert sum(total.values()) == n_attempts // N_WRITERS * N_WRITERS
    database = open_database(url)
    assert breaches(database) == []
    database.ledger.verify()
    row = database.ledger.backing().iloc[0]
    assert row["credited"] <= LIMIT
    database.close()
    return total


def test_no_attempt_gets_past_the_limit(limited_url: str) -> None:
    """I-09 and I-16, a small size of the test below."""
    total = require_no_breach(limited_url, 400)
    # The limit was in play: attempts were refused, and others went through.
    assert min(total["done"], total["overdraft refused"]) > 40
    assert total["credit refused"]


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_ten_thousand_attempts_do_not_get_past_the_limit(limited_url: str) -> None:
    """I-09 and I-16: 10,000 attempts of eight processes, no breach."""
    print(require_no_breach(limited_url, 10_000))


def test_one_key_from_eight_processes_is_held_and_posted_once(limited_url: str) -> None:
    """I-05 and I-10: everybody repeats the same intent, one of them does it."""
    assert sorted(race(_hold_and_post, limited_url)) == [(False, False)] * 7 + [(True, True)]


def _hold_and_post(url: str) -> tuple[bool, bool]:
    database = open_database(url)
    with database.writing() as connection:
        held = database.ledger.hold_within(connection, Hold("h", PLACE, "transit:t", "USD", 9, DAY))
        posted = database.ledger.post_hold_within(connection, "h", 4)
    database.close()
    return held, posted


@pytest.mark.postgres
def test_a_writer_without_the_lock_is_stopped_before_it_loses_an_update(
    postgresql_database: Database,
) -> None:
    """What the lock is for: past it, a hold and a posting would overwrite each other's balance."""
    database = postgresql_database
    database.ledger.register_assets({"USD": 2})
    database.ledger.post(entry("in", "outside:world", PLACE, LIMIT))
    outcome: list[BaseException | str] = []
    with database.engine.connect() as first, first.begin():
        database.ledger.hold_within(first, Hold("h", PLACE, "transit:t", "USD", LIMIT, DAY))

        def second() -> None:
            try:
                with database.engine.connect() as other, other.begin():
                    # Sees the balance before the hold, then waits for its row.
                    taken = entry("take", PLACE, "outside:world", LIMIT)
                    database.ledger.post_within(other, [taken])
                outcome.append("committed")
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        _wait_for_a_blocked_session(database)
    thread.join(timeout=30)
    assert isinstance(outcome[0], InvariantBroken), outcome
    assert "writes without the one-writer lock" in str(outcome[0])
    database.ledger.verify()
    assert database.ledger.available(PLACE, "USD").amount == 0


def _wait_for_a_blocked_session(database: Database) -> None:
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with database.engine.connect() as connection:
        for _ in range(2_000):
            if connection.execute(query).scalar_one():
                return
            connection.rollback()
            threading.Event().wait(0.005)
    raise AssertionError("the second writer never waited")

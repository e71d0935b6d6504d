"""What people say about rungs that wait: recorded once with name and reason, kept by a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from engine.errors import InvariantBroken, MissingDataError, ParameterError, StateError
from infra.db import Database, open_database
from infra.db.grant_tables import IntradayGrantRow
from infra.db.tables import AuditRow
from infra.intraday.recomputing import recompute
from infra.intraday.watching import Watch
from tests.integration.intraday import life
from tests.integration.intraday.stage import Closes
from tests.worlds import small
from tests.worlds.loop import base

ASKING = replace(
    base({"A": 160_000.0, "B": 1e7}),
    rules=small.rules(small.agreement("A", ladder="call@1.0/0.95:approval"), small.agreement("B")),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = open_database(database_url, wait_seconds=5.0, actor="test")
    yield found
    found.close()


@pytest.fixture
def lives(database: Database):
    """Return a function that starts a loop on the asking close."""
    return lambda holder="one": life.Life(database, holder, ASKING)


def seen(one: life.Life) -> list:
    watch = Watch(one.database, one.run_id, ASKING, Closes([ASKING]), {})
    return list(watch.look().grants)


def test_a_grant_is_recorded_once_read_by_the_loop_and_kept_by_a_restart(
    database: Database, lives
) -> None:
    first = lives()
    first.tick(56_000.0, 1)
    first.checkpoint()
    grants = database.intraday_grants
    (waiting,) = grants.waiting()
    assert (waiting.netting_set_id, waiting.rung, waiting.client_id) == ("A", "call", "client-A")
    given = grants.decide("A", "call", "granted", principal="ben", reason="confirmed by phone")
    assert grants.decide("A", "call", "granted", principal="eve", reason="again") == given
    assert grants.waiting() == []
    # A loop that starts anew hears of it before it decides.
    second = lives("two")
    assert second.how == "restored"
    second.core.take_grants(seen(second))
    decision = second.tick(55_900.0, 2)
    (call,) = decision.calls
    assert call.figures["granted_by"] == "ben: confirmed by phone"
    assert recompute(database, ASKING, second.run_id, decision.number).is_sound
    with database.reading() as connection:
        query = select(AuditRow.actor, AuditRow.subject).where(AuditRow.action == "rung granted")
        assert connection.execute(query).all() == [("ben", "A")]
    assert database.audit.verify().heads["intraday_grants"].position == 1


def test_a_refusal_is_heard_and_who_changes_their_mind_is_recorded_beside_it(
    database: Database, lives
) -> None:
    one = lives()
    one.tick(56_000.0, 1)
    grants = database.intraday_grants
    grants.decide("A", "call", "refused", principal="ben", reason="the client pays tonight")
    one.core.take_grants(seen(one))
    assert one.tick(55_950.0, 2).calls == []
    grants.decide("A", "call", "granted", principal="dora", reason="it did not")
    one.core.take_grants(seen(one))
    assert len(one.tick(55_900.0, 3).calls) == 1
    assert [each.decision for each in grants.history("A")] == ["refused", "granted"]


def test_a_grant_ends_when_the_rung_is_left(database: Database, lives) -> None:
    one = lives()
    one.tick(56_000.0, 1)
    database.intraday_grants.decide("A", "call", "granted", principal="ben", reason="test")
    one.core.take_grants(seen(one))
    one.tick(55_990.0, 2)
    for second in range(10, 400, 10):
        one.tick(61_000.0 + second, float(second))
    assert seen(one) == []
    one.tick(56_000.0, 410)
    (waiting,) = database.intraday_grants.waiting()
    assert waiting.rung == "call"


def test_only_what_waits_can_be_decided_and_only_with_name_and_reason(
    database: Database, lives
) -> None:
    grants = database.intraday_grants
    with pytest.raises(MissingDataError, match="the loop has told of no rung of A"):
        grants.decide("A", "call", "granted", principal="ben", reason="test")
    lives().tick(56_000.0, 1)
    with pytest.raises(ParameterError, match="rung 'cal', limit: warn, call"):
        grants.decide("A", "cal", "granted", principal="ben", reason="test")
    for name, words in (("principal", {"principal": " "}), ("reason", {"reason": ""})):
        said = {"principal": "ben", "reason": "test", **words}
        with pytest.raises(ParameterError, match=f"needs a {name}"):
            grants.decide("A", "call", "granted", **said)
    with pytest.raises(StateError, match="rung restrict of A waits for nobody: it stands at call"):
        grants.decide("A", "restrict", "granted", principal="ben", reason="test")
    grants.decide("A", "call", "granted", principal="ben", reason="test")
    with pytest.raises(InvariantBroken, match="append-only"), database.writing() as connection:
        connection.execute(IntradayGrantRow.__table__.delete())

"""What the loop decides is recorded whole or not at all, once, and by the leader alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from infra.db import Database
from infra.db.intraday_journal import Checkpoint
from infra.db.loop_lease import Fenced
from tests.integration.db.call_facts import act, btc, with_terms
from tests.integration.db.facts import bound, calls
from tests.integration.db.loop_facts import NOW, batch, lead, message, session


def test_a_decision_records_its_calls_events_and_reports_in_one_commit(database: Database) -> None:
    leader = lead(database)
    wanted = batch(database, leader, {"NS-1": "100.25", "NS-2": "7"})
    done = database.intraday_commits.commit(replace(wanted, messages=[message(1), message(2)]))
    assert len(done.issued) == 2
    assert (done.overtaken, done.inbox_position, done.n_events) == ((), 2, 2)
    found = database.calls.open_calls()
    assert sorted(found["netting_set_id"]) == ["NS-1", "NS-2"]
    assert set(found["state"]) == {"issued"}
    assert database.calls.history(done.issued[0])["state"].tolist() == ["computed", "issued"]
    assert database.calls.client_of(done.issued[0]) == "C-1"
    recorded = database.intraday_journal.calls(wanted.run_id, 1)
    assert [one["figures"] for one in recorded.values()] == [{"owed": "100.25"}] * 2
    assert [one.kind for one in database.intraday_journal.messages(wanted.run_id)] == [
        "position"
    ] * 2
    database.audit.verify()


def test_a_commit_of_unknown_fate_is_repeated_without_effect_i40_i44(database: Database) -> None:
    leader = lead(database)
    wanted = replace(batch(database, leader, {"NS-1": "5"}), messages=[message(1)])
    first = database.intraday_commits.commit(wanted)
    again = database.intraday_commits.commit(wanted)
    assert again.issued == first.issued
    assert again.inbox_position == 1
    assert len(database.intraday_journal.decisions(wanted.run_id)) == 1
    assert len(database.intraday_events.after(0)) == 1
    assert len(database.calls.open_calls()) == 1


def test_a_second_process_never_acts_i43(database: Database) -> None:
    first = lead(database, "one")
    second = lead(database, "two")
    assert second.epoch == first.epoch + 1
    late = replace(batch(database, first, {"NS-1": "5"}), messages=[message(1)])
    with pytest.raises(Fenced, match="led by two with epoch 2"):
        database.intraday_commits.commit(late)
    assert database.calls.open_calls().empty
    assert database.intraday_events.after(0) == ()
    database.intraday_commits.commit(replace(late, lead=second))
    assert len(database.calls.open_calls()) == 1


def test_a_lead_that_was_renewed_meanwhile_is_not_taken_i43(database: Database) -> None:
    leader = lead(database)
    seen = database.loop_leases.look("loop")
    database.loop_leases.renew(leader)
    with pytest.raises(Fenced, match="which two has not seen"):
        database.loop_leases.take("loop", "two", seen)


def test_an_epoch_never_falls_whoever_writes_i43(database: Database) -> None:
    lead(database, "one")
    lead(database, "two")
    with (
        pytest.raises(DBAPIError, match="only rises"),
        database.engine.begin() as connection,
    ):
        connection.execute(text("UPDATE loop_leases SET epoch = 1"))


def test_a_larger_call_replaces_the_one_that_the_decision_knew_i17(database: Database) -> None:
    leader = lead(database)
    first = database.intraday_commits.commit(batch(database, leader, {"NS-1": "5"}))
    knowing = batch(database, leader, {"NS-1": "9"}, 2, {"NS-1": first.issued[0]})
    second = database.intraday_commits.commit(knowing)
    assert database.calls.open_calls()["call_id"].tolist() == list(second.issued)
    assert database.calls.history(first.issued[0])["state"].tolist()[-1] == "superseded"
    assert database.calls.record(second.issued[0]).call["supersedes"] == first.issued[0]
    unknowing = batch(database, leader, {"NS-1": "10"}, 3, {"NS-1": first.issued[0]})
    third = database.intraday_commits.commit(unknowing)
    assert (third.issued, third.overtaken) == ((), ("NS-1",))
    database.audit.verify()


def test_what_was_pledged_is_carried_to_the_larger_call_i22(database: Database) -> None:
    leader = lead(database)
    first = database.intraday_commits.commit(batch(database, leader, {"NS-1": "5"}))
    database.call_actions.agree(first.issued[0], act())
    database.call_actions.pledge(first.issued[0], btc("3"), act())
    knowing = batch(database, leader, {"NS-1": "9"}, 2, {"NS-1": first.issued[0]})
    second = database.intraday_commits.commit(knowing)
    standing = database.calls.record(second.issued[0]).standing
    assert sum(pledge.remaining for pledge in standing.pledges) == Decimal(3)


def test_only_an_untouched_call_is_taken_back_i22(database: Database) -> None:
    leader = lead(database)
    done = database.intraday_commits.commit(batch(database, leader, {"NS-1": "5", "NS-2": "6"}))
    database.call_actions.agree(done.issued[0], act())
    back = replace(
        batch(database, leader, {}, 2), withdrawals=dict.fromkeys(done.issued, "covered again")
    )
    assert database.intraday_commits.commit(back).withdrawn == (done.issued[1],)
    assert database.calls.open_calls()["call_id"].tolist() == [done.issued[0]]


def test_the_close_of_the_same_date_supersedes_what_the_loop_called_i17(database: Database) -> None:
    leader = lead(database)
    within_the_day = database.intraday_commits.commit(batch(database, leader, {"NS-1": "5"}))
    close = bound(database)
    issued = database.calls.issue(close.run_id, with_terms(calls({"NS-1": "8"})))
    assert issued["state"].tolist() == ["issued"]
    assert issued["supersedes"].tolist() == list(within_the_day.issued)


def test_a_checkpoint_is_rewritten_by_the_leader_alone_i43(database: Database) -> None:
    first = lead(database)
    run = session(database)
    point = Checkpoint(
        taken_at=NOW, number=0, inbox_position=0, marks=b"m", levels=b"", state_hash="h"
    )
    journal = database.intraday_journal
    assert journal.checkpoint(run.run_id) is None
    journal.keep_checkpoint(run.run_id, first, point)
    later = replace(point, taken_at=NOW + timedelta(seconds=5), number=3, marks=b"n")
    journal.keep_checkpoint(run.run_id, first, later)
    assert journal.checkpoint(run.run_id) == later
    lead(database, "two")
    with pytest.raises(Fenced):
        journal.keep_checkpoint(run.run_id, first, point)

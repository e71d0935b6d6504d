"""A run is one per kind, date and sequence, whoever starts it, how often and whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from datetime import date
from multiprocessing.synchronize import Event

import pytest

from engine.errors import InvariantBroken, MissingDataError, ModelInputError, StateError
from infra.db import Database, open_database
from tests.integration.db.facts import CLOSE, DAY, NEXT_DAY, begin, bound
from tests.processes import race, until_killed


def test_a_first_start_makes_sequence_one(database: Database) -> None:
    run = begin(database)
    assert run.run_id == "eod-2026-11-20-1"
    assert (run.sequence, run.status, run.supersedes) == (1, "running", None)
    assert not run.is_finished
    assert not run.is_resumed


def test_an_unfinished_run_is_resumed_with_its_steps(database: Database) -> None:
    run = begin(database)
    database.runs.record_step(run.run_id, "freeze", {"snapshot_id": "abc", "rows": 3}, "h1")
    again = begin(database)
    assert again.is_resumed
    assert again.run_id == run.run_id
    found = database.runs.step_result(run.run_id, "freeze")
    assert found is not None
    assert (found.result, found.output_hash) == ({"snapshot_id": "abc", "rows": 3}, "h1")
    assert database.runs.step_result(run.run_id, "call") is None


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_finished_run_gives_its_first_result(database: Database, status: str) -> None:
    run = begin(database)
    database.runs.finish(run.run_id, status, {"n_calls": 2, "requirement": "100.25"})
    again = begin(database)
    assert again.is_finished
    assert again.run_id == run.run_id
    assert again.summary == {"n_calls": 2, "requirement": "100.25"}


def test_a_failed_run_is_resumed(database: Database) -> None:
    run = begin(database)
    database.runs.record_step(run.run_id, "ingest", {}, "h1")
    database.runs.finish(run.run_id, "failed", {"error": "no disk"})
    again = begin(database)
    assert (again.run_id, again.status, again.is_resumed) == (run.run_id, "running", True)
    assert database.runs.get(run.run_id).finished_at is None
    assert list(database.runs.steps(run.run_id)) == ["ingest"]


def test_force_makes_a_new_sequence_that_names_the_old_one(database: Database) -> None:
    first = begin(database)
    database.runs.finish(first.run_id, "completed", {})
    second = begin(database, force=True)
    assert (second.sequence, second.supersedes) == (2, first.run_id)
    # Until the second is finished, the first is what counts.
    assert database.runs.of_date("eod", DAY).run_id == first.run_id
    database.runs.finish(second.run_id, "completed", {})
    assert database.runs.of_date("eod", DAY).run_id == second.run_id


def test_forcing_past_an_unfinished_run_ends_it_as_failed(database: Database) -> None:
    first = begin(database)
    begin(database, force=True)
    assert database.runs.get(first.run_id).status == "failed"


def test_other_inputs_are_refused_and_named(database: Database) -> None:
    run = begin(database, book="a")
    for _ in range(2):
        with pytest.raises(StateError, match=r"book was 'a', now 'b'.*--force"):
            begin(database, book="b")
        with pytest.raises(StateError, match="book was 'a', now None"):
            begin(database)
        database.runs.finish(run.run_id, "completed", {})


def test_other_code_may_look_at_a_result_but_not_continue_it(database: Database) -> None:
    run = begin(database)
    with pytest.raises(StateError, match=r"code was 1\.0, now 2\.0"):
        database.runs.begin("eod", DAY, {"market": "sample"}, "2.0")
    database.runs.finish(run.run_id, "completed", {})
    assert database.runs.begin("eod", DAY, {"market": "sample"}, "2.0").is_finished


def test_a_step_gives_the_same_bytes_every_time(database: Database) -> None:
    run = begin(database)
    database.runs.record_step(run.run_id, "freeze", {"a": 1}, "h1")
    database.runs.record_step(run.run_id, "freeze", {"a": 1}, "h1")
    with pytest.raises(InvariantBroken, match="gave h2, before it gave h1"):
        database.runs.record_step(run.run_id, "freeze", {"a": 2}, "h2")


def test_a_finished_run_cannot_finish_in_another_way(database: Database) -> None:
    run = begin(database)
    database.runs.finish(run.run_id, "completed", {"n": 1})
    database.runs.finish(run.run_id, "completed", {"n": 1})
    with pytest.raises(InvariantBroken, match="finished as completed, now as incomplete"):
        database.runs.finish(run.run_id, "incomplete", {"n": 1})
    with pytest.raises(InvariantBroken):
        database.runs.finish(run.run_id, "completed", {"n": 2})
    with pytest.raises(ModelInputError, match="'done'"):
        database.runs.finish(run.run_id, "done", {})


def test_an_unknown_run_is_missing_data(database: Database) -> None:
    with pytest.raises(MissingDataError, match="no run eod-1"):
        database.runs.get("eod-1")
    with pytest.raises(MissingDataError):
        database.runs.finish("eod-1", "completed", {})


def test_the_previous_run_is_the_latest_earlier_date_that_is_finished(database: Database) -> None:
    for day, status in ((17, "completed"), (18, "incomplete"), (19, "failed")):
        run = begin(database, date(2026, 11, day))
        database.runs.finish(run.run_id, status, {})
    begin(database)
    assert database.runs.previous("eod", DAY).business_date == date(2026, 11, 18)
    assert database.runs.previous("eod", date(2026, 11, 17)) is None
    assert database.runs.previous("intraday", DAY) is None
    listed = database.runs.list(limit=3)
    assert [run.business_date.day for run in listed] == [20, 19, 18]


def test_a_run_rests_on_one_snapshot_and_one_rule_book(database: Database) -> None:
    run = bound(database)
    assert (run.snapshot_id, run.rule_book_hash) == ("snapshot-2026-11-20-1", "rules-1")
    bound(database)
    with pytest.raises(InvariantBroken, match="rests on snapshot_id snapshot-2026-11-20-1, now"):
        database.records.record_snapshot(run.run_id, "other", DAY, CLOSE, {})
    with pytest.raises(InvariantBroken, match="two rule books have the hash"):
        database.records.record_rule_book(run.run_id, "rules-1", DAY, "file", "other text")
    known = database.records.snapshot("snapshot-2026-11-20-1")
    assert (known.as_of, known.content_hashes) == (CLOSE, {"marks": "00"})
    for unknown in (database.records.snapshot, database.records.rule_book):
        with pytest.raises(MissingDataError):
            unknown("absent")


# --- leases, races and kills ------------------------------------------------------------------


def test_a_lease_has_one_holder_at_a_time(database: Database) -> None:
    with database.lease("eod:2026-11-20") as lease:
        lease.require_held()
        with (
            pytest.raises(StateError, match="eod:2026-11-20 is already being worked on by"),
            database.lease("eod:2026-11-20"),
        ):
            pass
        with database.lease("eod:2026-11-21"):
            pass
    with database.lease("eod:2026-11-20"):
        pass


def test_a_lease_is_free_again_after_an_error(database: Database) -> None:
    with pytest.raises(ValueError, match="x"), database.lease("k"):
        raise ValueError("x")
    with database.lease("k"):
        pass


def _work(url: str) -> str:
    database = open_database(url, wait_seconds=20.0)
    try:
        with database.lease("eod"):
            run = begin(database)
            if run.is_finished:
                return "found finished"
            time.sleep(0.3)
            database.runs.record_step(run.run_id, "freeze", {"pid": os.getpid()}, str(os.getpid()))
            database.runs.finish(run.run_id, "completed", {"pid": os.getpid()})
            return "worked"
    finally:
        database.close()


def test_of_eight_that_start_together_one_works(database_url: str) -> None:
    answers = race(_work, database_url)
    assert answers.count("worked") == 1
    others = [answer for answer in answers if answer not in ("worked", "found finished")]
    assert all(answer.startswith("StateError: eod is already being worked on") for answer in others)
    database = open_database(database_url)
    assert len(database.runs.list()) == 1
    assert database.runs.list()[0].status == "completed"
    database.close()


def _begin_only(url: str) -> str:
    database = open_database(url, wait_seconds=20.0)
    try:
        return begin(database).run_id
    finally:
        database.close()


def test_even_without_a_lease_there_is_one_run(database_url: str) -> None:
    assert race(_begin_only, database_url) == ["eod-2026-11-20-1"] * 8
    database = open_database(database_url)
    assert len(database.runs.list()) == 1
    database.audit.verify()
    database.close()


def _hold(url: str, held: Event) -> None:
    database = open_database(url)
    with database.lease("k"):
        held.set()
        time.sleep(60)


def test_the_lease_of_a_killed_process_vanishes(database_url: str) -> None:
    context = multiprocessing.get_context("fork")
    held = context.Event()
    holder = context.Process(target=_hold, args=(database_url, held))
    holder.start()
    assert held.wait(timeout=30)
    database = open_database(database_url)
    with pytest.raises(StateError, match="already being worked on"), database.lease("k"):
        pass
    holder.kill()
    holder.join()
    with database.lease("k", wait_seconds=10.0):
        pass
    database.close()


def _work_and_die(report: Callable[[str], None], url: str) -> None:
    database = open_database(url)
    run = begin(database)
    for step in ("ingest", "freeze", "call"):
        if database.runs.step_result(run.run_id, step) is None:
            database.runs.record_step(run.run_id, step, {}, f"hash of {step}")
            report(step)
            os.kill(os.getpid(), signal.SIGKILL)
    database.runs.finish(run.run_id, "completed", {})


@pytest.mark.fault
def test_a_run_killed_between_steps_goes_on_after_the_last_one(database_url: str) -> None:
    killed = -signal.SIGKILL
    seen = [until_killed(_work_and_die, database_url) for _ in range(4)]
    assert seen == [(["ingest"], killed), (["freeze"], killed), (["call"], killed), ([], 0)]
    database = open_database(database_url)
    assert [run.status for run in database.runs.list()] == ["completed"]
    assert len(database.runs.steps("eod-2026-11-20-1")) == 3
    database.audit.verify()
    database.close()


@pytest.mark.postgres
def test_a_lease_lost_with_its_session_is_noticed(postgresql_database: Database) -> None:
    with postgresql_database.lease("k") as lease:
        lease.require_held()
        with postgresql_database.writing() as connection:
            connection.exec_driver_sql(
                # Locks of all databases are in one table, and other tests use the server too.
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND pid <> pg_backend_pid() "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        with pytest.raises(StateError, match="lease k was lost"):
            lease.require_held()


def test_runs_of_the_next_day_are_their_own(database: Database) -> None:
    database.runs.finish(begin(database).run_id, "completed", {})
    assert begin(database, NEXT_DAY).run_id == "eod-2026-11-21-1"

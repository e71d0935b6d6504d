"""Calls: one open per netting set and type, never issued twice, each step recorded for good."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from engine.errors import InvariantBroken, ModelInputError
from infra.db import Database, RunHandle, call_id, open_database
from tests.integration.db.facts import DAY, DUE, NEXT_DAY, bound, calls
from tests.processes import race


def finish(database: Database, run: RunHandle) -> None:
    database.runs.finish(run.run_id, "completed", {})


def states(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["netting_set_id"], frame["state"], strict=True))


def test_an_issued_call_names_everything_it_rests_on(database: Database) -> None:
    run = bound(database)
    issued = database.calls.issue(run.run_id, calls({"NS-1": "100.25", "NS-2": "-3.10"}))
    call, back = issued.to_dict(orient="records")
    assert call["call_id"] == call_id("NS-1", "house", DAY, 1)
    assert call["amount"] == Decimal("100.25")
    assert (call["direction"], back["direction"]) == ("call", "return")
    assert back["amount"] == Decimal("3.10")
    assert (call["snapshot_id"], call["rule_book_hash"]) == (run.snapshot_id, run.rule_book_hash)
    assert call["due_at"] == pd.Timestamp(DUE)
    history = database.calls.history(call["call_id"])
    assert history["state"].tolist() == ["computed", "issued"]
    assert history["actor"].tolist() == ["test", "test"]


def test_an_amount_of_any_length_is_called_to_the_last_digit(database: Database) -> None:
    amount = "-1234567890123456789012345678901.000000000000000001"
    issued = database.calls.issue(bound(database).run_id, calls({"NS-1": amount}))
    assert str(issued["amount"][0]) == amount[1:]
    assert str(database.calls.open_calls()["amount"][0]) == amount[1:]


def test_issuing_again_finds_the_same_calls(database: Database) -> None:
    run = bound(database)
    first = database.calls.issue(run.run_id, calls({"NS-2": "1", "NS-1": "2"}))
    second = database.calls.issue(run.run_id, calls({"NS-1": "2", "NS-2": "1"}))
    pd.testing.assert_frame_equal(first, second)
    assert len(database.calls.open_calls()) == 2
    for other in (calls({"NS-1": "2"}), calls({"NS-1": "2", "NS-2": "1.01"})):
        with pytest.raises(InvariantBroken, match="other calls than it has issued"):
            database.calls.issue(run.run_id, other)


def test_the_next_close_supersedes_and_remembers_since_when_something_is_due(
    database: Database,
) -> None:
    run = bound(database)
    first = database.calls.issue(run.run_id, calls({"NS-1": "100", "NS-2": "50"}))
    finish(database, run)
    later = DUE + timedelta(days=1)
    second = database.calls.issue(
        bound(database, NEXT_DAY).run_id, calls({"NS-1": "130"}, due_at=later)
    )
    assert second["supersedes"].tolist() == [first["call_id"][0]]
    assert second["first_due_at"].tolist() == [pd.Timestamp(DUE)]
    assert second["due_at"].tolist() == [pd.Timestamp(later)]
    opened = database.calls.open_calls()
    assert states(opened) == {"NS-1": "issued", "NS-2": "issued"}
    assert sorted(opened["amount"]) == [50, 130]
    history = database.calls.history(first["call_id"][0])
    assert history["state"].tolist() == ["computed", "issued", "superseded"]
    assert second["call_id"][0] in history["reason"].iloc[-1]


def test_a_forced_rerun_never_leaves_two_sets_of_calls(database: Database) -> None:
    run = bound(database)
    database.calls.issue(run.run_id, calls({"NS-1": "100", "NS-2": "50"}))
    finish(database, run)
    again = bound(database, force=True)
    database.calls.issue(again.run_id, calls({"NS-1": "100", "NS-3": "7"}))
    assert "NS-2" in states(database.calls.open_calls()), "not decided is not covered"
    for _ in range(2):
        assert database.calls.withdraw(again.run_id, ["NS-2"], "covered") == 1
    assert states(database.calls.open_calls()) == {"NS-1": "issued", "NS-3": "issued"}
    assert states(database.calls.of_run(run.run_id)) == {"NS-1": "superseded", "NS-2": "withdrawn"}


def test_a_rerun_of_a_past_date_disturbs_no_later_call(database: Database) -> None:
    run = bound(database)
    database.calls.issue(run.run_id, calls({"NS-1": "100"}))
    finish(database, run)
    next_run = bound(database, NEXT_DAY)
    database.calls.issue(next_run.run_id, calls({"NS-1": "130"}))
    finish(database, next_run)
    past = bound(database, force=True)
    found = database.calls.issue(past.run_id, calls({"NS-1": "90", "NS-2": "5"}))
    assert states(found) == {"NS-1": "withdrawn", "NS-2": "withdrawn"}
    assert database.calls.withdraw(past.run_id, ["NS-1"], "covered") == 0
    assert database.calls.open_calls()["amount"].tolist() == [130]


def test_a_close_that_finds_a_netting_set_covered_takes_its_call_back(database: Database) -> None:
    run = bound(database)
    database.calls.issue(run.run_id, calls({"NS-1": "100", "NS-2": "50"}))
    finish(database, run)
    following = bound(database, NEXT_DAY)
    assert database.calls.withdraw(following.run_id, ["NS-1", "NS-9"], "covered at the close") == 1
    # A repetition, after a crash, reports the same number.
    assert database.calls.withdraw(following.run_id, ["NS-1"], "covered at the close") == 1
    assert states(database.calls.open_calls()) == {"NS-2": "issued"}
    database.calls.issue(following.run_id, calls({"NS-3": "1"}))
    assert database.calls.withdraw(following.run_id, ["NS-3"], "no") == 1
    assert states(database.calls.open_calls()) == {"NS-2": "issued", "NS-3": "issued"}


def _issue(url: str, run_id: str) -> int:
    database = open_database(url, wait_seconds=20.0)
    try:
        rows = calls({f"NS-{number}": "10.5" for number in range(50)})
        return len(database.calls.issue(run_id, rows))
    finally:
        database.close()


def test_eight_that_issue_at_once_issue_one_set(database_url: str) -> None:
    database = open_database(database_url)
    run = bound(database)
    database.close()
    assert race(_issue, database_url, run.run_id) == [50] * 8
    assert len(database.calls.open_calls()) == 50
    assert database.audit.verify().heads["call_events"].position == 100
    database.close()


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("NaN"), 1.5])
def test_a_call_needs_an_exact_amount(database: Database, amount: object) -> None:
    rows = calls({"NS-1": "1"})
    rows["amount"] = pd.Series([amount], dtype=object)
    with pytest.raises(ModelInputError, match="call of NS-1 needs a Decimal other than 0"):
        database.calls.issue(bound(database).run_id, rows)


def test_a_call_needs_its_run_bound_an_instant_and_all_columns(database: Database) -> None:
    run = database.runs.begin("eod", date(2026, 11, 1), {}, "1")
    with pytest.raises(InvariantBroken, match="without a recorded snapshot and rule book"):
        database.calls.issue(run.run_id, calls({"NS-1": "1"}))
    run = bound(database)
    naive = calls({"NS-1": "1"}).assign(due_at=pd.Timestamp("2026-11-21"))
    with pytest.raises(ModelInputError, match="no time zone"):
        database.calls.issue(run.run_id, naive)
    with pytest.raises(ModelInputError, match="lack the columns due_at"):
        database.calls.issue(run.run_id, calls({"NS-1": "1"}).drop(columns="due_at"))
    twice = pd.concat([calls({"NS-1": "1"}), calls({"NS-1": "2"})])
    with pytest.raises(InvariantBroken, match="calls a netting set twice"):
        database.calls.issue(run.run_id, twice)
    assert database.calls.issue(run.run_id, calls({})).empty
    assert database.calls.open_calls().empty


def test_thousands_of_calls_go_in_one_piece(database: Database) -> None:
    run = bound(database)
    rows = calls({f"NS-{number:05d}": "10.5" for number in range(6_000)})
    assert len(database.calls.issue(run.run_id, rows)) == 6_000
    finish(database, run)
    following = bound(database, NEXT_DAY)
    database.calls.issue(following.run_id, rows)
    assert len(database.calls.open_calls()) == 6_000
    database.audit.verify()

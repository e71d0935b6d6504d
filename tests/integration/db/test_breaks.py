"""Breaks age while they persist, close when they vanish, and open anew when they come back."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from engine.errors import InvariantBroken, MissingDataError
from infra.db import Database
from tests.integration.db.facts import begin, breaks


def see(database: Database, day: int, *rows: tuple[str, float], force: bool = False):
    run = begin(database, date(2026, 11, day), force=force)
    found = database.breaks.update(run.run_id, breaks(*rows))
    return {
        row["break_id"]: (row["status"], row["age_days"]) for row in found.to_dict(orient="records")
    }


def test_a_persisting_break_ages_and_a_vanished_one_closes(database: Database) -> None:
    assert see(database, 17, ("B-1", 5.0), ("B-2", 1.0)) == {"B-1": ("new", 0), "B-2": ("new", 0)}
    assert see(database, 18, ("B-1", 6.0)) == {"B-1": ("persisting", 1), "B-2": ("closed", 1)}
    assert see(database, 20, ("B-1", 6.0), ("B-3", 2.0)) == {
        "B-1": ("persisting", 3),
        "B-3": ("new", 0),
    }
    opened = database.breaks.open_breaks(date(2026, 11, 25))
    assert opened["break_id"].tolist() == ["B-1", "B-3"]
    assert opened["age_days"].tolist() == [8, 5]
    assert opened["difference"].tolist() == [6.0, 2.0]
    assert opened["first_seen"].dtype == "datetime64[ms]"
    assert database.breaks.history("B-2")["event"].tolist() == ["opened", "closed"]


def test_a_repetition_changes_nothing(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    first = see(database, 18, ("B-2", 5.0))
    assert see(database, 18, ("B-2", 5.0)) == first == {"B-1": ("closed", 1), "B-2": ("new", 0)}
    assert database.breaks.history("B-2")["event"].tolist() == ["opened"]


def test_a_break_that_comes_back_starts_a_new_life(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    see(database, 18)
    assert see(database, 19, ("B-1", 5.0)) == {"B-1": ("new", 0)}
    assert database.breaks.history("B-1")["event"].tolist() == ["opened", "closed", "opened"]
    assert len(database.breaks.open_breaks()) == 1


def test_a_forced_rerun_closes_and_reopens_within_the_date(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    assert see(database, 17, force=True) == {"B-1": ("closed", 0)}
    assert see(database, 17, ("B-1", 4.0), force=True) == {"B-1": ("persisting", 0)}
    assert database.breaks.history("B-1")["event"].tolist() == ["opened", "closed", "reopened"]


def test_a_rerun_of_a_past_date_closes_nothing_that_was_seen_since(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    see(database, 18, ("B-1", 6.0), ("B-2", 1.0))
    see(database, 17, force=True)
    see(database, 17, ("B-2", 9.0), force=True)
    opened = database.breaks.open_breaks()
    assert opened["break_id"].tolist() == ["B-1", "B-2"]
    assert opened["difference"].tolist() == [6.0, 1.0]
    assert [day.day for day in opened["first_seen"]] == [17, 18]


def test_an_owner_who_took_over_stays(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    database.breaks.assign("B-1", "anna")
    see(database, 18, ("B-1", 5.0))
    assert database.breaks.open_breaks()["owner"].tolist() == ["anna"]
    assert database.breaks.history("B-1")["event"].tolist() == ["opened", "assigned", "persisted"]
    with pytest.raises(MissingDataError, match="no open break B-9"):
        database.breaks.assign("B-9", "anna")
    with pytest.raises(MissingDataError, match="no break B-9"):
        database.breaks.history("B-9")


def test_no_breaks_is_an_empty_frame_with_the_same_columns(database: Database) -> None:
    run = begin(database)
    found = database.breaks.update(run.run_id, breaks())
    assert found.empty
    assert {"break_id", "first_seen", "age_days", "status", "owner"} <= set(found.columns)
    assert isinstance(database.breaks.open_breaks(), pd.DataFrame)


def test_a_break_is_named_once(database: Database) -> None:
    run = begin(database)
    with pytest.raises(InvariantBroken, match="B-1 occurs twice"):
        database.breaks.update(run.run_id, breaks(("B-1", 1.0), ("B-1", 2.0)))


def test_runs_of_another_kind_close_nothing_that_they_do_not_look_for(database: Database) -> None:
    see(database, 17, ("B-1", 5.0))
    five_minutes = database.runs.begin("reconcile", date(2026, 11, 18), {}, "1.0", force=True)
    database.breaks.update(five_minutes.run_id, breaks(("L-1", 2.0)))
    assert database.breaks.open_breaks()["break_id"].tolist() == ["B-1", "L-1"]
    assert see(database, 18) == {"B-1": ("closed", 1)}
    again = database.runs.begin("reconcile", date(2026, 11, 18), {}, "1.0", force=True)
    found = database.breaks.update(again.run_id, breaks())
    assert found["break_id"].tolist() == ["L-1"]
    assert database.breaks.open_breaks().empty

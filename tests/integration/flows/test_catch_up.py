"""What was due while nobody served is found in our own record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tasks.catch_up import DATES_MAX, MissedDate, missed_dates
from tasks.orders import make_order
from tasks.workplace import workplace
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE


def at_night_after(business_date: date) -> datetime:
    midnight = datetime(business_date.year, business_date.month, business_date.day, tzinfo=UTC)
    return midnight + timedelta(days=1, minutes=5)


def test_a_home_that_never_closed_anything_has_missed_nothing(new_home: Path) -> None:
    workplace().database.prepare()
    assert missed_dates(at_night_after(LAST_DATE)) == []


def test_a_date_with_data_is_caught_up_and_one_without_is_named(
    home_after_first: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLIMSOLL_MARKET", str(world))
    assert missed_dates(at_night_after(FIRST_DATE)) == []
    assert missed_dates(at_night_after(LAST_DATE)) == [MissedDate(LAST_DATE, "")]
    after = LAST_DATE + timedelta(days=1)
    found = missed_dates(at_night_after(after))
    assert [missed.business_date for missed in found] == [LAST_DATE, after]
    assert str(after) in found[1].obstacle


def test_a_long_absence_is_bounded(home_after_first: Path) -> None:
    found = missed_dates(at_night_after(LAST_DATE + timedelta(days=100)))
    assert len(found) == DATES_MAX


def test_a_run_that_starts_late_closes_the_date_it_was_due_for(new_home: Path) -> None:
    due_at = datetime(2026, 11, 19, 22, 30, tzinfo=UTC)
    assert make_order(market="/m", due_at=due_at).business_date == date(2026, 11, 18)

"""Due dates over every change of clocks and every year's end, against counting quarter hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.calls.due_dates import CallCalendar, CureTerms, due_dates
from engine.calls.terms import cure_terms, escalation_levels, levels_of
from engine.errors import ModelInputError, ParameterError
from infra.calendars import holidays_of
from tests.unit.engine.calls.agreements import agreement

ZONES = (
    "Europe/London", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe",
    "Africa/Casablanca", "America/Santiago", "Asia/Singapore", "Asia/Kolkata", "Pacific/Apia",
)  # fmt: skip
YEARS = range(2024, 2031)
QUARTER = timedelta(minutes=15)
MARKET = {"Europe/London": "GB-ENG", "America/New_York": "XNYS", "Australia/Sydney": "AU"}


def transitions(zone: str) -> list[datetime]:
    """Return the instants at which the clocks of a zone change, 2024 to 2030."""
    info, found = ZoneInfo(zone), []
    now = datetime(2024, 1, 1, tzinfo=UTC)
    while now.year < 2031:
        later = now + timedelta(hours=1)
        if now.astimezone(info).utcoffset() != later.astimezone(info).utcoffset():
            found.append(later)
        now = later
    return found


def calendar(zone: str, opens: time, closes: time) -> CallCalendar:
    code = MARKET.get(zone)
    years = range(2023, 2033)
    days = frozenset(day for year in years for day in holidays_of(code, year)) if code else ()
    return CallCalendar(
        time_zone=zone,
        holidays=frozenset(days),
        weekend=frozenset({5, 6}),
        opens=opens,
        closes=closes,
    )


def counted(start: datetime, period: timedelta, known: CallCalendar) -> datetime:
    """Return when ``period`` of business time has passed, by looking at every quarter hour."""
    zone, left, now = ZoneInfo(known.time_zone), period, start
    while left > timedelta(0):
        local = now.astimezone(zone)
        is_open = known.is_business_day(local.date()) and known.opens <= local.time() < known.closes
        now += QUARTER
        if is_open:
            left -= QUARTER
    return now


@pytest.mark.parametrize("zone", ZONES)
def test_i20_business_hours_run_right_over_every_change_of_clocks(zone: str) -> None:
    known = calendar(zone, time(9), time(17))
    moments = transitions(zone) + [
        datetime(year, 12, day, 22, tzinfo=UTC) for year in YEARS for day in (23, 30, 31)
    ]
    for moment in moments:
        for hours in (-30, -5, -1, 0, 1, 20, 50):
            issued = moment + timedelta(hours=hours)
            terms = CureTerms(
                cure_period=timedelta(hours=10), cure_unit="business_hours", calendar=known
            )
            found = due_dates(issued, terms)
            assert found.due_at == counted(issued, timedelta(hours=10), known), issued
            assert found.issued_at <= found.notified_at <= found.due_at


@pytest.mark.parametrize("zone", ZONES)
def test_i20_hours_are_hours_whatever_the_clocks_do(zone: str) -> None:
    known = calendar(zone, time(9), time(17))
    for moment in transitions(zone):
        issued = moment - timedelta(hours=2)
        terms = CureTerms(cure_period=timedelta(hours=4), calendar=known)
        assert due_dates(issued, terms).due_at == issued + timedelta(hours=4)


@pytest.mark.parametrize("zone", ZONES)
def test_the_cut_off_is_local_time_on_every_day_of_a_change(zone: str) -> None:
    known = calendar(zone, time(9), time(17))
    terms = CureTerms(cure_period=timedelta(hours=2), notification_cut_off=time(13), calendar=known)
    for moment in transitions(zone):
        day = moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
        cut_off = datetime.combine(day, time(13), tzinfo=ZoneInfo(zone)).astimezone(UTC)
        before = due_dates(cut_off - timedelta(microseconds=1), terms)
        after = due_dates(cut_off, terms)
        if known.is_business_day(day):
            assert before.notified_at == before.issued_at
        opening = after.notified_at.astimezone(ZoneInfo(zone))
        assert (opening.time(), opening.date() > day) == (time(9), True)
        assert known.is_business_day(opening.date())


@pytest.mark.parametrize(
    ("zone", "day", "at", "expected"),
    [
        # Clocks jump from 02:00 to 03:00: half past two is read as three.
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08T07:00:00+00:00"),
        ("Europe/London", date(2026, 3, 29), time(1, 30), "2026-03-29T01:00:00+00:00"),
        # Half past one happens twice: the first counts.
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T05:30:00+00:00"),
        ("Europe/London", date(2026, 10, 25), time(1, 30), "2026-10-25T00:30:00+00:00"),
        # Half an hour only.
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03T15:30:00+00:00"),
        ("UTC", date(2026, 12, 31), time(23, 59), "2026-12-31T23:59:00+00:00"),
    ],
)
def test_a_wall_clock_time_that_is_skipped_or_happens_twice_is_one_instant(
    zone: str, day: date, at: time, expected: str
) -> None:
    assert CallCalendar(time_zone=zone).instant(day, at).isoformat() == expected


def test_crypto_rails_never_rest() -> None:
    terms = cure_terms(agreement(cure_hours=4.0), holidays_of, datetime(2026, 12, 25, tzinfo=UTC))
    found = due_dates(datetime(2026, 12, 26, 22, tzinfo=UTC), terms)
    assert found.due_at == datetime(2026, 12, 27, 2, tzinfo=UTC)


def test_fiat_rails_rest_at_weekends_and_on_holidays() -> None:
    known = agreement(
        cure_hours=2.0,
        cure_unit="business_hours",
        time_zone="Europe/London",
        notification_cut_off="13:00",
        holiday_calendar="GB-ENG+XNYS",
    )
    # Thursday before Good Friday, after the cut-off; Monday is a holiday in England too.
    issued = datetime(2026, 4, 2, 14, tzinfo=UTC)
    found = due_dates(issued, cure_terms(known, holidays_of, issued))
    assert found.notified_at == datetime(2026, 4, 7, 8, tzinfo=UTC)
    assert found.due_at == datetime(2026, 4, 7, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"time_zone": "Europe/Atlantis"}, "time_zone is 'Europe/Atlantis'"),
        ({"holiday_calendar": "ATLANTIS"}, "holiday_calendar 'ATLANTIS', limit: a country"),
        ({"notification_cut_off": "25:00"}, "is '25:00', limit: HH:MM"),
        ({"business_hours": "nine-five"}, "is 'nine', limit: HH:MM"),
    ],
)
def test_terms_that_cannot_be_read_are_named(changed: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        cure_terms(agreement(**changed), holidays_of, datetime(2026, 1, 1, tzinfo=UTC))


def test_levels_are_read_in_order_and_refused_out_of_it() -> None:
    found = escalation_levels(agreement(escalation="desk@0, risk@1.5,reduction@4"))
    assert [(level.level, level.name, level.after) for level in found] == [
        (1, "desk", timedelta(0)),
        (2, "risk", timedelta(hours=1.5)),
        (3, "reduction", timedelta(hours=4)),
    ]
    assert levels_of("")[-1].is_reduction
    for text in ("desk", "desk@4,risk@2", "reduction@0,desk@1", "desk@-1", "@1", "desk@1,"):
        with pytest.raises(ParameterError, match=r"agreements\[NS-1\]: escalation is"):
            escalation_levels(agreement(escalation=text))


def test_what_makes_no_sense_is_refused() -> None:
    never = CallCalendar(weekend=frozenset(range(7)))
    with pytest.raises(ParameterError, match="no business day within a year"):
        due_dates(
            datetime(2026, 1, 1, tzinfo=UTC),
            CureTerms(cure_period=timedelta(hours=1), cure_unit="business_hours", calendar=never),
        )
    with pytest.raises(ParameterError, match="limit above 0"):
        due_dates(datetime(2026, 1, 1, tzinfo=UTC), CureTerms(cure_period=timedelta(0)))
    with pytest.raises(ModelInputError):
        due_dates(datetime(2026, 1, 1), CureTerms(cure_period=timedelta(hours=1)))  # noqa: DTZ001

"""When a call counts as notified and when it is due: instants that nothing moves after issue.

Local times are wall-clock times of the agreement's zone. A wall-clock time that a change to
daylight saving time skips is read as the instant at which the clocks have moved on; one that
happens twice is read as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from engine.errors import ParameterError
from engine.times import require_utc

CureUnit: TypeAlias = Literal["hours", "business_hours"]
# A calendar on which nobody works for a year is an error of its author.
_DAYS_MAX: Final = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCalendar:
    """Where and when business is done.

    Attributes
    ----------
    time_zone : str
        IANA name.
    holidays : frozenset of date
        Local dates without business.
    weekend : frozenset of int
        Days of the week without business, Monday 0; empty where the rails run every day.
    opens, closes : time
        Business hours, local; both midnight is the whole day.
    """

    time_zone: str = "UTC"
    holidays: frozenset[date] = frozenset()
    weekend: frozenset[int] = frozenset()
    opens: time = time(0)
    closes: time = time(0)

    def is_business_day(self, day: date) -> bool:
        """Return whether business is done on the local date."""
        return day.weekday() not in self.weekend and day not in self.holidays

    def next_business_day(self, day: date) -> date:
        """Return ``day`` or the first business day after it.

        Raises
        ------
        ParameterError
            If there is none within a year.
        """
        for offset in range(_DAYS_MAX):
            found = day + timedelta(days=offset)
            if self.is_business_day(found):
                return found
        raise ParameterError(
            f"calendar in {self.time_zone} has no business day within a year of {day}",
            identifier=self.time_zone,
            value=day,
        )

    def business_hours_of(self, day: date) -> tuple[datetime, datetime]:
        """Return opening and closing instant of a local date, UTC."""
        ends = day if self.closes > self.opens else day + timedelta(days=1)
        return self.instant(day, self.opens), self.instant(ends, self.closes)

    def instant(self, day: date, at: time) -> datetime:
        """Return the instant of a local wall-clock time, UTC."""
        zone = ZoneInfo(self.time_zone)
        local = datetime.combine(day, at, tzinfo=zone)
        found = local.astimezone(UTC)
        if found.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            return found
        # Skipped: read with the offset before the change, it would lie too late.
        return _end_of_gap(found, zone)

    def local_date(self, instant: datetime) -> date:
        """Return the local date of an instant."""
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class CureTerms:
    """How long a client has, from when.

    Attributes
    ----------
    cure_period : timedelta
        Time to meet a call, > 0.
    cure_unit : {"hours", "business_hours"}
        Whether all hours count or those of business alone.
    notification_cut_off : time, optional
        Local time; a call issued at it or later counts as notified when the next business day
        begins. Without one a call counts as notified when issued, on any day.
    calendar : CallCalendar
        Where the cut-off and business hours are.
    """

    cure_period: timedelta
    cure_unit: CureUnit = "hours"
    notification_cut_off: time | None = None
    calendar: CallCalendar = CallCalendar()


@dataclass(frozen=True, slots=True)
class DueDates:
    """Instants of one call, UTC: issued <= notified <= due."""

    issued_at: datetime
    notified_at: datetime
    due_at: datetime


def due_dates(issued_at: datetime, terms: CureTerms) -> DueDates:
    """Return when a call counts as notified and when it is due.

    Parameters
    ----------
    issued_at : datetime
        Instant of issue, with a time zone.
    terms : CureTerms
        Terms in force at that instant.

    Returns
    -------
    DueDates
        In UTC; kept with the call, so that later changes of terms, holidays or time zones move
        nothing.

    Raises
    ------
    ParameterError
        If the cure period is not above 0, the zone is not known, or business never happens.

    Examples
    --------
    Issued on Friday at 15:00 in London, after the cut-off of 13:00: the four business hours run
    on Monday, from 09:00.

    >>> terms = CureTerms(
    ...     cure_period=timedelta(hours=4),
    ...     cure_unit="business_hours",
    ...     notification_cut_off=time(13),
    ...     calendar=CallCalendar(
    ...         time_zone="Europe/London",
    ...         weekend=frozenset({5, 6}),
    ...         opens=time(9),
    ...         closes=time(17),
    ...     ),
    ... )
    >>> due_dates(datetime(2026, 11, 20, 15, tzinfo=UTC), terms).due_at.isoformat()
    '2026-11-23T13:00:00+00:00'
    """
    issued = require_utc(issued_at, "issued_at")
    if terms.cure_period <= timedelta(0):
        raise ParameterError(
            f"cure period is {terms.cure_period}, limit above 0", value=terms.cure_period
        )
    notified = _notified_at(issued, terms)
    if terms.cure_unit == "hours":
        return DueDates(issued, notified, notified + terms.cure_period)
    return DueDates(issued, notified, _after_business_hours(notified, terms))


def _notified_at(issued: datetime, terms: CureTerms) -> datetime:
    if terms.notification_cut_off is None:
        return issued
    calendar = terms.calendar
    day = calendar.local_date(issued)
    is_early = issued < calendar.instant(day, terms.notification_cut_off)
    if is_early and calendar.is_business_day(day):
        return issued
    begins = day if is_early else day + timedelta(days=1)
    opening, _ = calendar.business_hours_of(calendar.next_business_day(begins))
    return max(opening, issued)


def _after_business_hours(start: datetime, terms: CureTerms) -> datetime:
    calendar, left = terms.calendar, terms.cure_period
    # The day before, because business hours may run past midnight.
    day = calendar.local_date(start) - timedelta(days=1)
    while True:
        day = calendar.next_business_day(day)
        opening, closing = calendar.business_hours_of(day)
        begins = max(opening, start)
        if closing > begins:
            if left <= closing - begins:
                return begins + left
            left -= closing - begins
        day += timedelta(days=1)


def _end_of_gap(found: datetime, zone: ZoneInfo) -> datetime:
    """Return the change of the clocks nearest to an instant that was read from a skipped time."""
    early, late = found - timedelta(hours=24), found + timedelta(hours=24)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)

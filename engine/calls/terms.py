"""The terms of an agreement that say when a call is due, how it is escalated, who asks for returns.

Agreements hold them as short texts, so that they fit a table; here they are read, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from engine.calls.due_dates import CallCalendar, CureTerms
from engine.errors import ParameterError
from engine.rules import Agreement

DEFAULT_ESCALATION: Final = "treasury@0,risk@2,reduction@4"
"""Who is told when a call has failed, and after how many hours the book is reduced."""
REDUCTION: Final = "reduction"
_WEEKEND: Final = frozenset({5, 6})
_STEP: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31})@(\d{1,4}(?:\.\d{1,2})?)")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

HolidaysOf = Callable[[str, int], frozenset[date]]
"""Holidays of a calendar's code in a year: a table outside the engine knows them."""


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """Who is told, how long after the call was due; the level called reduction is the last."""

    level: int
    name: str
    after: timedelta

    @property
    def is_reduction(self) -> bool:
        """Return whether this level reduces the book."""
        return self.name == REDUCTION


def escalation_levels(agreement: Agreement) -> tuple[EscalationLevel, ...]:
    """Return the levels of an agreement in order.

    Raises
    ------
    ParameterError
        If the text is no list of ``name@hours`` with hours that do not fall, or ``reduction`` is
        not the last of them.
    """
    try:
        return levels_of(agreement.escalation)
    except ParameterError as error:
        raise _of(agreement, error) from error


def levels_of(text: str) -> tuple[EscalationLevel, ...]:
    """Return the levels that a text lists, the house's own where it is empty."""
    return _levels(text or DEFAULT_ESCALATION)


def cure_terms(agreement: Agreement, holidays_of: HolidaysOf, issued_at: datetime) -> CureTerms:
    """Return the terms of due dates for a call issued at an instant.

    Raises
    ------
    ParameterError
        If a time, zone or calendar cannot be read; names the netting set and the value.
    """
    years = (issued_at.year - 1, issued_at.year, issued_at.year + 1, issued_at.year + 2)
    cut_off = agreement.notification_cut_off
    try:
        calendar = _calendar(
            agreement.time_zone,
            agreement.holiday_calendar,
            agreement.business_hours,
            years,
            holidays_of,
        )
        return CureTerms(
            cure_period=timedelta(hours=agreement.cure_hours),
            cure_unit=agreement.cure_unit,
            notification_cut_off=_time(cut_off, "notification_cut_off") if cut_off else None,
            calendar=calendar,
        )
    except ParameterError as error:
        raise _of(agreement, error) from error


@lru_cache(maxsize=512)
def _calendar(
    time_zone: str,
    codes: str,
    business_hours: str,
    years: tuple[int, ...],
    holidays_of: HolidaysOf,
) -> CallCalendar:
    try:
        ZoneInfo(time_zone)
    except (KeyError, OSError, ValueError) as error:
        raise _refused("time_zone", time_zone, "a zone of the IANA database") from error
    listed = [code for code in codes.split("+") if code]
    holidays = frozenset[date]().union(
        *(holidays_of(code, year) for code in listed for year in years)
    )
    opens, closes = _hours(business_hours)
    return CallCalendar(
        time_zone=time_zone,
        holidays=holidays,
        # A calendar is that of a fiat rail, which rests at weekends; without one, rails run on.
        weekend=_WEEKEND if listed else frozenset(),
        opens=opens,
        closes=closes,
    )


@lru_cache(maxsize=512)
def _levels(text: str) -> tuple[EscalationLevel, ...]:
    limit = "name@hours,... with hours that do not fall and reduction last"
    found: list[EscalationLevel] = []
    for number, part in enumerate(text.split(","), start=1):
        match = _STEP.fullmatch(part.strip())
        if match is None:
            raise _refused("escalation", text, limit)
        found.append(EscalationLevel(number, match[1], timedelta(hours=float(match[2]))))
    falls = any(late.after < early.after for early, late in pairwise(found))
    if falls or any(level.is_reduction for level in found[:-1]):
        raise _refused("escalation", text, limit)
    return tuple(found)


def _hours(text: str) -> tuple[time, time]:
    opens, _, closes = text.partition("-")
    return _time(opens, "business_hours"), _time(closes, "business_hours")


def _time(text: str, name: str) -> time:
    match = _TIME.fullmatch(text)
    if match is None:
        raise _refused(name, text, "HH:MM")
    return time(int(match[1]), int(match[2]))


def _refused(name: str, value: str, limit: str) -> ParameterError:
    return ParameterError(
        f"{name} is {value!r}, limit: {limit}", identifier=name, value=value, limit=limit
    )


def _of(agreement: Agreement, error: ParameterError) -> ParameterError:
    """Return the error with the netting set whose agreement it is about."""
    return ParameterError(
        f"agreements[{agreement.netting_set_id}]: {error}",
        identifier=agreement.netting_set_id,
        value=error.value,
        limit=error.limit,
    )

"""Dates that a service finds unclosed when it starts: it was down when they were due.

Deploying a schedule anew deletes its runs that are late, so they are found in our own record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from engine.errors import MarginPlatformError
from infra.clock import utc_now
from tasks.kinds import KIND
from tasks.orders import last_closed, make_order, scheduled_inputs
from tasks.workplace import workplace

# Older dates are a matter for people: the service has been away for a week.
DATES_MAX: Final = 7


@dataclass(frozen=True, slots=True)
class MissedDate:
    """A date that nobody closed; ``obstacle`` says why it cannot be, or is empty."""

    business_date: date
    obstacle: str


def missed_dates(now: datetime | None = None) -> list[MissedDate]:
    """Return the unclosed dates after the last closed one, oldest first; none if none ever was.

    Parameters
    ----------
    now : datetime, optional
        Instant to look from; the present one if not given.
    """
    from tasks.inputs import forget_inputs, require_inputs

    runs = workplace().database.runs
    last = last_closed(now or utc_now())
    previous = runs.previous(KIND, last + timedelta(days=1))
    if previous is None:
        return []
    first = max(previous.business_date + timedelta(days=1), last - timedelta(days=DATES_MAX - 1))
    inputs = scheduled_inputs()
    market, book = _text(inputs["market"]), _text(inputs["book"])
    found = []
    for days in range((last - first).days + 1):
        business_date = first + timedelta(days=days)
        obstacle = ""
        try:
            order = make_order(business_date, market, book)
            require_inputs(order)
            forget_inputs(order)
        except MarginPlatformError as error:
            obstacle = str(error)
        found.append(MissedDate(business_date, obstacle))
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

"""The dead-man check: was the date that is due closed? Reads our database alone.

It must not rest on what it watches, so it asks neither Prefect nor its schedules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from engine.errors import MarginPlatformError
from infra.clock import utc_now
from infra.db import RunHandle
from tasks.failures import RunOverdue
from tasks.kinds import KIND
from tasks.lookup import require_complete
from tasks.orders import last_closed
from tasks.workplace import workplace

GRACE_MINUTES_DEFAULT = 60


@dataclass(frozen=True, slots=True)
class Due:
    """The date that has to be closed by now, and the run that has closed it."""

    business_date: date
    run: RunHandle


def due_date(grace_minutes: int = GRACE_MINUTES_DEFAULT) -> date:
    """Return the last business date whose close is at least ``grace_minutes`` ago."""
    return last_closed(utc_now() - timedelta(minutes=grace_minutes))


def require_closed(business_date: date) -> Due:
    """Return the run that closed ``business_date``.

    Raises
    ------
    RunOverdue
        If it is missing, unfinished or failed; says which, since when and why.
    RunIncomplete
        If it finished with failed netting sets.
    StateError
        If there is no database to ask.
    """
    database = workplace().database
    database.check_schema()
    run = database.runs.of_date(KIND, business_date)
    if run is None:
        raise RunOverdue(
            f"the end of day of {business_date} is overdue: {_what_is_known(business_date)}",
            identifier=business_date.isoformat(),
        )
    require_complete(run.run_id)
    return Due(business_date, run)


def overdue() -> str:
    """Return what is wrong with the date that is due, or an empty text if it is closed."""
    try:
        require_closed(due_date())
    except MarginPlatformError as error:
        return str(error)
    return ""


def _what_is_known(business_date: date) -> str:
    runs = workplace().database.runs
    tried = [run for run in runs.list(limit=200, kind=KIND) if run.business_date == business_date]
    if not tried:
        latest = next((run for run in runs.list(limit=200, kind=KIND) if run.is_finished), None)
        last = f"the last one finished is {latest.run_id}" if latest else "none has ever finished"
        return f"no run of it was ever started; {last}"
    run = tried[0]
    if run.status == "failed":
        reason = (run.summary or {}).get("reason", "no reason recorded")
        return f"{run.run_id} failed: {reason}"
    return f"{run.run_id} was started at {run.started_at:%Y-%m-%d %H:%M} UTC and has not finished"

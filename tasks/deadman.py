"""The dead-man checks: was the date that is due closed, did the rounds of the day happen?

They read our database alone: a check must not rest on what it watches, so it asks neither Prefect
nor its schedules.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from engine.errors import MarginPlatformError
from infra.alerts.watching import DEAD_MAN, MISS_KINDS, heard_again, loop_silence, signs_missing
from infra.clock import utc_now
from infra.db import IntradayEvent, RunHandle
from tasks.failures import RunOverdue
from tasks.kinds import KIND
from tasks.lookup import require_complete
from tasks.orders import last_closed
from tasks.workplace import workplace

if TYPE_CHECKING:
    from infra.db import Database

GRACE_MINUTES_DEFAULT = 60
CLOSES: Final = "plimsoll.close."
SIGN: Final = "dead man: end of day"
"""Name of the sign of life of this very check: nobody looking is a miss as well."""
SERVICE: Final = "service"
_SERVICE_SECONDS_MAX: Final = 60
_CHECK_SECONDS_MAX: Final = 600
_DATES_MAX: Final = 40
"""Dates that were missed longer ago are told no more, whatever becomes of them."""


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


def close_overdue(database: Database, now: datetime) -> list[IntradayEvent]:
    """Return that the close that is due is missing, once for each date, or was made up for.

    What was found is said on the board of health too.
    """
    if not database.runs.list(limit=1):
        # Before the first run ever, nothing is missed.
        return []
    reason, due = overdue(), due_date().isoformat()
    next_action = f"see `plimsoll runs`, then `plimsoll eod --date {due}`"
    database.life_signs.say(
        SIGN,
        by="dead-man check",
        seconds_max=_CHECK_SECONDS_MAX,
        state="down" if reason else "live",
        reason=reason or f"{due} is closed",
        next_action=next_action if reason else "start `plimsoll serve`: nobody looks at closes",
    )
    found = _made_up_for(database, now)
    if reason:
        said = {"cause": "close", "reason": reason, "next_action": next_action}
        missing = IntradayEvent(
            kind=DEAD_MAN, resource=f"{CLOSES}{due}", subject=due, occurred_at=now, payload=said
        )
        found.append(missing)
    return found


def _made_up_for(database: Database, now: datetime) -> list[IntradayEvent]:
    """Return the dates that were missed and are closed by now."""
    found = []
    dates = [now.date() - timedelta(days=n) for n in range(_DATES_MAX)]
    resources = [f"{CLOSES}{one.isoformat()}" for one in dates]
    for event in database.intraday_events.last_of(resources, MISS_KINDS):
        if event.name != f"plimsoll.{DEAD_MAN}":
            continue
        try:
            require_closed(date.fromisoformat(event.resource.removeprefix(CLOSES)))
        except MarginPlatformError:
            continue
        found.append(heard_again(event.resource, event.event_id, now, "close"))
    return found


def note_misses() -> list[str]:
    """Record what is missing now as events, and return it in words.

    Whoever does rounds of alerts tells of it; here it is on record although nobody does.
    """
    database, now = workplace().database, utc_now()
    checks = (loop_silence, signs_missing, close_overdue)
    database.intraday_events.record([one for check in checks for one in check(database, now)])
    return [sign.missing(now) for sign in database.life_signs.all() if sign.is_silent(now)]


def require_signs_of_life() -> None:
    """Record what is missing now, and complain if it is the service or one of its rounds.

    Raises
    ------
    RunOverdue
        If something that is expected to be heard of again and again is silent.
    """
    workplace().database.check_schema()
    silent = note_misses()
    if silent:
        raise RunOverdue(
            "; ".join(silent), identifier="signs of life", value=len(silent), limit="0"
        )


def say_service_alive(complain: Callable[[str], None]) -> None:
    """Say that the service of this process lives; complain if nobody takes it down."""
    try:
        workplace().database.life_signs.say(
            SERVICE,
            by=f"serve {os.getpid()}",
            seconds_max=_SERVICE_SECONDS_MAX,
            reason="rounds, schedules and processes are looked after",
            next_action="start `plimsoll serve`: it resumes what was left",
        )
    except MarginPlatformError as error:
        complain(f"SERVICE: {error}")


def expect(rounds: Mapping[str, int]) -> None:
    """Expect rounds of the day from now on, each within its seconds."""
    for name, seconds_max in rounds.items():
        workplace().database.life_signs.say(
            f"round {name}",
            by=f"serve {os.getpid()}",
            seconds_max=seconds_max,
            reason="expected",
            next_action="look at the run on the Prefect pages, and whether `plimsoll serve` runs",
        )


def expect_no_more(rounds: Iterable[str]) -> None:
    """Expect neither the service nor its rounds any more: they end on purpose."""
    names = [SERVICE, SIGN, *(f"round {name}" for name in rounds)]
    workplace().database.life_signs.withdraw(names)


def happened(name: str) -> None:
    """Say that a round of the day has been done to its end."""
    workplace().database.life_signs.beat(f"round {name}")


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

"""What a triggered run rests on: events, the netting sets they concern, the book as it is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MissingDataError, ModelInputError
from engine.intraday import LiveBook
from infra.db.intraday_events import NETTING_SET
from infra.intraday.base import Base
from infra.intraday.packing import unpack
from infra.intraday.restarting import restart
from infra.telemetry import code_version
from tasks.intraday import StoredBases
from tasks.kinds import KIND
from tasks.orphans import end_with_service
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db import Database, RunHandle
    from infra.db.intraday_events import RecordedEvent

ANSWER_KIND: Final = "margin-call"
EVENTS_MAX: Final = 50_000
_WAIT_SECONDS: Final = 900.0
_RUNS_MAX: Final = 1_000
_KEYS: Final = ("kind", "first_position", "last_position")


@dataclass(frozen=True, slots=True)
class Moment:
    """The events that a run answers: of one kind, between two positions of our record."""

    kind: str
    first_position: int
    last_position: int

    @property
    def inputs(self) -> dict[str, object]:
        """Return what makes two moments the same."""
        return {name: getattr(self, name) for name in _KEYS}


def moment_of(event: Mapping[str, Any]) -> Moment:
    """Return the moment that a flow's parameter names.

    Raises
    ------
    ModelInputError
        If it is none; names what is absent or no number.
    """
    try:
        kind = str(event["kind"])
        first, last = (int(event[name]) for name in _KEYS[1:])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelInputError(
            f"event {dict(event)!r:.200} needs {', '.join(_KEYS)}: {error}", identifier="event"
        ) from error
    if not 0 < first <= last:
        raise ModelInputError(
            f"event names positions {first} to {last}, limit 0 < first <= last", identifier="event"
        )
    return Moment(kind, first, last)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a moment is judged on: a close, and the loop that goes on from it, if there is one."""

    close_id: str
    loop_run_id: str | None


@contextmanager
def sole_answer() -> Iterator[None]:
    """Answer one moment at a time: who comes second finds what the first has done."""
    end_with_service()
    database = workplace().database
    database.prepare()
    with database.lease(ANSWER_KIND, wait_seconds=_WAIT_SECONDS):
        yield


def run_of(place: Workplace, moment: Moment) -> RunHandle:
    """Return the run that answers a moment: the one there is, else a new one of today's book."""
    runs = place.database.runs
    close = latest_close(place)
    known = [run for run in runs.list(_RUNS_MAX, ANSWER_KIND) if run.inputs == moment.inputs]
    if known and known[0].status != "failed":
        return known[0]
    # Of the date after the close, as the loop's calls are.
    return runs.begin(
        ANSWER_KIND,
        close.business_date + timedelta(days=1),
        moment.inputs,
        code_version(),
        force=True,
    )


def latest_close(place: Workplace) -> RunHandle:
    """Return the last finished close.

    Raises
    ------
    MissingDataError
        If there is none: without a close nothing can be margined within the day.
    """
    for run in place.database.runs.list(_RUNS_MAX, KIND):
        if run.is_finished:
            return run
    raise MissingDataError(
        "no close has finished: run `plimsoll eod`, then the day can be watched", identifier=KIND
    )


def events_of(place: Workplace, moment: Moment) -> list[RecordedEvent]:
    """Return the events of a moment in order."""
    name = f"plimsoll.{moment.kind}"
    found = place.database.intraday_events.after(moment.first_position - 1, EVENTS_MAX)
    return [
        event for event in found if event.position <= moment.last_position and event.name == name
    ]


def affected(events: Sequence[RecordedEvent], base: Base) -> list[str]:
    """Return the netting sets that events concern and the rule book knows, sorted.

    An event about a venue concerns who has positions, collateral or accounts there, one about an
    underlying who holds it; one about the system concerns all.
    """
    known = base.rules.agreements
    found: set[str] = set()
    for event in events:
        said = event.payload
        if event.resource.startswith(NETTING_SET):
            found.add(event.resource.removeprefix(NETTING_SET))
        elif said.get("netting_set_id"):
            found.add(said["netting_set_id"])
        elif said.get("venue"):
            found |= _at_venue(base, said["venue"])
        elif said.get("underlying"):
            found |= _on_underlying(base, said["underlying"])
        else:
            found |= set(known)
    return sorted(found & set(known))


def base_of(place: Workplace, grounds: Grounds) -> Base:
    """Return the close that a moment is judged on, verified, as the loop builds upon it."""
    return StoredBases(place).load(grounds.close_id)


def book_now(database: Database, base: Base, loop_run_id: str | None) -> LiveBook:
    """Return the live book as the loop has it on record: its close, its reports, its prices.

    Without a loop it is the book of the close.
    """
    if loop_run_id is None:
        return LiveBook.open(
            base.snapshot, base.positions, base.collateral, base.rules, base.last_fresh
        )
    found = restart(database, base, loop_run_id)
    core, journal = found.core, database.intraday_journal
    point = journal.checkpoint(loop_run_id)
    if found.how == "restored" and point is not None:
        for decision in journal.decisions(loop_run_id):
            # A running loop has its feeds; who only reads has what was decided since.
            if decision.number > point.number and decision.marks:
                core.book.apply_marks(core.market.restore(unpack(decision.marks)))
    now = database.clock()
    if now > core.book.as_of:
        # Expiries come nearer and marks grow old, whatever has moved.
        core.book.advance(now)
    return core.book


def grounds_of(place: Workplace, events: Sequence[RecordedEvent]) -> Grounds:
    """Return the close that the loop of these events built upon; without a loop, the last close."""
    loops = [event.run_id for event in events if event.run_id]
    if not loops:
        return Grounds(str(latest_close(place).run_id), None)
    named = place.database.runs.get(loops[-1]).inputs.get("close")
    return Grounds(str(named) if named else str(latest_close(place).run_id), loops[-1])


def _at_venue(base: Base, venue: str) -> set[str]:
    positions, accounts = base.positions.positions, base.positions.accounts
    holdings = base.collateral.holdings
    parts = (
        positions.loc[positions["venue"] == venue, "netting_set_id"],
        accounts.loc[accounts["venue"] == venue, "netting_set_id"],
        holdings.loc[holdings["location"].str.split("/").str[0] == venue, "netting_set_id"],
    )
    return {str(name) for part in parts for name in part}


def _on_underlying(base: Base, underlying: str) -> set[str]:
    instruments = base.snapshot.instruments
    named = set(instruments.loc[instruments["underlying"] == underlying, "instrument_id"])
    positions = base.positions.positions
    is_held = positions["instrument_id"].isin(named)
    return {str(name) for name in positions.loc[is_held, "netting_set_id"]}

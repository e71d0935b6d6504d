"""Figures that many pages show at once, read from the record once for all of them.

A thread reads; pages take what was read last and wait for it only a moment. So a database that is
slow or gone makes pages old, and they say so, but not silent.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from engine.errors import InvariantBroken, StateError
from infra.db.intraday_events import NETTING_SET
from infra.web.views.book import (
    EMPTY,
    Book,
    book_of_board,
    book_of_close,
    last_close,
    ratios_by_close,
)
from infra.web.views.close_facts import CloseFacts
from infra.web.views.counts import Counts, counts_of, marks_of
from infra.web.views.feed import Feed, Happening, happenings
from infra.web.views.health import RecordedHealth, present_health, recorded_health
from infra.web.views.health_rows import HealthRow
from infra.web.views.signs import RecordFault, Signs
from infra.web.views.trails import Trail, Trails

if TYPE_CHECKING:
    from decimal import Decimal

    from infra.db import Database
    from infra.db.intraday_events import RecordedEvent
    from infra.web.services import Services

_FRESH_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 0.4
"""How long a page waits for a reading that is under way before it takes the one before."""
_FIRST_PATIENCE_SECONDS: Final = 20.0
_TOLD_KEPT: Final = 50
_LATE_SECONDS: Final = 2.0
"""A reading that takes longer is told as a fault: somebody has to look at the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the record said at one moment."""

    book: Book = EMPTY
    counts: Counts = field(default_factory=Counts)
    marks: str = ""
    health: RecordedHealth = field(default_factory=RecordedHealth)
    published_at: datetime | None = None
    calls: tuple[Mapping[str, Any], ...] = ()
    events: tuple[RecordedEvent, ...] = ()
    """The last events, newest first."""


class Live:
    """The book, what waits and what is to be trusted; half a second old where all is well."""

    def __init__(
        self,
        database: Database,
        services: Services,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._services, self._monotonic = database, services, monotonic
        self._lock = threading.Condition()
        self._reading: Reading | None = None
        self._read_at = float("-inf")
        self._began_at: float | None = None
        self._generation = self._read_generation = 0
        self._feed = Feed()
        self._told: dict[tuple[int, frozenset[str] | None, int], list[Happening]] = {}
        self._fault: RecordFault | None = None
        self._bug: BaseException | None = None
        self._facts = CloseFacts(services)
        self._trails = Trails(database, monotonic)
        self._closes: tuple[str, dict[str, Trail]] = ("", {})
        self._close = EMPTY
        self._disk_since: datetime | None = None

    def begin(self) -> None:
        """Read once before anybody asks; what fails is told to whoever asks."""
        with contextlib.suppress(Exception):
            self.rates()

    def book(self) -> Book:
        """Return the netting sets as they stand."""
        return self._look().book

    def counts(self) -> Counts:
        """Return what waits for people."""
        return self._look().counts

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """Return open calls and returns, what is due first leading."""
        return self._look().calls

    def health(self) -> list[HealthRow]:
        """Return what is to be trusted, worst first."""
        reading = self._look()
        return present_health(reading.health, self._signs(reading), self._database.clock())

    def happenings(self, clients: frozenset[str] | None, limit: int) -> list[Happening]:
        """Return what happened, newest first; of some clients only what is about them."""
        reading = self._look()
        events = reading.events
        key = (events[0].position if events else 0, clients, limit)
        if key not in self._told:
            if clients is not None:
                events = tuple(one for one in events if _client_of(reading.book, one) in clients)
            if len(self._told) >= _TOLD_KEPT:
                self._told.clear()
            self._told[key] = happenings(events, limit)
        return self._told[key]

    def expire(self) -> None:
        """Let the next page be of a reading that begins after now: something was just done."""
        with self._lock:
            self._generation += 1

    def fault(self) -> RecordFault | None:
        """Return that the record cannot be read just now, None while it can."""
        began = self._began_at
        if self._fault is None and began is not None:
            late = self._monotonic() - began
            if late > _LATE_SECONDS:
                return RecordFault(self._ago(late), f"no answer for {_LATE_SECONDS:g} s and more")
        return self._fault

    def rates(self) -> Mapping[str, float]:
        """Return USD per unit at the last close; USD alone where it cannot be read."""
        return self._facts.of(self.book().run_id).rates

    def minimums(self) -> Mapping[str, Decimal]:
        """Return the minimum transfer amount of each agreement, as far as they are known."""
        return self._facts.of(self.book().run_id).minimums

    def signature(self) -> str:
        """Return a text that changes whenever a page may show something else."""
        reading = self._look()
        states = "".join(f"{row.key}{row.state}{row.reason}" for row in self.health())
        book, n_late = reading.book, reading.counts.n_late
        return f"{book.version} {book.source} {reading.marks} {n_late} {hash(states)}"

    def trail(self, netting_set_id: str, *, is_look: bool = True) -> Trail:
        """Return the margin ratio of a netting set over the day, else at its last closes.

        Without ``is_look`` only what was read lately: streams show many and read none.
        """
        book = self.book()
        if book.source != "close":
            return self._trails.day(netting_set_id, is_look=is_look)
        if self._closes[0] != book.run_id:
            self._closes = (book.run_id, ratios_by_close(self._database))
        return self._closes[1].get(netting_set_id, ())

    def _signs(self, reading: Reading) -> Signs:
        disk = self._services.disk()
        is_short = disk is not None and disk.state != "live"
        self._disk_since = (self._disk_since or self._database.clock()) if is_short else None
        return Signs(
            kill=self._services.kill_switch().status(),
            word=self._services.loop_word(),
            disk=disk,
            disk_since=self._disk_since,
            fault=self.fault(),
            published_at=reading.published_at,
        )

    def _look(self) -> Reading:
        """Return the last reading, with a young one asked for and waited for where it is old."""
        began = self._monotonic()
        with self._lock:
            is_first = self._reading is None and self._fault is None
            patience = _FIRST_PATIENCE_SECONDS if is_first else _PATIENCE_SECONDS
            while not self._is_fresh() and (left := began + patience - self._monotonic()) > 0.0:
                if self._began_at is None:
                    self._began_at = self._monotonic()
                    reader = threading.Thread(target=self._read, args=(self._generation,))
                    reader.daemon = True
                    reader.start()
                self._lock.wait(left)
                if self._bug is not None:
                    bug, self._bug = self._bug, None
                    raise InvariantBroken(f"the record was read wrongly: {bug!r}") from bug
                if self._fault is not None:
                    break
            reading = self._reading or Reading()
        return self._aged(reading)

    def _is_fresh(self) -> bool:
        is_young = self._monotonic() - self._read_at < _FRESH_SECONDS
        return is_young and self._read_generation == self._generation

    def _aged(self, reading: Reading) -> Reading:
        """Return a reading with its book said to be stale where the loop is silent since."""
        book = reading.book
        if book.source == "close":
            return reading
        is_live = self._signs(reading).loop_is_live(self._database.clock())
        source: Literal["live", "stale"] = "live" if is_live and self.fault() is None else "stale"
        if source == book.source:
            return reading
        return replace(reading, book=replace(book, source=source))

    def _read(self, generation: int) -> None:
        reading = bug = fault = None
        try:
            reading = self._refreshed(self._reading or Reading())
        except StateError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001  (it is raised where somebody asks)
            bug = error
        with self._lock:
            now = self._monotonic()
            late = now - (self._began_at or now)
            self._began_at, self._read_at, self._bug = None, now, bug
            self._read_generation = generation
            if reading is not None:
                self._reading, self._fault = reading, None
            elif fault is not None:
                since = self._fault.since if self._fault else self._ago(late)
                self._fault = RecordFault(since, fault)
            self._lock.notify_all()

    def _ago(self, seconds: float) -> datetime:
        return self._database.clock() - timedelta(seconds=seconds)

    def _refreshed(self, before: Reading) -> Reading:
        run = last_close(self._database)
        if run is not None and run.run_id != self._close.run_id:
            self._close = book_of_close(self._database, run)
        published, book = self._present(before)
        counts, marks = counts_of(self._database), marks_of(self._database)
        return Reading(
            book=book,
            counts=counts,
            marks=marks,
            health=recorded_health(self._database),
            published_at=published,
            calls=self._calls(before, f"{marks} {counts.n_late}"),
            events=self._feed.read(self._database),
        )

    def _calls(self, before: Reading, marks: str) -> tuple[Mapping[str, Any], ...]:
        from infra.listings import calls_as_json

        if before.marks and marks == f"{before.marks} {before.counts.n_late}":
            return before.calls
        return tuple(calls_as_json(self._database, self._database.clock()))

    def _present(self, before: Reading) -> tuple[datetime | None, Book]:
        """Return the board where it is younger than the close, also while it stands still."""
        known = _version_of(before.book)
        changes = self._database.board.changes_since(known)
        published, close = changes.published_at, self._close
        if published is None or (close.as_of is not None and published < close.as_of):
            return published, close
        base = before.book if known else EMPTY
        is_live = Signs(
            kill=self._services.kill_switch().status(), published_at=published
        ).loop_is_live(self._database.clock())
        found = book_of_board(base, close, changes, is_live=is_live)
        if changes.version < known or len(found.rows) != changes.n_rows:
            # Rows have left the board, or it was begun anew.
            found = book_of_board(
                EMPTY, close, self._database.board.changes_since(0), is_live=is_live
            )
        return published, found if found.rows else close


def _client_of(book: Book, event: RecordedEvent) -> str | None:
    if not event.resource.startswith(NETTING_SET):
        return None
    return book.client_of(event.resource.removeprefix(NETTING_SET))


def _version_of(book: Book) -> int:
    kind, _, number = book.version.partition(" ")
    return int(number) if kind == "board" else 0

"""Figures that many pages show at once, read from the record once for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from engine.errors import MissingDataError
from infra.db.alert_tables import AlertAcknowledgementRow, AlertTellingRow
from infra.db.board_tables import IntradayEventRow
from infra.db.tables import AuditRow, BreakEventRow, BreakRow, CallEventRow, CallRow
from infra.db.transfer_tables import TransferEventRow, TransferRow
from infra.web.views.book import (
    EMPTY,
    Book,
    book_of_board,
    book_of_close,
    last_close,
    ratios_by_close,
)
from infra.web.views.health import HealthRow, health_rows, loop_is_live

if TYPE_CHECKING:
    from infra.db import Database
    from infra.web.services import Services

_FRESH_SECONDS: Final = 0.5
_POINTS_MAX: Final = 60
_TRAIL_SECONDS: Final = 30.0
_TRAILS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What waits for people: by client where a client has it, for the house as a whole else."""

    calls: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By netting set: open calls to the client, and how many of them are past due."""
    n_proposed: int = 0
    n_moving: int = 0
    n_stuck: int = 0
    breaks: Mapping[str, int] = field(default_factory=dict)
    """By netting set."""


class Live:
    """The book, its totals' rates, what waits and what is to be trusted; half a second old."""

    def __init__(
        self,
        database: Database,
        services: Services,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._services, self._monotonic = database, services, monotonic
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._close, self._book = EMPTY, EMPTY
        self._counts, self._health = Counts(), list[HealthRow]()
        self._rates: tuple[str, Mapping[str, float]] = ("", {})
        self._days: dict[str, tuple[float, list[tuple[str, float]]]] = {}
        self._marks = ""
        self._closes: tuple[str, dict[str, list[tuple[str, float]]]] = ("", {})

    def book(self) -> Book:
        """Return the netting sets as they stand."""
        self._look()
        return self._book

    def counts(self) -> Counts:
        """Return what waits for people."""
        self._look()
        return self._counts

    def health(self) -> list[HealthRow]:
        """Return what is to be trusted, worst first."""
        self._look()
        return self._health

    def rates(self) -> Mapping[str, float]:
        """Return USD per unit at the last close; USD alone where it cannot be read."""
        run_id = self.book().run_id
        if self._rates[0] != run_id and run_id:
            try:
                found = self._services.usd_rates(run_id)
            except MissingDataError:
                found = {}
            self._rates = (run_id, {"USD": 1.0, **found})
        return self._rates[1] or {"USD": 1.0}

    def signature(self) -> str:
        """Return a text that changes whenever a page may show something else."""
        self._look()
        states = "".join(f"{row.key}{row.state}{row.reason}" for row in self._health)
        n_late = sum(pair[1] for pair in self._counts.calls.values())
        return f"{self._book.version} {self._book.source} {self._marks} {n_late} {hash(states)}"

    def trail(self, netting_set_id: str, *, is_look: bool = True) -> list[tuple[str, float]]:
        """Return the margin ratio of a netting set over the day, else at its last closes.

        Without ``is_look`` only what was read lately: streams show many and read none.
        """
        if self.book().source == "close":
            run_id = self.book().run_id
            if self._closes[0] != run_id:
                self._closes = (run_id, ratios_by_close(self._database))
            return self._closes[1].get(netting_set_id, [])
        read_at, points = self._days.get(netting_set_id, (float("-inf"), []))
        if is_look and self._monotonic() - read_at > _TRAIL_SECONDS:
            points = self._day(netting_set_id)
            if len(self._days) > _TRAILS_MAX:
                self._days.clear()
            self._days[netting_set_id] = (self._monotonic(), points)
        return points

    def _day(self, netting_set_id: str) -> list[tuple[str, float]]:
        day = self._database.board.day(netting_set_id)
        points = [
            (f"{minute:%H:%M}", float(ratio))
            for minute, ratio in zip(day["minute"], day["margin_ratio"], strict=True)
            if ratio == ratio
        ]
        return points[:: max(1, len(points) // _POINTS_MAX)]

    def _look(self) -> None:
        if self._monotonic() - self._looked_at < _FRESH_SECONDS:
            return
        with self._lock:
            if self._monotonic() - self._looked_at < _FRESH_SECONDS:
                return
            self._refresh()
            self._looked_at = self._monotonic()

    def _refresh(self) -> None:
        run = last_close(self._database)
        if run is not None and run.run_id != self._close.run_id:
            self._close = book_of_close(self._database, run)
        self._book = self._present()
        self._counts = _counts(self._database)
        self._marks = _marks(self._database)
        self._health = health_rows(self._database, self._services.kill_switch().status())

    def _present(self) -> Book:
        """Return the board where it is younger than the close, also while it stands still."""
        published = self._database.board.published_at()
        close = self._close
        if published is None or (close.as_of is not None and published < close.as_of):
            return close
        is_live = loop_is_live(self._database)
        version, changed = self._database.board.changed_since(_version_of(self._book))
        if changed.empty and self._book.source == ("live" if is_live else "stale"):
            return self._book
        return book_of_board(self._database, close, version, is_live=is_live) or close


def _version_of(book: Book) -> int:
    kind, _, number = book.version.partition(" ")
    return int(number) if kind == "board" else 0


def _counts(database: Database) -> Counts:
    now: datetime = database.clock()
    open_calls = select(CallRow.netting_set_id, CallRow.first_due_at).where(
        CallRow.direction == "call",
        CallRow.state.not_in(("settled", "superseded", "withdrawn", "computed")),
    )
    states = select(TransferRow.state, func.count()).group_by(TransferRow.state)
    open_breaks = select(BreakRow.facts).where(BreakRow.status == "open")
    calls: dict[str, tuple[int, int]] = {}
    breaks: dict[str, int] = {}
    with database.reading() as connection:
        for name, due in connection.execute(open_calls):
            n_open, n_late = calls.get(name, (0, 0))
            calls[name] = (n_open + 1, n_late + (due <= now))
        transfers: dict[str, int] = dict(connection.execute(states).tuples().all())
        for facts in connection.execute(open_breaks).scalars():
            name = _text(facts, "netting_set_id")
            breaks[name] = breaks.get(name, 0) + 1
    return Counts(
        calls=calls,
        n_proposed=transfers.get("proposed", 0),
        n_moving=sum(transfers.get(state, 0) for state in ("approved", "new", "unknown", "done")),
        n_stuck=transfers.get("stuck", 0),
        breaks=breaks,
    )


def _marks(database: Database) -> str:
    """Return how far each history has grown: nothing changes without adding to one of them."""
    columns = (
        AuditRow.position, CallEventRow.position, TransferEventRow.position,
        BreakEventRow.position, IntradayEventRow.position,
    )  # fmt: skip
    counted = (AlertTellingRow.telling_id, AlertAcknowledgementRow.alert_id)
    query = select(
        *(select(func.max(column)).scalar_subquery() for column in columns),
        *(select(func.count(column)).scalar_subquery() for column in counted),
    )
    with database.reading() as connection:
        return "-".join(str(found or 0) for found in connection.execute(query).one())


def _text(facts: Mapping[str, Any], name: str) -> str:
    return str(facts.get(name) or "")

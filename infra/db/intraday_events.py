"""Events of the intraday loop: an outbox that alerts and triggered flows read from.

A reader takes what is after its cursor, acts, and moves the cursor. Killed in between it reads the
same events again: what it does has to be keyed by ``event_id``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from engine.errors import ModelInputError, StateError
from infra.db.board_tables import IntradayCursorRow, IntradayEventRow
from infra.db.bulk import among, insert_rows

if TYPE_CHECKING:
    from infra.db.database import Database

NETTING_SET: Final = "plimsoll.netting-set."
VENUE: Final = "plimsoll.venue."
SYSTEM: Final = "plimsoll.system."
_TEXTS: Final = frozenset({str})


@dataclass(frozen=True, slots=True, kw_only=True)
class IntradayEvent:
    """An event to record.

    Attributes
    ----------
    kind : str
        ``breach``, ``recovery``, ``degraded``, ``healed``, ``dead-man``, ...; recorded as
        ``plimsoll.<kind>``.
    resource : str
        What it is about: ``plimsoll.netting-set.<id>``, ``plimsoll.venue.<name>``, ...
    subject : str
        What makes the fact one of a kind beside kind and resource: a call, a sequence, an instant.
    payload : mapping of str to str
        Parameters of the flow that it triggers.
    """

    kind: str
    resource: str
    subject: str
    occurred_at: datetime
    payload: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None

    @property
    def name(self) -> str:
        """Return the name that it is recorded under."""
        return f"plimsoll.{self.kind}"

    @property
    def event_id(self) -> str:
        """Return the name of the fact: the same fact has the same name, whoever says it."""
        fact = f"{self.kind}\0{self.resource}\0{self.subject}"
        return hashlib.sha256(fact.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event as it is recorded; ``position`` orders them."""

    position: int
    event_id: str
    name: str
    resource: str
    occurred_at: datetime
    payload: Mapping[str, str]
    run_id: str | None
    recorded_at: datetime


class IntradayEvents:
    """Events in the order in which they were recorded, and how far each reader is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, events: Sequence[IntradayEvent]) -> int:
        """Record events and return how many were new."""
        with self._database.writing() as connection:
            return self.record_within(connection, events)

    def record_within(self, connection: Connection, events: Sequence[IntradayEvent]) -> int:
        """Do what ``record`` does in the caller's transaction.

        Raises
        ------
        ModelInputError
            If a payload holds what is no text, or a resource is not one of ours.
        """
        if not events:
            return 0
        wanted = {event.event_id: event for event in events}
        is_known = among(connection, IntradayEventRow.event_id, list(wanted))
        known = set(connection.execute(select(IntradayEventRow.event_id).where(is_known)).scalars())
        new = [event for event_id, event in wanted.items() if event_id not in known]
        last = connection.execute(select(func.max(IntradayEventRow.position))).scalar_one() or 0
        now = self._database.clock()
        rows = [event_row(event, last + n, now) for n, event in enumerate(new, start=1)]
        insert_rows(connection, IntradayEventRow, rows)
        return len(rows)

    def after(self, position: int, limit: int = 500) -> tuple[RecordedEvent, ...]:
        """Return events after ``position``, oldest first."""
        query = (
            select(IntradayEventRow.__table__)
            .where(IntradayEventRow.position > position)
            .order_by(IntradayEventRow.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(_recorded(row) for row in connection.execute(query).mappings())

    def latest(self, limit: int = 100) -> tuple[RecordedEvent, ...]:
        """Return the last events, newest first."""
        query = (
            select(IntradayEventRow.__table__)
            .order_by(IntradayEventRow.position.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(_recorded(row) for row in connection.execute(query).mappings())

    def last_of(self, resources: Sequence[str], kinds: Iterable[str]) -> tuple[RecordedEvent, ...]:
        """Return the last event of one of ``kinds`` for each of the resources that has one."""
        own = IntradayEventRow.resource.in_(resources)
        is_kind = IntradayEventRow.name.in_([f"plimsoll.{kind}" for kind in kinds])
        newest = (
            select(func.max(IntradayEventRow.position))
            .where(own, is_kind)
            .group_by(IntradayEventRow.resource)
        )
        query = (
            select(IntradayEventRow.__table__)
            .where(IntradayEventRow.position.in_(newest))
            .order_by(IntradayEventRow.position)
        )
        with self._database.reading() as connection:
            return tuple(_recorded(row) for row in connection.execute(query).mappings())

    def unread(self, consumer: str, limit: int = 500) -> tuple[RecordedEvent, ...]:
        """Return events that ``consumer`` has not yet acknowledged, oldest first."""
        return self.after(self.position(consumer), limit)

    def position(self, consumer: str) -> int:
        """Return how far ``consumer`` has read; 0 before its first acknowledgement."""
        query = select(IntradayCursorRow.position).where(IntradayCursorRow.consumer == consumer)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def acknowledge(self, consumer: str, position: int) -> None:
        """Record that ``consumer`` has handled everything up to ``position``; it only rises.

        Raises
        ------
        StateError
            If there is no event of that position.
        """
        with self._database.writing() as connection:
            last = connection.execute(select(func.max(IntradayEventRow.position))).scalar_one()
            if position > (last or 0):
                raise StateError(
                    f"{consumer} acknowledges event {position}, the last one is {last or 0}",
                    identifier=consumer,
                    value=position,
                    limit=f"at most {last or 0}",
                )
            self._move(connection, consumer, position)

    def lag(self, consumers: Iterable[str]) -> dict[str, int]:
        """Return how many events each reader has not yet acknowledged."""
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(IntradayEventRow.position))).scalar_one() or 0
            rows = connection.execute(
                select(IntradayCursorRow.consumer, IntradayCursorRow.position)
            ).all()
        found = {row.consumer: row.position for row in rows}
        return {name: last - found.get(name, 0) for name in consumers}

    def _move(self, connection: Connection, consumer: str, position: int) -> None:
        own = IntradayCursorRow.consumer == consumer
        values = {"position": position, "moved_at": self._database.clock()}
        found = connection.execute(select(IntradayCursorRow.position).where(own)).scalar()
        if found is None:
            connection.execute(insert(IntradayCursorRow), {"consumer": consumer, **values})
        elif found < position:
            connection.execute(update(IntradayCursorRow).where(own).values(**values))


def event_row(event: IntradayEvent, position: int, recorded_at: datetime) -> dict[str, Any]:
    """Return the row of an event.

    Raises
    ------
    ModelInputError
        As ``require_recordable``.
    """
    require_recordable(event)
    return {
        "position": position,
        "event_id": event.event_id,
        "name": event.name,
        "resource": event.resource,
        "occurred_at": event.occurred_at,
        "payload": dict(event.payload),
        "run_id": event.run_id,
        "recorded_at": recorded_at,
    }


def require_recordable(event: IntradayEvent) -> None:
    """Raise ModelInputError where a payload holds no text or a resource is none of ours."""
    if not event.resource.startswith("plimsoll."):
        raise ModelInputError(
            f"event {event.kind}: resource {event.resource!r} does not begin with plimsoll.",
            identifier=event.resource,
        )
    if _TEXTS.issuperset(map(type, event.payload.values())):
        return
    for name, value in event.payload.items():
        if not isinstance(value, str):
            raise ModelInputError(
                f"event {event.kind} of {event.resource}: {name} needs a text, found {value!r}",
                identifier=event.resource,
            )


def _recorded(row: RowMapping) -> RecordedEvent:
    return RecordedEvent(**{str(name): value for name, value in row.items()})

"""What every desk keeps: what is to leave and where it stands, its history, who let it go.

A desk lets something leave exactly once: a transfer, the orders of a plan. Here is what all of them
leave behind. Every change names the number of events that it was decided upon: whoever comes later
is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from engine.errors import MissingDataError, ModelInputError, ParameterError, StateError
from infra.db.audit import chain_head
from infra.db.canonical import link

if TYPE_CHECKING:
    from infra.db.database import Database

_KEY_DIGITS_MIN: Final = 8


class Standing(Protocol):
    """What moves from state to state by events that are counted."""

    @property
    def key(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def n_events(self) -> int: ...


class DeskRecord(Standing, Protocol):
    """What leaves, as it stands."""

    @property
    def payload_hash(self) -> str: ...
    @property
    def proposer(self) -> str: ...
    @property
    def recorded_at(self) -> datetime: ...
    @property
    def note(self) -> str: ...


R = TypeVar("R", bound=DeskRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event: a new state, or with ``fact`` something that became known in the same state."""

    state: str
    actor: str
    reason: str
    fact: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeskEvent:
    """What happened to what leaves, who did it and why."""

    number: int
    previous: str
    state: str
    fact: str
    actor: str
    reason: str
    details: Mapping[str, Any]
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTables(Generic[R]):
    """Where one desk keeps what it lets leave.

    Attributes
    ----------
    noun, listing : str
        What leaves, as messages name it, and the command that lists it.
    key : str
        Column of its key, in all three tables.
    rows, events, approvals : type
        The tables.
    record_of, event_of : callable
        Read a row of the first two.
    require_edge : callable
        Raises StateError unless a key may go from one state to another.
    """

    noun: str
    listing: str
    key: str
    rows: Any
    events: Any
    approvals: Any
    record_of: Callable[[Mapping[Any, Any]], R]
    event_of: type[Any] = DeskEvent
    require_edge: Callable[[str, str, str], None]

    def known(self, connection: Connection, key: str) -> R | None:
        """Return the record of a whole key, or None."""
        query = select(self.rows.__table__).where(self.column(self.rows) == key)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else self.record_of(row)

    def require(self, connection: Connection, key: str) -> R:
        """Return the record of a whole key, or raise MissingDataError."""
        found = self.known(connection, key)
        if found is None:
            raise MissingDataError(f"there is no {self.noun} {key}", identifier=key)
        return found

    def find(self, connection: Connection, key: str) -> R:
        """Return the record of a key or of its beginning; MissingDataError if it is not one."""
        is_name = len(key) >= _KEY_DIGITS_MIN and key.isalnum()
        begins = self.column(self.rows).startswith(key)
        found = self.where(connection, begins, limit=2) if is_name else []
        if len(found) != 1:
            what = f"more than one {self.noun} begins with" if found else f"there is no {self.noun}"
            raise MissingDataError(f"{what} {key}: `{self.listing}` has them", identifier=key)
        return found[0]

    def where(
        self, connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None
    ) -> list[R]:
        """Return records, the earliest first."""
        query = (
            select(self.rows.__table__)
            .where(*conditions)
            .order_by(self.rows.recorded_at, self.column(self.rows))
            .limit(limit)
        )
        return [self.record_of(row) for row in connection.execute(query).mappings()]

    def due(
        self, connection: Connection, states: Iterable[str], now: datetime, column: str
    ) -> list[R]:
        """Return records in ``states`` whose instant in ``column`` is empty or has come."""
        at = getattr(self.rows, column)
        return self.where(
            connection, self.rows.state.in_(sorted(states)), or_(at.is_(None), at <= now)
        )

    def approvals_of(self, connection: Connection, key: str) -> dict[str, tuple[str, datetime]]:
        """Return by approver the payload hash that was approved, and when."""
        columns = self.approvals
        query = select(columns.approver, columns.payload_hash, columns.recorded_at).where(
            self.column(columns) == key
        )
        return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    def column(self, table: Any) -> Any:
        """Return the column of the key in one of the tables."""
        return getattr(table, self.key)


class DeskRecords(Generic[R]):
    """The records of one desk; what is particular to it is said by its ``DeskTables``."""

    def __init__(self, database: Database, tables: DeskTables[R], looks: Iterable[str]) -> None:
        self._database, self.tables = database, tables
        self._looks = frozenset(looks)

    def get(self, key: str) -> R:
        """Return a record by its key or the beginning of it, at least eight digits.

        Raises
        ------
        MissingDataError
            If there is none, or more than one begins so.
        """
        with self._database.reading() as connection:
            return self.tables.find(connection, key)

    def events(self, key: str) -> list[Any]:
        """Return the events of a record in order."""
        tables = self.tables
        names = tables.event_of.__dataclass_fields__
        query = (
            select(*(getattr(tables.events, name) for name in names))
            .where(tables.column(tables.events) == key)
            .order_by(tables.events.number)
        )
        with self._database.reading() as connection:
            return [tables.event_of(*row) for row in connection.execute(query)]

    def approvals(self, key: str) -> dict[str, tuple[str, datetime]]:
        """Return by approver the payload hash that was approved, and when."""
        with self._database.reading() as connection:
            return self.tables.approvals_of(connection, key)

    def list(self, states: Iterable[str] | None = None, **equal: object) -> list[R]:
        """Return records, the earliest first; only those in ``states``, and as ``equal`` says."""
        rows = self.tables.rows
        conditions = [getattr(rows, name) == value for name, value in equal.items()]
        if states is not None:
            conditions.append(rows.state.in_(sorted(states)))
        with self._database.reading() as connection:
            return self.tables.where(connection, *conditions)

    def move_within(self, connection: Connection, record: R, step: Step) -> R:
        """Record a step and return the record after it.

        Raises
        ------
        StateError
            If the step is not allowed, or somebody else has moved it since it was read.
        """
        tables = self.tables
        if step.state != record.state:
            tables.require_edge(record.key, record.state, step.state)
        self._advance(connection, record, **step.changes, state=step.state)
        self._append(connection, record.key, record.state, record.n_events + 1, step)
        return tables.require(connection, record.key)

    def look_within(self, connection: Connection, key: str, **looks: Any) -> None:
        """Change when and why it is looked at next; that is no event of its life."""
        require_looks(looks, self._looks)
        own = self.tables.column(self.tables.rows) == key
        connection.execute(update(self.tables.rows).where(own).values(looks))

    def approve_within(self, connection: Connection, record: R, approver: str) -> None:
        """Record an approval of the payload."""
        row = {
            self.tables.key: record.key, "approver": approver, "proposer": record.proposer,
            "payload_hash": record.payload_hash, "recorded_at": self._database.clock(),
        }  # fmt: skip
        connection.execute(insert(self.tables.approvals), row)

    def _known_with(
        self, connection: Connection, key: str, payload_hash: str, advice: str
    ) -> R | None:
        """Return what is recorded under a key; ParameterError if it is another payload (I-05)."""
        found = self.tables.known(connection, key)
        if found is not None and found.payload_hash != payload_hash:
            raise ParameterError(
                f"{self.tables.noun} {key} is recorded with another payload, hash "
                f"{found.payload_hash[:16]}, this one is {payload_hash[:16]}: {advice}",
                identifier=key,
                value=payload_hash,
                limit=found.payload_hash,
            )
        return found

    def _begin(self, connection: Connection, row: Mapping[str, object], first: Step) -> R:
        """Insert a new row with its first event."""
        now = self._database.clock()
        whole = {
            **row, "state": first.state, "recorded_at": now, "business_date": now.date(),
            "n_events": 1, "note": "",
        }  # fmt: skip
        connection.execute(insert(self.tables.rows), whole)
        key = str(row[self.tables.key])
        self._append(connection, key, "", 1, first)
        return self.tables.require(connection, key)

    def _advance(self, connection: Connection, record: R, **values: object) -> None:
        tables = self.tables
        if not moved(connection, tables.rows, tables.key, record, **values):
            now = tables.require(connection, record.key)
            raise moved_on(tables.noun, record.key, record.state, now.state)

    def _append(
        self, connection: Connection, key: str, previous: str, number: int, step: Step, **names: str
    ) -> None:
        events = self.tables.events
        head = chain_head(connection, events.position, events.hash)
        row = {
            self.tables.key: key, "number": number, "previous": previous, **names,
            "state": step.state, "fact": step.fact, "actor": step.actor, "reason": step.reason,
            "details": dict(step.details), "recorded_at": self._database.clock(),
        }  # fmt: skip
        digest = link(head.hash, row)
        connection.execute(insert(events), {"position": head.position + 1, "hash": digest, **row})


def moved(
    connection: Connection, table: Any, column: str, record: Standing, **values: object
) -> bool:
    """Change a row that still has the events it was read with; return whether it has."""
    is_same = table.n_events == record.n_events
    changed = connection.execute(
        update(table)
        .where(getattr(table, column) == record.key, is_same)
        .values(n_events=record.n_events + 1, **values)
    )
    return changed.rowcount == 1


def moved_on(noun: str, key: str, before: str, now: str) -> StateError:
    """Return what says that somebody else has moved it since it was read."""
    return StateError(
        f"{noun} {key} is {now} since, and was {before}: look at it again",
        identifier=key,
        value=now,
        limit=before,
    )


def require_looks(looks: Iterable[str], known: frozenset[str]) -> None:
    """Raise ModelInputError if something would change without an event that must not."""
    unknown = sorted(set(looks) - known)
    if unknown:
        raise ModelInputError(f"{', '.join(unknown)} cannot change without an event")

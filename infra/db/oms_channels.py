"""How order management is heard: files that were taken, its session's life, what people decided.

A decision about sequence numbers is a fact with a principal and a reason; the listener applies the
latest one that it has not applied, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from engine.errors import ParameterError
from infra.db.oms_tables import ChannelEventRow, ChannelRow, TakenFileRow

if TYPE_CHECKING:
    from infra.db.database import Database

ChannelEventKind: TypeAlias = Literal[
    "started", "logon", "logout", "too_low", "refused", "silent", "ended", "torn",
    "sequence_ordered", "sequence_applied", "rejected",
]  # fmt: skip
ORDERED: Final = "sequence_ordered"
APPLIED: Final = "sequence_applied"
TOO_LOW: Final = "too_low"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent:
    """Something that happened to the session, or a decision about it."""

    source: str
    event: ChannelEventKind
    happened_at: datetime
    details: Mapping[str, object]
    actor: str = ""
    reason: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOrder:
    """What the next numbers of a session are to be; None leaves a number as it is."""

    position: int
    next_sender: int | None
    next_target: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """When a source was last heard, and how far its spool has been read."""

    heard_at: datetime
    spool: str
    read_to: int


class OmsChannels:
    """Files, sessions and bookmarks of order management."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_file(self, content_hash: str) -> bool:
        """Return whether a file of this content was taken."""
        query = select(TakenFileRow.name).where(TakenFileRow.content_hash == content_hash)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def take_file_within(
        self,
        connection: Connection,
        content_hash: str,
        source: str,
        name: str,
        summary: Mapping[str, object],
    ) -> bool:
        """Note that a file is taken, in the caller's transaction; False if it was before."""
        query = select(TakenFileRow.name).where(TakenFileRow.content_hash == content_hash)
        if connection.execute(query).first() is not None:
            return False
        row = {
            "content_hash": content_hash, "source": source, "name": name[:200],
            "summary": dict(summary), "received_at": self._database.clock(),
        }  # fmt: skip
        connection.execute(insert(TakenFileRow), row)
        return True

    def heard(self, source: str) -> Heard | None:
        """Return when a source was last heard over its session; None if never."""
        query = select(ChannelRow.__table__).where(ChannelRow.source == source)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        return Heard(heard_at=row["heard_at"], spool=row["spool"], read_to=row["read_to"])

    def hear_within(self, connection: Connection, source: str, heard: Heard) -> None:
        """Move the bookmark in the transaction that records what it passes."""
        values = {"heard_at": heard.heard_at, "spool": heard.spool, "read_to": heard.read_to}
        changed = update(ChannelRow).where(ChannelRow.source == source).values(**values)
        if not connection.execute(changed).rowcount:
            connection.execute(insert(ChannelRow), {"source": source, **values})

    def note(self, event: ChannelEvent) -> int:
        """Record an event and return its position."""
        with self._database.writing() as connection:
            return self.note_within(connection, event)

    def note_within(self, connection: Connection, event: ChannelEvent) -> int:
        """Do what ``note`` does in the caller's transaction."""
        last = connection.execute(select(func.max(ChannelEventRow.position))).scalar() or 0
        row = {
            "position": last + 1, "source": event.source, "event": event.event,
            "details": dict(event.details), "actor": event.actor or self._database.actor,
            "reason": event.reason, "happened_at": event.happened_at,
            "recorded_at": self._database.clock(),
        }  # fmt: skip
        connection.execute(insert(ChannelEventRow), row)
        return int(last + 1)

    def events(self, source: str, limit: int = 50) -> list[ChannelEvent]:
        """Return the latest events of a source, newest first."""
        query = (
            select(ChannelEventRow.__table__)
            .where(ChannelEventRow.source == source)
            .order_by(ChannelEventRow.position.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [
                ChannelEvent(
                    source=row["source"], event=row["event"], happened_at=row["happened_at"],
                    details=row["details"], actor=row["actor"], reason=row["reason"],
                    position=row["position"],
                )
                for row in connection.execute(query).mappings()
            ]  # fmt: skip

    def order_sequence(
        self,
        source: str,
        principal: str,
        reason: str,
        *,
        next_sender: int | None = None,
        next_target: int | None = None,
    ) -> int:
        """Record a person's decision on the numbers that a session goes on with.

        Raises
        ------
        ParameterError
            If no number is given, one is below 1, or the reason is empty.
        """
        given = {"next_sender": next_sender, "next_target": next_target}
        numbers = {name: number for name, number in given.items() if number is not None}
        if not numbers or min(numbers.values()) < 1:
            raise ParameterError(
                f"{source}: next numbers are {given}, limit: at least one of them, 1 or more",
                identifier=source,
            )
        if not reason.strip():
            raise ParameterError(f"{source}: a decision needs its reason", identifier=source)
        with self._database.writing() as connection:
            event = ChannelEvent(
                source=source, event=ORDERED, happened_at=self._database.clock(),
                details=dict(numbers), actor=principal, reason=reason.strip(),
            )  # fmt: skip
            position = self.note_within(connection, event)
            self._database.audit.append_within(
                connection, "sequence ordered", source, {**numbers, "reason": reason.strip()},
                actor=principal,
            )  # fmt: skip
        return position

    def pending_order(self, source: str) -> SequenceOrder | None:
        """Return the latest decision on sequence numbers that was not applied yet."""
        row = self._latest(source, (ORDERED, APPLIED))
        if row is None or row["event"] == APPLIED:
            return None
        numbers = row["details"]
        return SequenceOrder(
            position=row["position"],
            next_sender=numbers.get("next_sender"),
            next_target=numbers.get("next_target"),
        )

    def needs_decision(self, source: str) -> bool:
        """Return whether sequence numbers were too low and nobody has decided since.

        An engine that is left alone counts up with every logon that is refused, until it gets in.
        """
        row = self._latest(source, (TOO_LOW, ORDERED, APPLIED))
        return row is not None and row["event"] == TOO_LOW

    def _latest(self, source: str, events: Sequence[str]) -> RowMapping | None:
        query = (
            select(ChannelEventRow.__table__)
            .where(ChannelEventRow.source == source, ChannelEventRow.event.in_(events))
            .order_by(ChannelEventRow.position.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(query).mappings().one_or_none()

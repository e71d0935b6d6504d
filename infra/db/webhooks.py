"""Messages to subscribers and from outside: sent until delivered, handled once.

The chain of call events is what there is to tell. A delivery is the note that one subscriber has
to hear of one event; it is named by both, so that a subscriber can drop what it has heard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, insert, select, text, update

from infra.db.bulk import insert_rows
from infra.db.call_tables import WebhookDeliveryRow, WebhookReceiptRow
from infra.db.tables import OPEN_CALL, CallEventRow, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is due: the event, and the call it is about."""

    message_id: str
    endpoint: str
    n_attempts: int
    event: Mapping[str, Any]
    call: Mapping[str, Any]


class Webhooks:
    """The outbox and the inbox of messages about calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, endpoint: str, now: datetime) -> int:
        """Note all events that a subscriber has not been told of; return how many are new.

        A subscriber who is new hears of the calls that are open, and of all that follows.
        """
        with self._database.writing() as connection:
            told = select(func.max(WebhookDeliveryRow.event_position)).where(
                WebhookDeliveryRow.endpoint == endpoint
            )
            last: int | None = connection.execute(told).scalar()
            query = select(CallEventRow.position).order_by(CallEventRow.position)
            if last is None:
                is_open = select(CallRow.call_id).where(text(OPEN_CALL))
                query = query.where(CallEventRow.call_id.in_(is_open))
            else:
                query = query.where(CallEventRow.position > last)
            positions = connection.execute(query).scalars().all()
            insert_rows(
                connection,
                WebhookDeliveryRow,
                [
                    {
                        "message_id": message_id(endpoint, position),
                        "endpoint": endpoint,
                        "event_position": position,
                        "status": "pending",
                        "n_attempts": 0,
                        "next_attempt_at": now,
                        "last_error": "",
                    }
                    for position in positions
                ],
            )
            return len(positions)

    def due(self, now: datetime, limit: int = BATCH) -> list[Delivery]:
        """Return messages to be sent at ``now``, in the order of their events."""
        query = (
            select(WebhookDeliveryRow.__table__)
            .where(WebhookDeliveryRow.status == "pending")
            .where(WebhookDeliveryRow.next_attempt_at <= now)
            .order_by(WebhookDeliveryRow.event_position, WebhookDeliveryRow.endpoint)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            return [_delivery(connection, dict(row)) for row in rows]

    def delivered(self, message_id: str) -> None:
        """Note that a subscriber has taken a message."""
        self._set(message_id, {"status": "delivered", "last_error": ""})

    def failed(self, message_id: str, error: str, next_attempt_at: datetime | None) -> None:
        """Note a failed attempt and when the next one is due; None gives the message up."""
        values: dict[str, Any] = {"last_error": error[:500]}
        if next_attempt_at is None:
            values["status"] = "given_up"
        else:
            values["next_attempt_at"] = next_attempt_at
        self._set(message_id, values)

    def counts(self) -> dict[str, int]:
        """Return how many messages are pending, delivered and given up."""
        query = select(WebhookDeliveryRow.status, func.count()).group_by(WebhookDeliveryRow.status)
        with self._database.reading() as connection:
            found = dict(connection.execute(query).tuples().all())
        return {name: found.get(name, 0) for name in ("pending", "delivered", "given_up")}

    def receive_within(
        self, connection: Connection, source: str, message_id: str, sent_at: datetime, body: bytes
    ) -> bool:
        """Record a verified message in the caller's transaction; False if its id was there.

        Ids are kept for good, hence longer than any tolerance of the time stamp.
        """
        known = select(WebhookReceiptRow.message_id).where(
            WebhookReceiptRow.source == source, WebhookReceiptRow.message_id == message_id
        )
        if connection.execute(known).first() is not None:
            return False
        connection.execute(
            insert(WebhookReceiptRow),
            {
                "source": source,
                "message_id": message_id,
                "sent_at": sent_at,
                "body_hash": hashlib.sha256(body).hexdigest(),
                "received_at": self._database.clock(),
            },
        )
        return True

    def _set(self, message_id: str, values: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(WebhookDeliveryRow)
                .where(WebhookDeliveryRow.message_id == message_id)
                .values(n_attempts=WebhookDeliveryRow.n_attempts + 1, **values)
            )


def message_id(endpoint: str, event_position: int) -> str:
    """Return the name of a message: the same for every attempt."""
    digest = hashlib.sha256(f"{endpoint}\0{event_position}".encode()).hexdigest()
    return f"msg_{digest[:32]}"


def _delivery(connection: Connection, row: Mapping[str, Any]) -> Delivery:
    event = (
        connection.execute(
            select(CallEventRow.__table__).where(CallEventRow.position == row["event_position"])
        )
        .mappings()
        .one()
    )
    call = (
        connection.execute(select(CallRow.__table__).where(CallRow.call_id == event["call_id"]))
        .mappings()
        .one()
    )
    return Delivery(row["message_id"], row["endpoint"], row["n_attempts"], dict(event), dict(call))

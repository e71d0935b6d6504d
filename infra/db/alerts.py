"""Alerts on record: notices taken in, words told, messages to channels, acknowledgements."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, insert, select, update

from engine.errors import MissingDataError, ParameterError
from engine.policies.quiet import SINGLE, GroupKey, NewAlert, Notice, PastAlert, PastMember
from infra.db.alert_queries import as_members, grown, one_each, past_alerts, records
from infra.db.alert_tables import (
    AlertAcknowledgementRow,
    AlertDeliveryRow,
    AlertMemberRow,
    AlertRow,
    AlertTellingRow,
)
from infra.db.board_tables import IntradayEventRow
from infra.db.bulk import among, insert_rows
from infra.db.intraday_events import RecordedEvent

if TYPE_CHECKING:
    from infra.db.database import Database

BATCH: Final = 100
_NOTICE: Final = (
    "event_id", "kind", "subject", "rank", "client", "venue", "underlying", "cause", "currency",
    "shortfall", "occurred_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Words about an alert, and the channels that they go to."""

    alert_id: str
    rank: int
    n_members: int
    title: str
    body: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """A message that is due to a channel."""

    message_id: str
    channel: str
    n_attempts: int
    alert_id: str
    kind: str
    rank: int
    title: str
    body: str
    told_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """An alert as people see it: the last words about it, and who has taken it up."""

    alert_id: str
    kind: str
    dimension: str
    value: str
    rank: int
    n_members: int
    title: str
    body: str
    opened_at: datetime
    told_at: datetime
    acknowledged_by: str = ""
    acknowledged_reason: str = ""


class Alerts:
    """What people are told; history only grows, but for the attempts of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known_within(self, connection: Connection, event_ids: Sequence[str]) -> set[str]:
        """Return those of ``event_ids`` that an alert covers already."""
        query = select(AlertMemberRow.event_id).where(
            among(connection, AlertMemberRow.event_id, list(event_ids))
        )
        return set(connection.execute(query).scalars())

    def past_within(
        self, connection: Connection, subjects: Sequence[str], since: datetime
    ) -> tuple[list[PastAlert], list[PastMember]]:
        """Return alerts opened since, and members of those about one subject or of ``subjects``."""
        alerts = past_alerts(connection, since)
        alone = [alert.alert_id for alert in alerts if alert.key[1] == SINGLE]
        recent = select(AlertMemberRow.__table__).where(AlertMemberRow.taken_at >= since)
        of_alone = recent.where(among(connection, AlertMemberRow.alert_id, alone))
        of_subjects = recent.where(among(connection, AlertMemberRow.subject, list(subjects)))
        rows = {
            row["position"]: row
            for query in (of_alone, of_subjects)
            for row in connection.execute(query).mappings()
        }
        return alerts, as_members([rows[position] for position in sorted(rows)])

    def open_within(self, connection: Connection, alerts: Sequence[NewAlert]) -> None:
        """Record new alerts with their members."""
        now = self._database.clock()
        rows = [
            {
                "alert_id": alert.alert_id,
                "kind": alert.key[0],
                "dimension": alert.key[1],
                "value": alert.key[2],
                "opened_at": now,
            }
            for alert in alerts
        ]
        insert_rows(connection, AlertRow, rows)
        self.join_within(
            connection, [(alert.alert_id, one, False) for alert in alerts for one in alert.notices]
        )

    def join_within(
        self, connection: Connection, members: Sequence[tuple[str, Notice, bool]]
    ) -> None:
        """Record members: alert, notice, and whether it only repeats what was told."""
        now = self._database.clock()
        last = connection.execute(select(func.max(AlertMemberRow.position))).scalar() or 0
        rows = [
            {
                "position": last + number,
                "alert_id": alert_id,
                **{name: getattr(notice, name) for name in _NOTICE},
                "taken_at": now,
                "is_repeat": int(is_repeat),
            }
            for number, (alert_id, notice, is_repeat) in enumerate(members, start=1)
        ]
        insert_rows(connection, AlertMemberRow, rows)

    def members_within(
        self, connection: Connection, alert_id: str
    ) -> tuple[GroupKey, list[Notice]]:
        """Return what the members of an alert share, and those that said something new."""
        alert = connection.execute(
            select(AlertRow.kind, AlertRow.dimension, AlertRow.value).where(
                AlertRow.alert_id == alert_id
            )
        ).one()
        query = (
            select(AlertMemberRow.__table__)
            .where(AlertMemberRow.alert_id == alert_id, AlertMemberRow.is_repeat == 0)
            .order_by(AlertMemberRow.position)
        )
        members = as_members(connection.execute(query).mappings())
        return (alert.kind, alert.dimension, alert.value), [one.notice for one in members]

    def payloads_within(
        self, connection: Connection, event_ids: Sequence[str]
    ) -> dict[str, dict[str, str]]:
        """Return what was said of events."""
        query = select(IntradayEventRow.event_id, IntradayEventRow.payload).where(
            among(connection, IntradayEventRow.event_id, list(event_ids))
        )
        return {
            row.event_id: {str(key): str(value) for key, value in row.payload.items()}
            for row in connection.execute(query)
        }

    def last_event(self, resource: str, kinds: Sequence[str]) -> RecordedEvent | None:
        """Return the last event of a resource that is of one of ``kinds``."""
        query = (
            select(IntradayEventRow.__table__)
            .where(IntradayEventRow.resource == resource)
            .where(IntradayEventRow.name.in_([f"plimsoll.{kind}" for kind in kinds]))
            .order_by(IntradayEventRow.position.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else RecordedEvent(**{str(k): v for k, v in row.items()})

    def grown_within(self, connection: Connection, since: datetime) -> list[tuple[str, datetime]]:
        """Return alerts with members that nobody was told of, and when they were last told."""
        return grown(connection, since)

    def tell_within(self, connection: Connection, told: Telling) -> None:
        """Record words about an alert, and one message for each of its channels."""
        now = self._database.clock()
        is_own = AlertTellingRow.alert_id == told.alert_id
        last = connection.execute(select(func.max(AlertTellingRow.number)).where(is_own)).scalar()
        number = (last or 0) + 1
        telling_id = f"{told.alert_id}-{number}"
        names = ("alert_id", "rank", "n_members", "title", "body")
        connection.execute(
            insert(AlertTellingRow),
            {
                "telling_id": telling_id,
                "number": number,
                "told_at": now,
                **{name: getattr(told, name) for name in names},
            },
        )
        rows = [_message(channel, telling_id, now) for channel in told.channels]
        insert_rows(connection, AlertDeliveryRow, rows)

    def due(self, now: datetime, limit: int = BATCH) -> list[AlertMessage]:
        """Return messages to be sent at ``now``, the gravest first, then the oldest."""
        names = ("alert_id", "rank", "title", "body", "told_at")
        query = (
            select(
                AlertDeliveryRow.message_id,
                AlertDeliveryRow.channel,
                AlertDeliveryRow.n_attempts,
                AlertRow.kind,
                *(getattr(AlertTellingRow, name) for name in names),
            )
            .join(AlertTellingRow, AlertTellingRow.telling_id == AlertDeliveryRow.telling_id)
            .join(AlertRow, AlertRow.alert_id == AlertTellingRow.alert_id)
            .where(AlertDeliveryRow.status == "pending")
            .where(AlertDeliveryRow.next_attempt_at <= now)
            .order_by(
                AlertTellingRow.rank.desc(), AlertTellingRow.told_at, AlertDeliveryRow.channel
            )
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [
                AlertMessage(**{str(k): v for k, v in row.items()})
                for row in connection.execute(query).mappings()
            ]

    def delivered(self, message_id: str) -> None:
        """Note that a channel has taken a message."""
        self._attempted(message_id, {"status": "delivered", "last_error": ""})

    def failed(self, message_id: str, error: str, next_attempt_at: datetime | None) -> None:
        """Note a failed attempt and when the next one is due; None gives the message up."""
        values: dict[str, Any] = {"last_error": error[:500]}
        if next_attempt_at is None:
            values["status"] = "given_up"
        else:
            values["next_attempt_at"] = next_attempt_at
        self._attempted(message_id, values)

    def counts(self) -> dict[str, int]:
        """Return how many messages are pending, delivered and given up."""
        query = select(AlertDeliveryRow.status, func.count()).group_by(AlertDeliveryRow.status)
        with self._database.reading() as connection:
            found = dict(connection.execute(query).tuples().all())
        return {name: found.get(name, 0) for name in ("pending", "delivered", "given_up")}

    def latest(self, limit: int = 100, *, is_open: bool = False) -> list[AlertRecord]:
        """Return alerts, last told first; with ``is_open`` those that nobody has acknowledged."""
        query = records().order_by(AlertTellingRow.told_at.desc(), AlertRow.alert_id)
        if is_open:
            query = query.where(AlertAcknowledgementRow.alert_id.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
        return [AlertRecord(**row) for row in one_each(rows)]

    def get(self, beginning: str) -> AlertRecord:
        """Return the alert whose name begins so.

        Raises
        ------
        MissingDataError
            If there is none, or more than one.
        """
        query = records().where(AlertRow.alert_id.startswith(beginning, autoescape=True))
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(10)).mappings().all()
        found = [AlertRecord(**row) for row in one_each(rows)]
        if len(found) != 1:
            raise MissingDataError(
                f"{'no alert' if not found else 'more than one alert'} begins with {beginning!r}: "
                "list them with `plimsoll alerts list`",
                identifier=beginning,
                value=len(found),
                limit="1",
            )
        return found[0]

    def acknowledge(self, alert_id: str, principal: str, reason: str) -> bool:
        """Record that a person has taken an alert up; False if that person had before.

        Raises
        ------
        ParameterError
            If no name or no reason is given.
        """
        if not principal.strip() or not reason.strip():
            raise ParameterError(
                f"alert {alert_id} is acknowledged by somebody with a reason: give both",
                identifier=alert_id,
            )
        query = select(AlertAcknowledgementRow.principal).where(
            AlertAcknowledgementRow.alert_id == alert_id,
            AlertAcknowledgementRow.principal == principal,
        )
        with self._database.writing() as connection:
            if connection.execute(query).first() is not None:
                return False
            connection.execute(
                insert(AlertAcknowledgementRow),
                {
                    "alert_id": alert_id,
                    "principal": principal,
                    "reason": reason,
                    "recorded_at": self._database.clock(),
                },
            )
        return True

    def _attempted(self, message_id: str, values: Mapping[str, Any]) -> None:
        is_settled = "status" in values
        with self._database.writing() as connection:
            connection.execute(
                update(AlertDeliveryRow)
                .where(AlertDeliveryRow.message_id == message_id)
                .values(
                    n_attempts=AlertDeliveryRow.n_attempts + 1,
                    settled_at=self._database.clock() if is_settled else None,
                    **values,
                )
            )


def _message(channel: str, telling_id: str, now: datetime) -> dict[str, Any]:
    digest = hashlib.sha256(f"{channel}\0{telling_id}".encode()).hexdigest()
    return {
        "message_id": f"msg_{digest[:32]}",
        "channel": channel,
        "telling_id": telling_id,
        "status": "pending",
        "n_attempts": 0,
        "next_attempt_at": now,
        "settled_at": None,
        "last_error": "",
    }

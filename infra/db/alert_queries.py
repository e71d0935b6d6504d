"""Queries that several readings of alerts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, select

from engine.policies.quiet import Notice, PastAlert, PastMember
from infra.db.alert_tables import (
    AlertAcknowledgementRow,
    AlertMemberRow,
    AlertRow,
    AlertTellingRow,
)

_TOLD = ("rank", "n_members", "title", "body", "told_at")
_NOTICE = tuple(Notice.__dataclass_fields__)


def records() -> Select[Any]:
    """Return the query of alerts with their last words and first acknowledgement."""
    numbers = _numbers().subquery()
    taken = (
        select(
            AlertAcknowledgementRow.alert_id,
            func.min(AlertAcknowledgementRow.recorded_at).label("first"),
        )
        .group_by(AlertAcknowledgementRow.alert_id)
        .subquery()
    )
    return (
        select(
            *(getattr(AlertRow, name) for name in ("alert_id", "kind", "dimension", "value")),
            AlertRow.opened_at,
            *(getattr(AlertTellingRow, name) for name in _TOLD),
            AlertAcknowledgementRow.principal.label("acknowledged_by"),
            AlertAcknowledgementRow.reason.label("acknowledged_reason"),
        )
        .join(numbers, numbers.c.alert_id == AlertRow.alert_id)
        .join(
            AlertTellingRow,
            and_(
                AlertTellingRow.alert_id == numbers.c.alert_id,
                AlertTellingRow.number == numbers.c.number,
            ),
        )
        .outerjoin(taken, taken.c.alert_id == AlertRow.alert_id)
        .outerjoin(
            AlertAcknowledgementRow,
            and_(
                AlertAcknowledgementRow.alert_id == taken.c.alert_id,
                AlertAcknowledgementRow.recorded_at == taken.c.first,
            ),
        )
    )


def one_each(rows: Iterable[RowMapping]) -> list[dict[str, Any]]:
    """Return one row per alert: of two people who acknowledged in one instant, either is named."""
    found = {row["alert_id"]: {str(key): value for key, value in row.items()} for row in rows}
    for row in found.values():
        row["acknowledged_by"] = row["acknowledged_by"] or ""
        row["acknowledged_reason"] = row["acknowledged_reason"] or ""
    return list(found.values())


def past_alerts(connection: Connection, since: datetime) -> list[PastAlert]:
    """Return alerts opened since an instant; rank is the highest that was told."""
    told = (
        select(
            AlertTellingRow.alert_id,
            func.max(AlertTellingRow.rank).label("rank"),
            func.max(AlertTellingRow.told_at).label("told_at"),
        )
        .group_by(AlertTellingRow.alert_id)
        .subquery()
    )
    query = (
        select(AlertRow.__table__, told.c.rank, told.c.told_at)
        .join(told, told.c.alert_id == AlertRow.alert_id)
        .where(AlertRow.opened_at >= since)
        .order_by(AlertRow.opened_at, AlertRow.alert_id)
    )
    return [
        PastAlert(
            alert_id=row["alert_id"],
            key=(row["kind"], row["dimension"], row["value"]),
            rank=row["rank"],
            opened_at=row["opened_at"],
            told_at=row["told_at"],
        )
        for row in connection.execute(query).mappings()
    ]


def grown(connection: Connection, since: datetime) -> list[tuple[str, datetime]]:
    """Return alerts with new members that nobody was told of, and when they were last told."""
    recent = (
        select(AlertMemberRow.alert_id)
        .where(AlertMemberRow.is_repeat == 0, AlertMemberRow.taken_at >= since)
        .distinct()
    )
    counted = (
        select(AlertMemberRow.alert_id, func.count().label("n"))
        .where(AlertMemberRow.is_repeat == 0, AlertMemberRow.alert_id.in_(recent))
        .group_by(AlertMemberRow.alert_id)
        .subquery()
    )
    told = (
        select(
            AlertTellingRow.alert_id,
            func.max(AlertTellingRow.n_members).label("n"),
            func.max(AlertTellingRow.told_at).label("told_at"),
        )
        .where(AlertTellingRow.alert_id.in_(recent))
        .group_by(AlertTellingRow.alert_id)
        .subquery()
    )
    query = (
        select(told.c.alert_id, told.c.told_at)
        .join(counted, counted.c.alert_id == told.c.alert_id)
        .where(counted.c.n > told.c.n)
        .order_by(told.c.told_at, told.c.alert_id)
    )
    return [(row.alert_id, row.told_at) for row in connection.execute(query)]


def as_members(rows: Sequence[Mapping[str, Any]] | Iterable[RowMapping]) -> list[PastMember]:
    """Return rows of members as the quiet rules know them."""
    return [
        PastMember(
            alert_id=row["alert_id"],
            notice=Notice(**{name: row[name] for name in _NOTICE}),
            taken_at=row["taken_at"],
            is_repeat=bool(row["is_repeat"]),
        )
        for row in rows
    ]


def _numbers() -> Select[Any]:
    last = func.max(AlertTellingRow.number).label("number")
    return select(AlertTellingRow.alert_id, last).group_by(AlertTellingRow.alert_id)

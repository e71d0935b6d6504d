"""Tables of alerts: what people were told of, which notices that covers, and who has seen it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base, exact_amount

_STRICT: Final = {"sqlite_strict": True}
RANKS: Final = "rank BETWEEN 0 AND 4"
STATUSES: Final = "status IN ('pending', 'delivered', 'given_up')"


class AlertRow(Base):
    """An alert about one subject, or a group that shares ``dimension`` = ``value``."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_opened_at", "opened_at"), _STRICT)
    alert_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    dimension: Mapped[str]
    value: Mapped[str]
    opened_at: Mapped[datetime]


class AlertMemberRow(Base):
    """A notice and the one alert that covers it."""

    __tablename__ = "alert_members"
    __table_args__ = (
        UniqueConstraint("event_id"),
        CheckConstraint(RANKS, name="rank_known"),
        CheckConstraint("is_repeat IN (0, 1)", name="is_repeat_flag"),
        exact_amount("shortfall"),
        Index("ix_alert_members_alert", "alert_id"),
        Index("ix_alert_members_subject", "subject", "taken_at"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(ForeignKey("intraday_events.event_id"))
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"))
    kind: Mapped[str]
    subject: Mapped[str]
    rank: Mapped[int]
    client: Mapped[str]
    venue: Mapped[str]
    underlying: Mapped[str]
    cause: Mapped[str]
    currency: Mapped[str]
    shortfall: Mapped[Decimal]
    occurred_at: Mapped[datetime]
    taken_at: Mapped[datetime]
    is_repeat: Mapped[int]


class AlertTellingRow(Base):
    """Words that people were told of an alert: at its opening, when it got graver, when it grew."""

    __tablename__ = "alert_tellings"
    __table_args__ = (
        UniqueConstraint("alert_id", "number"),
        CheckConstraint(RANKS, name="rank_known"),
        CheckConstraint("n_members > 0", name="n_members_counted"),
        Index("ix_alert_tellings_told_at", "told_at"),
        _STRICT,
    )
    telling_id: Mapped[str] = mapped_column(primary_key=True)
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"))
    number: Mapped[int]
    rank: Mapped[int]
    n_members: Mapped[int]
    title: Mapped[str]
    body: Mapped[str]
    told_at: Mapped[datetime]


class AlertDeliveryRow(Base):
    """The outbox: one message per channel and telling; only its attempts change."""

    __tablename__ = "alert_deliveries"
    __table_args__ = (
        UniqueConstraint("channel", "telling_id"),
        CheckConstraint("n_attempts >= 0", name="n_attempts_counted"),
        CheckConstraint(STATUSES, name="status_known"),
        Index(
            "ix_alert_deliveries_due",
            "next_attempt_at",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        _STRICT,
    )
    message_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str]
    telling_id: Mapped[str] = mapped_column(ForeignKey("alert_tellings.telling_id"))
    status: Mapped[str]
    n_attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    last_error: Mapped[str]


class AlertAcknowledgementRow(Base):
    """Who has taken an alert into their hands, and why nothing more is needed or what is done."""

    __tablename__ = "alert_acknowledgements"
    __table_args__ = (
        CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
        _STRICT,
    )
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.alert_id"), primary_key=True)
    principal: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    recorded_at: Mapped[datetime]

"""Tables of the calls' terms, facts and messages; calls and their events are in ``tables.py``."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base, exact_amount

_STRICT: Final = {"sqlite_strict": True}
LEVELS: Final = "level IS NOT NULL"
FAILED: Final = "kind = 'failed'"
KINDS: Final = (
    "kind IN ('requested', 'agreed', 'disputed', 'dispute_withdrawn', 'pledged', "
    "'pledge_rejected', 'pledge_carried', 'settled', 'failed', 'escalated', 'reduction', "
    "'substitution_proposed', 'substitution_agreed', 'substitution_rejected', "
    "'substitution_received', 'substitution_released')"
)


class CallTermsRow(Base):
    """What was agreed about a call's dates when it was issued; nothing moves it later."""

    __tablename__ = "call_terms"
    __table_args__ = (
        CheckConstraint("notified_at >= issued_at", name="notified_after_issue"),
        _STRICT,
    )
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    issued_at: Mapped[datetime]
    notified_at: Mapped[datetime]
    terms: Mapped[dict[str, object]]
    """Levels of escalation, and who asks for returns."""


class CallFactRow(Base):
    """What somebody did with a call; rows are only added and each is linked to the one before.

    ``number`` is that of the call's event of the same act. A deadline is escalated to each level
    once, whichever call of the netting set it has passed to.
    """

    __tablename__ = "call_facts"
    __table_args__ = (
        UniqueConstraint("fact_key"),
        UniqueConstraint("call_id", "number"),
        CheckConstraint(KINDS, name="kind_known"),
        CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
        CheckConstraint("is_last IN (0, 1)", name="is_last_flag"),
        CheckConstraint("(level IS NULL) = (deadline IS NULL)", name="level_has_deadline"),
        exact_amount("amount"),
        Index(
            "uq_call_facts_level",
            "netting_set_id",
            "margin_type",
            "deadline",
            "level",
            unique=True,
            sqlite_where=text(LEVELS),
            postgresql_where=text(LEVELS),
        ),
        Index(
            "uq_call_facts_failed",
            "call_id",
            unique=True,
            sqlite_where=text(FAILED),
            postgresql_where=text(FAILED),
        ),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fact_key: Mapped[str]
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"))
    number: Mapped[int]
    kind: Mapped[str]
    amount: Mapped[Decimal | None]
    pledge: Mapped[int | None]
    is_last: Mapped[int]
    level: Mapped[int | None]
    deadline: Mapped[datetime | None]
    netting_set_id: Mapped[str]
    margin_type: Mapped[str]
    details: Mapped[dict[str, object]]
    """Asset, quantity and place; reason of a dispute; transfer; value out and in."""
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class WebhookDeliveryRow(Base):
    """The outbox: one message per subscriber and event; only its attempts change."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint", "event_position"),
        CheckConstraint("n_attempts >= 0", name="n_attempts_counted"),
        CheckConstraint("status IN ('pending', 'delivered', 'given_up')", name="status_known"),
        Index(
            "ix_webhook_deliveries_due",
            "next_attempt_at",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        _STRICT,
    )
    message_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint: Mapped[str]
    event_position: Mapped[int] = mapped_column(ForeignKey("call_events.position"))
    status: Mapped[str]
    n_attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    last_error: Mapped[str]


class WebhookReceiptRow(Base):
    """A message that came in, by its id: the same id is never handled twice."""

    __tablename__ = "webhook_receipts"
    __table_args__ = (_STRICT,)
    source: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime]
    body_hash: Mapped[str]
    received_at: Mapped[datetime]

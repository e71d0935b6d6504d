"""Tables of transfers: what is to move, what became of it, who let it, where it may go.

All that an intent says never changes; its state moves along the edges of the state graph alone,
which a trigger holds. Events are only added and are a hash chain.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from engine.transfers.states import EDGES, STATES
from infra.db.column_types import MinorUnits
from infra.db.desk_tables import ApprovalColumns, EventColumns, edges_listed, listed
from infra.db.tables import Base, exact_amount, positive_units

_STRICT: Final = {"sqlite_strict": True}
_INTENT: Final = (
    "purpose", "leg", "source", "destination", "asset", "amount", "attempt_group",
)  # fmt: skip


class TransferRow(Base):
    """A transfer: the intent, which never changes, and where it stands."""

    __tablename__ = "transfers"
    __table_args__ = (
        UniqueConstraint(*_INTENT),
        UniqueConstraint("transfer_key", "proposer", "payload_hash"),
        *positive_units("amount"),
        CheckConstraint("length(transfer_key) = 32", name="key_length"),
        CheckConstraint("source <> destination", name="two_places"),
        CheckConstraint("scale BETWEEN 0 AND 18", name="scale_range"),
        CheckConstraint(f"state IN ({listed(STATES)})", name="state_known"),
        CheckConstraint("is_exposed IN (0, 1)", name="is_exposed_known"),
        CheckConstraint("attempts >= 0 AND n_events > 0", name="counts_sound"),
        # Nothing is in flight that was not sent.
        CheckConstraint(
            "state IN ('proposed', 'approved', 'new', 'rejected', 'cancelled') "
            "OR (attempts > 0 AND sent_at IS NOT NULL)",
            name="flight_was_sent",
        ),
        CheckConstraint(
            "state NOT IN ('credited', 'reconciled') "
            "OR (credited_at IS NOT NULL AND debited_at IS NOT NULL)",
            name="credited_was_debited",
        ),
        exact_amount("balance_before"),
        exact_amount("fee"),
        Index("ix_transfers_state", "state", "look_at"),
        Index("ix_transfers_source", "source", "asset", "state"),
        Index("ix_transfers_destination", "destination", "asset", "state"),
        Index("ix_transfers_sent_at", "asset", "sent_at"),
        _STRICT,
    )
    transfer_key: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    leg: Mapped[int]
    source: Mapped[str]
    destination: Mapped[str]
    asset: Mapped[str]
    amount: Mapped[int] = mapped_column(MinorUnits())
    scale: Mapped[int]
    network: Mapped[str]
    address: Mapped[str]
    memo: Mapped[str]
    attempt_group: Mapped[int]
    payload_hash: Mapped[str]
    proposer: Mapped[str]
    reason: Mapped[str]
    business_date: Mapped[date]
    recorded_at: Mapped[datetime]
    state: Mapped[str]
    n_events: Mapped[int]
    attempts: Mapped[int]
    n_looks: Mapped[int]
    is_exposed: Mapped[int]
    first_sent_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    debited_at: Mapped[datetime | None]
    credited_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    balance_before: Mapped[Decimal | None]
    fee: Mapped[Decimal | None]
    venue_transfer_id: Mapped[str]
    refusal: Mapped[str | None]
    note: Mapped[str]


class TransferEventRow(EventColumns, Base):
    """One step of a transfer, or a fact about it."""

    __tablename__ = "transfer_events"
    __table_args__ = (
        UniqueConstraint("transfer_key", "number"),
        CheckConstraint(
            f"(previous || '>' || state) IN ({edges_listed(EDGES)}) "
            "OR (previous = '' AND state = 'proposed' AND number = 1) "
            "OR (previous = state AND fact <> '')",
            name="edge_allowed",
        ),
        _STRICT,
    )
    transfer_key: Mapped[str] = mapped_column(ForeignKey("transfers.transfer_key"))


class TransferApprovalRow(ApprovalColumns, Base):
    """Approvals of transfers."""

    __tablename__ = "transfer_approvals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["transfer_key", "proposer", "payload_hash"],
            ["transfers.transfer_key", "transfers.proposer", "transfers.payload_hash"],
        ),
        CheckConstraint("approver <> proposer", name="second_person"),
        _STRICT,
    )
    transfer_key: Mapped[str] = mapped_column(primary_key=True)


class TransferWriterRow(Base):
    """Who may send from a source: the epoch only rises, and an older one sends nothing more."""

    __tablename__ = "transfer_writers"
    __table_args__ = (CheckConstraint("epoch > 0", name="epoch_positive"), _STRICT)
    source: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    holder: Mapped[str]
    acquired_at: Mapped[datetime]


class WhitelistRow(Base):
    """A destination that somebody wants on the list; its name follows from what it says."""

    __tablename__ = "whitelist_entries"
    __table_args__ = _STRICT
    entry_id: Mapped[str] = mapped_column(primary_key=True)
    destination: Mapped[str]
    asset: Mapped[str]
    network: Mapped[str]
    address: Mapped[str]
    memo: Mapped[str]
    recorded_at: Mapped[datetime]


class WhitelistEventRow(Base):
    """Proposed, approved by a second person, or revoked; a revoked one may be proposed anew."""

    __tablename__ = "whitelist_events"
    __table_args__ = (
        UniqueConstraint("entry_id", "round", "event"),
        CheckConstraint("event IN ('proposed', 'approved', 'revoked')", name="event_known"),
        CheckConstraint("event <> 'approved' OR actor <> proposer", name="second_person"),
        CheckConstraint(
            "(event = 'approved') = (active_from IS NOT NULL)", name="approved_is_dated"
        ),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[str] = mapped_column(ForeignKey("whitelist_entries.entry_id"))
    round: Mapped[int]
    event: Mapped[str]
    actor: Mapped[str]
    proposer: Mapped[str]
    reason: Mapped[str]
    active_from: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    seal: Mapped[str | None]


class KillSwitchRow(Base):
    """What was done with the kill switch, as far as the database was there to be told."""

    __tablename__ = "kill_switch_events"
    __table_args__ = (
        CheckConstraint("event IN ('armed', 'disarm_requested', 'disarmed')", name="event_known"),
        UniqueConstraint("event_id"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str]
    event: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]

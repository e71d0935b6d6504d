"""Tables of order management: what it reported, how it was heard, and what was found beside it.

Everything that was reported is only added; executions are a hash chain as well. What has been read
of a drop copy, and observations of funding, are bookmarks and samples: they move and are pruned.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base, exact_amount

_STRICT: Final = {"sqlite_strict": True}
WAYS: Final = ("fix", "csv", "webhook")
_WAY_KNOWN: Final = "way IN ('fix', 'csv', 'webhook')"


class ExecutionRow(Base):
    """An execution as it was first reported; ``source`` is the name of the order management."""

    __tablename__ = "oms_executions"
    __table_args__ = (
        UniqueConstraint("source", "execution_id"),
        CheckConstraint("kind IN ('trade', 'bust', 'correction')", name="kind_known"),
        CheckConstraint("(kind = 'trade') = (refers_to = '')", name="later_refers"),
        CheckConstraint("side IN ('buy', 'sell')", name="side_known"),
        CheckConstraint(_WAY_KNOWN, name="way_known"),
        exact_amount("quantity"),
        exact_amount("execution_price"),
        Index("ix_oms_executions_known_since", "known_since"),
        Index("ix_oms_executions_refers_to", "refers_to"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    execution_id: Mapped[str]
    kind: Mapped[str]
    refers_to: Mapped[str]
    account_id: Mapped[str]
    instrument_id: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    execution_price: Mapped[Decimal]
    executed_at: Mapped[datetime]
    known_since: Mapped[datetime]
    """Order management's own stamp of its first report, else that of the execution."""
    way: Mapped[str]
    details: Mapped[dict[str, object]]
    body_hash: Mapped[str]
    received_at: Mapped[datetime]
    hash: Mapped[str]


class ExecutionConflictRow(Base):
    """An identifier that came again with another content; the first one stands."""

    __tablename__ = "oms_conflicts"
    __table_args__ = (
        UniqueConstraint("source", "execution_id", "body_hash"),
        CheckConstraint(_WAY_KNOWN, name="way_known"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    execution_id: Mapped[str]
    body_hash: Mapped[str]
    body: Mapped[dict[str, object]]
    way: Mapped[str]
    received_at: Mapped[datetime]


class UnreadableExecutionRow(Base):
    """Something that is no execution, as it came, with the reason."""

    __tablename__ = "oms_quarantine"
    __table_args__ = (
        UniqueConstraint("source", "raw_hash"),
        CheckConstraint(_WAY_KNOWN, name="way_known"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    way: Mapped[str]
    identifier: Mapped[str]
    reason: Mapped[str]
    raw: Mapped[str]
    raw_hash: Mapped[str]
    received_at: Mapped[datetime]


class OpeningRow(Base):
    """A line of what order management held at an instant."""

    __tablename__ = "oms_openings"
    __table_args__ = (
        UniqueConstraint("source", "account_id", "as_of", "instrument_id"),
        CheckConstraint(_WAY_KNOWN, name="way_known"),
        exact_amount("quantity"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    account_id: Mapped[str]
    as_of: Mapped[datetime]
    instrument_id: Mapped[str]
    quantity: Mapped[Decimal]
    way: Mapped[str]
    received_at: Mapped[datetime]


class TakenFileRow(Base):
    """A file that was taken in, by its content."""

    __tablename__ = "oms_files"
    __table_args__ = (_STRICT,)
    content_hash: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    name: Mapped[str]
    summary: Mapped[dict[str, object]]
    received_at: Mapped[datetime]


class ChannelEventRow(Base):
    """What happened to the drop copy's session, and what a person decided about it."""

    __tablename__ = "oms_channel_events"
    __table_args__ = (_STRICT,)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str]
    event: Mapped[str]
    details: Mapped[dict[str, object]]
    actor: Mapped[str]
    reason: Mapped[str]
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class ChannelRow(Base):
    """When order management was last heard, and how far its spool has been read."""

    __tablename__ = "oms_channels"
    __table_args__ = (CheckConstraint("read_to >= 0", name="read_to_counted"), _STRICT)
    source: Mapped[str] = mapped_column(primary_key=True)
    heard_at: Mapped[datetime]
    spool: Mapped[str]
    read_to: Mapped[int]


class FundingSampleRow(Base):
    """What was seen of a held perpetual in one round."""

    __tablename__ = "funding_samples"
    __table_args__ = (
        *(exact_amount(name) for name in ("quantity", "mark_price", "funding_rate")),
        Index("ix_funding_samples_observed_at", "observed_at"),
        _STRICT,
    )
    place: Mapped[str] = mapped_column(primary_key=True)
    instrument_id: Mapped[str] = mapped_column(primary_key=True)
    observed_at: Mapped[datetime] = mapped_column(primary_key=True)
    quantity: Mapped[Decimal]
    mark_price: Mapped[Decimal]
    funding_rate: Mapped[Decimal]


class FundingCheckRow(Base):
    """A funding instant of a position: what the venue booked, and what was due."""

    __tablename__ = "funding_checks"
    __table_args__ = (
        UniqueConstraint("place", "instrument_id", "asset", "funded_at"),
        CheckConstraint(
            "verdict IN ('agreed', 'differs', 'missing', 'not_judged')", name="verdict_known"
        ),
        *(exact_amount(name) for name in ("booked", "due_low", "due_high", "quantity")),
        Index("ix_funding_checks_verdict", "verdict"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[str]
    instrument_id: Mapped[str]
    asset: Mapped[str]
    funded_at: Mapped[datetime]
    booked: Mapped[Decimal | None]
    due_low: Mapped[Decimal]
    due_high: Mapped[Decimal]
    quantity: Mapped[Decimal]
    verdict: Mapped[str]
    why: Mapped[str]
    recorded_at: Mapped[datetime]


class BreakAcceptanceRow(Base):
    """A person's word that a difference stays as it is: bound to what it was when they saw it."""

    __tablename__ = "break_acceptances"
    __table_args__ = (UniqueConstraint("break_id", "evidence"), _STRICT)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    break_id: Mapped[str]
    evidence: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]

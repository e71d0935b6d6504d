"""Tables of the intraday loop: who leads, what came in, what was decided upon which marks."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base

_STRICT: Final = {"sqlite_strict": True}


class LoopLeaseRow(Base):
    """The process that leads; whoever takes over raises the epoch, which only rises.

    A process whose epoch is no longer the one here has lost the lead, however long it slept.
    """

    __tablename__ = "loop_leases"
    __table_args__ = (CheckConstraint("epoch > 0", name="epoch_positive"), _STRICT)
    name: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    holder: Mapped[str]
    acquired_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    beats: Mapped[int]
    """Counts renewals: a standby watches it by its own clock, not by the holder's."""


class InboxRow(Base):
    """A report that changed the book: fills, holdings, orders. Never dropped, each counted once."""

    __tablename__ = "intraday_inbox"
    __table_args__ = (UniqueConstraint("source", "message_id"), _STRICT)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    source: Mapped[str]
    message_id: Mapped[str]
    kind: Mapped[str]
    body: Mapped[dict[str, object]]
    received_at: Mapped[datetime]


class DecisionRow(Base):
    """What the loop decided at one instant, and everything that it rested on.

    ``marks`` holds the prices that moved since the decision before (``infra/intraday/packing``):
    all of them up to this one, on top of the run's snapshot, are the market of the decision.
    """

    __tablename__ = "intraday_decisions"
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        CheckConstraint("n_calls >= 0 AND n_withdrawn >= 0", name="counts_sound"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    number: Mapped[int]
    epoch: Mapped[int]
    decided_at: Mapped[datetime]
    inbox_position: Mapped[int]
    n_calls: Mapped[int]
    n_withdrawn: Mapped[int]
    marks: Mapped[bytes] = mapped_column(LargeBinary())
    facts: Mapped[dict[str, object]]
    """What was degraded at that instant."""
    hash: Mapped[str]


class IntradayCallRow(Base):
    """A call of the loop: its decision, whose it is, and the figures that it follows from."""

    __tablename__ = "intraday_calls"
    __table_args__ = (_STRICT,)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    number: Mapped[int]
    netting_set_id: Mapped[str]
    client_id: Mapped[str]
    figures: Mapped[dict[str, object]]


class CheckpointRow(Base):
    """Where a restarted loop takes up: rewritten every few seconds, history is in the journal."""

    __tablename__ = "intraday_checkpoints"
    __table_args__ = (_STRICT,)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    taken_at: Mapped[datetime]
    number: Mapped[int]
    inbox_position: Mapped[int]
    marks: Mapped[bytes] = mapped_column(LargeBinary())
    levels: Mapped[bytes] = mapped_column(LargeBinary())
    state_hash: Mapped[str]

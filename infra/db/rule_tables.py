"""Tables of the rule book: parameter bodies, their versions by date, and proposals of new ones."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base

_STRICT: Final = {"sqlite_strict": True}


class ParameterBodyRow(Base):
    """Parameters as canonical text, named by its hash; any number of versions may point here."""

    __tablename__ = "parameter_bodies"
    __table_args__ = _STRICT
    parameters_hash: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str]
    body: Mapped[str]


class ParameterSetRow(Base):
    """From which date which parameters are in force, and since when we know; a hash chain."""

    __tablename__ = "parameter_sets"
    __table_args__ = (
        CheckConstraint("origin IN ('shipped', 'folder', 'activated')", name="origin_known"),
        CheckConstraint("state IN ('in_force', 'withdrawn', 'retracted')", name="state_known"),
        CheckConstraint("(state = 'in_force') = (parameters_hash IS NOT NULL)", name="has_body"),
        Index("ix_parameter_sets_key", "venue", "model", "scope", "effective_date"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    venue: Mapped[str]
    model: Mapped[str]
    scope: Mapped[str]
    effective_date: Mapped[date]
    state: Mapped[str]
    origin: Mapped[str]
    source: Mapped[str]
    evidence: Mapped[str]
    parameters_hash: Mapped[str | None] = mapped_column(
        ForeignKey("parameter_bodies.parameters_hash")
    )
    reference: Mapped[str]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class ParameterFileRow(Base):
    """Which content of a parameter file has been taken over; the last row of a file counts."""

    __tablename__ = "parameter_files"
    __table_args__ = (Index("ix_parameter_files_name", "origin", "name", "position"), _STRICT)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str]
    name: Mapped[str]
    content_hash: Mapped[str]
    recorded_at: Mapped[datetime]


class ProposalRow(Base):
    """Parameters that somebody wants in force; ``content`` lists them and its hash binds them."""

    __tablename__ = "rule_proposals"
    __table_args__ = _STRICT
    proposal_id: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[str]
    content: Mapped[str]
    title: Mapped[str]
    proposer: Mapped[str]
    recorded_at: Mapped[datetime]


class ProposalEventRow(Base):
    """What became of a proposal; rows are only added."""

    __tablename__ = "rule_proposal_events"
    __table_args__ = (
        CheckConstraint("event IN ('shadowed', 'activated', 'rejected')", name="event_known"),
        Index("ix_rule_proposal_events_proposal", "proposal_id", "position"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    proposal_id: Mapped[str] = mapped_column(ForeignKey("rule_proposals.proposal_id"))
    event: Mapped[str]
    actor: Mapped[str]
    details: Mapped[dict[str, object]]
    recorded_at: Mapped[datetime]

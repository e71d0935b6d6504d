"""The tables. ``STRICT`` on SQLite, where a column would otherwise take any type.

Rules that the engine of the database can hold are constraints here; that rows are only ever
added is a matter of triggers (``migrations/``).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from infra.db.column_types import (
    BusinessDate,
    CanonicalJson,
    ExactAmount,
    MinorUnits,
    Position,
    UtcInstant,
)

_STRICT: Final = {"sqlite_strict": True}
OPEN_CALL: Final = "state NOT IN ('settled', 'superseded', 'withdrawn')"
FRESH: Final = "status = 'assessed'"


class Base(DeclarativeBase):
    """Registry of all tables and of the types behind the annotations."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        str: Text(),
        int: Position,
        date: BusinessDate(),
        datetime: UtcInstant(),
        Decimal: ExactAmount(),
        dict[str, object]: CanonicalJson(),
    }


def positive_units(column: str) -> tuple[CheckConstraint, CheckConstraint]:
    """Return the checks, one per engine, that a column holds a positive whole number."""
    sqlite = f"{column} NOT GLOB '*[^0-9]*' AND {column} GLOB '[1-9]*' AND length({column}) <= 38"
    postgresql = f"{column} > 0 AND {column} = trunc({column}) AND {column} < 1e38"
    return (
        CheckConstraint(sqlite, name=f"{column}_digits").ddl_if(dialect="sqlite"),
        CheckConstraint(postgresql, name=f"{column}_digits").ddl_if(dialect="postgresql"),
    )


def exact_amount(column: str) -> CheckConstraint:
    """Return the check, needed on SQLite alone, that a text column holds a plain decimal."""
    digits = f"ltrim({column}, '-')"
    rule = (
        f"{digits} NOT GLOB '*[^0-9.]*' AND {digits} GLOB '[0-9]*' AND {digits} GLOB '*[0-9]' "
        f"AND {digits} NOT GLOB '*.*.*' AND length({column}) - length({digits}) <= 1"
    )
    return CheckConstraint(rule, name=f"{column}_decimal").ddl_if(dialect="sqlite")


class SnapshotRow(Base):
    """What a run looked at; the frames are in the store."""

    __tablename__ = "snapshots"
    __table_args__ = _STRICT
    snapshot_id: Mapped[str] = mapped_column(primary_key=True)
    business_date: Mapped[date]
    as_of: Mapped[datetime]
    content_hashes: Mapped[dict[str, object]]
    recorded_at: Mapped[datetime]


class RuleBookRow(Base):
    """A rule book: in force from its effective date, known to us from its recorded date."""

    __tablename__ = "rule_books"
    __table_args__ = (
        Index("ix_rule_books_effective", "effective_date", "recorded_at"),
        _STRICT,
    )
    rule_book_hash: Mapped[str] = mapped_column(primary_key=True)
    effective_date: Mapped[date]
    recorded_at: Mapped[datetime]
    source: Mapped[str]
    content: Mapped[str]


class RunRow(Base):
    """One run per kind, business date and sequence."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("kind", "business_date", "sequence"),
        CheckConstraint("sequence > 0", name="sequence_positive"),
        CheckConstraint(
            "status IN ('running', 'completed', 'incomplete', 'failed')", name="status_known"
        ),
        _STRICT,
    )
    run_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    business_date: Mapped[date]
    sequence: Mapped[int]
    status: Mapped[str]
    inputs: Mapped[dict[str, object]]
    code_version: Mapped[str]
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.snapshot_id"))
    rule_book_hash: Mapped[str | None] = mapped_column(ForeignKey("rule_books.rule_book_hash"))
    supersedes: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    summary: Mapped[dict[str, object] | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class StepRow(Base):
    """What a step of a run achieved; a rerun finds it here."""

    __tablename__ = "steps"
    __table_args__ = _STRICT
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    result: Mapped[dict[str, object]]
    output_hash: Mapped[str]
    finished_at: Mapped[datetime]


class RequirementRow(Base):
    """What a netting set owes in one run; components in full precision as JSON."""

    __tablename__ = "requirements"
    __table_args__ = (
        exact_amount("requirement_amount"),
        exact_amount("collateral_amount"),
        exact_amount("call_amount"),
        exact_amount("venue_amount"),
        exact_amount("owed_amount"),
        CheckConstraint("status IN ('assessed', 'held', 'failed')", name="status_known"),
        CheckConstraint("binding IN ('house', 'venue', 'unknown')", name="binding_known"),
        Index(
            "ix_requirements_fresh",
            "netting_set_id",
            "business_date",
            sqlite_where=text(FRESH),
            postgresql_where=text(FRESH),
        ),
        _STRICT,
    )
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    netting_set_id: Mapped[str] = mapped_column(primary_key=True)
    business_date: Mapped[date]
    client_id: Mapped[str]
    currency: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    requirement_amount: Mapped[Decimal | None]
    collateral_amount: Mapped[Decimal | None]
    call_amount: Mapped[Decimal | None]
    call_action: Mapped[str]
    components: Mapped[dict[str, object]]
    venue_amount: Mapped[Decimal | None]
    owed_amount: Mapped[Decimal | None]
    binding: Mapped[str | None]


class VenueMarginRow(Base):
    """What a venue demands of one account in one run; other figures in full precision as JSON."""

    __tablename__ = "venue_margins"
    __table_args__ = (
        exact_amount("initial_margin_amount"),
        exact_amount("maintenance_margin_amount"),
        CheckConstraint("status IN ('assessed', 'failed', 'unmodelled')", name="status_known"),
        Index("ix_venue_margins_account", "account_id", "business_date"),
        _STRICT,
    )
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    business_date: Mapped[date]
    venue: Mapped[str]
    client_id: Mapped[str]
    netting_set_id: Mapped[str]
    account_mode: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    currency: Mapped[str]
    initial_margin_amount: Mapped[Decimal | None]
    maintenance_margin_amount: Mapped[Decimal | None]
    evidence: Mapped[str]
    drift_class: Mapped[str]
    figures: Mapped[dict[str, object]]


class CallRow(Base):
    """A demand (or return) of margin; all but ``state`` and ``n_events`` never changes."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("netting_set_id", "margin_type", "business_date", "sequence"),
        CheckConstraint("direction IN ('call', 'return')", name="direction_known"),
        CheckConstraint("n_events > 0", name="n_events_positive"),
        exact_amount("amount"),
        CheckConstraint("amount NOT GLOB '-*' AND amount GLOB '*[1-9]*'", name="positive").ddl_if(
            dialect="sqlite"
        ),
        CheckConstraint("amount > 0 AND amount < 1e60", name="positive").ddl_if(
            dialect="postgresql"
        ),
        # At most one open call per netting set and margin type.
        Index(
            "uq_calls_open",
            "netting_set_id",
            "margin_type",
            unique=True,
            sqlite_where=text(OPEN_CALL),
            postgresql_where=text(OPEN_CALL),
        ),
        Index("ix_calls_run_id", "run_id"),
        Index("ix_calls_business_date", "business_date"),
        _STRICT,
    )
    call_id: Mapped[str] = mapped_column(primary_key=True)
    netting_set_id: Mapped[str]
    margin_type: Mapped[str]
    business_date: Mapped[date]
    sequence: Mapped[int]
    direction: Mapped[str]
    amount: Mapped[Decimal]
    currency: Mapped[str]
    due_at: Mapped[datetime]
    first_due_at: Mapped[datetime]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("snapshots.snapshot_id"))
    rule_book_hash: Mapped[str] = mapped_column(ForeignKey("rule_books.rule_book_hash"))
    supersedes: Mapped[str | None] = mapped_column(ForeignKey("calls.call_id"))
    state: Mapped[str]
    n_events: Mapped[int]


class CallEventRow(Base):
    """One step in the life of a call; rows are only added and each is linked to the one before."""

    __tablename__ = "call_events"
    __table_args__ = (
        UniqueConstraint("call_id", "number"),
        Index("ix_call_events_run_id", "run_id"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"))
    number: Mapped[int]
    state: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class AssetRow(Base):
    """Decimals of the minor unit in which an asset is booked."""

    __tablename__ = "ledger_assets"
    __table_args__ = (CheckConstraint("scale BETWEEN 0 AND 18", name="scale_range"), _STRICT)
    asset: Mapped[str] = mapped_column(primary_key=True)
    scale: Mapped[int]


class AccountRow(Base):
    """An account of the ledger: ``<kind>:<owner>``."""

    __tablename__ = "ledger_accounts"
    __table_args__ = _STRICT
    account: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    owner: Mapped[str]
    opened_at: Mapped[datetime]


class EntryRow(Base):
    """A business fact that moved assets; its key makes a repetition find the first one."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("business_key"),
        UniqueConstraint("corrects"),
        Index("ix_ledger_entries_run_id", "run_id"),
        Index("ix_ledger_entries_kind", "kind", "business_date"),
        Index("ix_ledger_entries_recorded_at", "recorded_at"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    business_key: Mapped[str]
    body_hash: Mapped[str]
    kind: Mapped[str]
    business_date: Mapped[date]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    corrects: Mapped[int | None] = mapped_column(ForeignKey("ledger_entries.position"))
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class PostingRow(Base):
    """One movement of a positive amount of one asset: the sum per asset is zero by construction."""

    __tablename__ = "ledger_postings"
    __table_args__ = (
        CheckConstraint("debit <> credit", name="two_accounts"),
        *positive_units("amount"),
        Index("ix_ledger_postings_debit", "debit", "asset"),
        Index("ix_ledger_postings_credit", "credit", "asset"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(ForeignKey("ledger_entries.position"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    debit: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"))
    credit: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"))
    asset: Mapped[str] = mapped_column(ForeignKey("ledger_assets.asset"))
    amount: Mapped[int] = mapped_column(MinorUnits())


class BreakRow(Base):
    """A reconciliation difference from the day it was first seen to the day it vanished."""

    __tablename__ = "breaks"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'closed')", name="status_known"),
        CheckConstraint("last_seen >= first_seen", name="dates_ordered"),
        Index(
            "uq_breaks_open",
            "break_id",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        _STRICT,
    )
    break_id: Mapped[str] = mapped_column(primary_key=True)
    first_seen: Mapped[date] = mapped_column(primary_key=True)
    last_seen: Mapped[date]
    status: Mapped[str]
    owner: Mapped[str]
    facts: Mapped[dict[str, object]]
    last_run: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))


class BreakEventRow(Base):
    """What a run saw of a break, or who took it over; rows are only added."""

    __tablename__ = "break_events"
    __table_args__ = (
        CheckConstraint(
            "event IN ('opened', 'persisted', 'reopened', 'closed', 'assigned')", name="event_known"
        ),
        Index("ix_break_events_break", "break_id", "position"),
        Index("ix_break_events_run_id", "run_id"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    break_id: Mapped[str]
    first_seen: Mapped[date]
    event: Mapped[str]
    business_date: Mapped[date | None]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    actor: Mapped[str]
    facts: Mapped[dict[str, object]]
    recorded_at: Mapped[datetime]


class AuditRow(Base):
    """Who did what and when; each row is linked to the one before."""

    __tablename__ = "audit"
    __table_args__ = _STRICT
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, object]]
    hash: Mapped[str]

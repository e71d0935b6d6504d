"""Tables of the ledger beside entries and postings: holds, how they ended, attestations, balances.

Holds, resolutions and attestations are only added and are hash chains. Balances and backing are
sums of all that, kept in the transaction of what changes them; ``ledger verify`` folds them anew.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.column_types import MinorUnits, SignedUnits
from infra.db.tables import Base, positive_units

_STRICT: Final = {"sqlite_strict": True}


def signed_units(column: str) -> tuple[CheckConstraint, CheckConstraint]:
    """Return the checks, one per engine, that a column holds a whole number of any sign."""
    digits = f"ltrim({column}, '-')"
    sqlite = (
        f"({column} = '0' OR {digits} GLOB '[1-9]*') AND {digits} NOT GLOB '*[^0-9]*' "
        f"AND length({column}) - length({digits}) <= 1 AND length({digits}) <= 60"
    )
    postgresql = f"{column} = trunc({column}) AND abs({column}) < 1e60"
    return (
        CheckConstraint(sqlite, name=f"{column}_digits").ddl_if(dialect="sqlite"),
        CheckConstraint(postgresql, name=f"{column}_digits").ddl_if(dialect="postgresql"),
    )


def not_negative(column: str) -> tuple[CheckConstraint, CheckConstraint]:
    """Return the checks, one per engine, that a column of units is zero or more."""
    return (
        CheckConstraint(f"{column} NOT GLOB '-*'", name=f"{column}_not_negative").ddl_if(
            dialect="sqlite"
        ),
        CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative").ddl_if(
            dialect="postgresql"
        ),
    )


def floor() -> tuple[CheckConstraint, CheckConstraint]:
    """Return the checks, one per engine, that what is somewhere covers what is held of it."""
    exempt = "substr(account, 1, 9) <> 'location:' AND substr(account, 1, 8) <> 'transit:'"
    # Digits without leading zeros compare as numbers by length first, then as text.
    covered = (
        "posted NOT GLOB '-*' AND (length(held) < length(posted) "
        "OR (length(held) = length(posted) AND held <= posted))"
    )
    return (
        CheckConstraint(f"({exempt}) OR ({covered})", name="floor").ddl_if(dialect="sqlite"),
        CheckConstraint(f"({exempt}) OR posted - held >= 0", name="floor").ddl_if(
            dialect="postgresql"
        ),
    )


class HoldRow(Base):
    """An amount set aside; its key makes a repetition find the first one."""

    __tablename__ = "ledger_holds"
    __table_args__ = (
        UniqueConstraint("hold_key"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        *positive_units("amount"),
        Index("ix_ledger_holds_debit", "debit", "asset"),
        Index("ix_ledger_holds_expires_at", "expires_at"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hold_key: Mapped[str]
    debit: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"))
    credit: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"))
    asset: Mapped[str] = mapped_column(ForeignKey("ledger_assets.asset"))
    amount: Mapped[int] = mapped_column(MinorUnits())
    business_date: Mapped[date]
    expires_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class HoldResolutionRow(Base):
    """How a hold ended: at most one row per hold, never more posted than was held (a trigger)."""

    __tablename__ = "ledger_hold_resolutions"
    __table_args__ = (
        UniqueConstraint("hold"),
        UniqueConstraint("entry"),
        CheckConstraint("outcome IN ('posted', 'voided', 'expired')", name="outcome_known"),
        CheckConstraint(
            "(outcome = 'posted') = (posted_amount IS NOT NULL) "
            "AND (outcome = 'posted') = (entry IS NOT NULL)",
            name="posted_has_entry",
        ),
        *positive_units("posted_amount"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hold: Mapped[int] = mapped_column(ForeignKey("ledger_holds.position"))
    outcome: Mapped[str]
    posted_amount: Mapped[int | None] = mapped_column(MinorUnits())
    entry: Mapped[int | None] = mapped_column(ForeignKey("ledger_entries.position"))
    reason: Mapped[str]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class AttestationRow(Base):
    """What an outside source says is held at a place.

    ``counted_quantity`` is that quantity after what was booked between ``as_of`` and
    ``after_entry``, the last entry before this row.
    """

    __tablename__ = "ledger_attestations"
    __table_args__ = (
        UniqueConstraint("asset", "account", "as_of", "source"),
        *signed_units("quantity"),
        *not_negative("quantity"),
        *signed_units("counted_quantity"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    asset: Mapped[str] = mapped_column(ForeignKey("ledger_assets.asset"))
    account: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"))
    quantity: Mapped[int] = mapped_column(SignedUnits())
    as_of: Mapped[datetime]
    source: Mapped[str]
    after_entry: Mapped[int]
    counted_quantity: Mapped[int] = mapped_column(SignedUnits())
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class BalanceRow(Base):
    """What postings, holds and attestations add up to for one account and asset."""

    __tablename__ = "ledger_balances"
    __table_args__ = (
        *signed_units("posted"),
        *signed_units("held"),
        *not_negative("held"),
        *signed_units("attested"),
        *floor(),
        _STRICT,
    )
    account: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.account"), primary_key=True)
    asset: Mapped[str] = mapped_column(ForeignKey("ledger_assets.asset"), primary_key=True)
    posted: Mapped[int] = mapped_column(SignedUnits())
    held: Mapped[int] = mapped_column(SignedUnits())
    attested: Mapped[int] = mapped_column(SignedUnits())


class BackingRow(Base):
    """What is credited to clients and what is attested, by asset; a trigger keeps it backed."""

    __tablename__ = "ledger_backing"
    __table_args__ = (*signed_units("credited"), *signed_units("attested"), _STRICT)
    asset: Mapped[str] = mapped_column(ForeignKey("ledger_assets.asset"), primary_key=True)
    credited: Mapped[int] = mapped_column(SignedUnits())
    attested: Mapped[int] = mapped_column(SignedUnits())
    n_attestations: Mapped[int]


class VenueCursorRow(Base):
    """The watermark up to which the history of a place is booked."""

    __tablename__ = "venue_cursors"
    __table_args__ = _STRICT
    place: Mapped[str] = mapped_column(primary_key=True)
    watermark: Mapped[str]
    read_at: Mapped[datetime]

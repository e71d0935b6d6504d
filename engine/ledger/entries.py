"""What the ledger records: postings in entries, and holds that become one or are released.

Amounts are whole minor units of their asset, never floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from engine.errors import LedgerError
from engine.ledger.accounts import kind_of

# 38 digits hold the supply of any token with 18 decimals, where 64 bits overflow.
MINOR_UNITS_MAX: Final = 10**38 - 1


@dataclass(frozen=True, slots=True, order=True)
class Posting:
    """``amount`` minor units of ``asset`` from ``debit`` to ``credit``."""

    debit: str
    credit: str
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A business fact: all its postings are booked, or none. ``corrects`` names another's key."""

    business_key: str
    kind: str
    business_date: date
    run_id: str | None
    postings: tuple[Posting, ...]
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """``amount`` set aside on ``debit`` until it is posted to ``credit`` or released.

    It counts against the floor of ``debit`` at once, and moves nothing. ``expires_at`` is when
    ``expire_holds`` may release it; a hold without it waits for its resolution for ever.
    """

    hold_key: str
    debit: str
    credit: str
    asset: str
    amount: int
    business_date: date
    expires_at: datetime | None = None

    @property
    def posting(self) -> Posting:
        """Return the movement that is held."""
        return Posting(self.debit, self.credit, self.asset, self.amount)


def require_valid_entry(entry: Entry, assets: frozenset[str]) -> None:
    """Raise LedgerError unless every posting moves a positive amount between two accounts."""
    if not entry.postings:
        raise LedgerError(f"entry {entry.business_key} has no postings")
    for posting in entry.postings:
        _require_valid(f"entry {entry.business_key}", posting, assets)


def require_valid_hold(hold: Hold, assets: frozenset[str]) -> None:
    """Raise LedgerError unless the hold sets a positive amount aside between two accounts."""
    if not hold.hold_key:
        raise LedgerError("a hold needs a key")
    _require_valid(f"hold {hold.hold_key}", hold.posting, assets)


def _require_valid(name: str, posting: Posting, assets: frozenset[str]) -> None:
    if posting.asset not in assets:
        raise LedgerError(
            f"{name}: asset {posting.asset} is not registered", identifier=posting.asset
        )
    if posting.debit == posting.credit:
        raise LedgerError(
            f"{name} moves {posting.asset} from {posting.debit} to itself",
            identifier=posting.debit,
        )
    for account in (posting.debit, posting.credit):
        kind_of(account)
    if type(posting.amount) is not int or not 0 < posting.amount <= MINOR_UNITS_MAX:
        raise LedgerError(
            f"{name} moves {posting.amount!r} {posting.asset}: limit is a positive whole number "
            f"of minor units, up to {MINOR_UNITS_MAX}",
            identifier=name,
            value=posting.amount,
        )

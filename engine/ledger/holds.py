"""The life of a hold: pending, then posted in whole or part, voided or expired; exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from engine.errors import LedgerError
from engine.ledger.entries import Hold

Outcome: TypeAlias = Literal["posted", "voided", "expired"]
HoldState: TypeAlias = Literal["pending", "posted", "voided", "expired"]

# Every end is final: nothing follows a resolution.
MAY_FOLLOW: Final[dict[HoldState, frozenset[HoldState]]] = {
    "pending": frozenset({"posted", "voided", "expired"}),
    "posted": frozenset(),
    "voided": frozenset(),
    "expired": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a hold ended: ``posted_amount`` was moved, the rest of the hold was released."""

    outcome: Outcome
    posted_amount: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HeldAmount:
    """A hold and its resolution, None while it is pending."""

    hold: Hold
    resolution: Resolution | None = None

    @property
    def state(self) -> HoldState:
        """Return where the hold is in its life."""
        return "pending" if self.resolution is None else self.resolution.outcome

    @property
    def released_amount(self) -> int:
        """Return what was set free again; posted and released part make up the hold (I-10)."""
        if self.resolution is None:
            return 0
        return self.hold.amount - self.resolution.posted_amount


def is_repetition(found: HeldAmount, wanted: Resolution) -> bool:
    """Return whether ``wanted`` is what has ended the hold already; False while it is pending.

    Raises
    ------
    LedgerError
        If the hold has ended otherwise, or less than one unit or more than is held is posted.
    """
    hold = found.hold
    amount = wanted.posted_amount
    if wanted.outcome == "posted" and not (type(amount) is int and 0 < amount <= hold.amount):
        raise LedgerError(
            f"hold {hold.hold_key} of {hold.amount} minor units of {hold.asset} cannot post "
            f"{amount!r}: limit is 1 to {hold.amount}",
            identifier=hold.hold_key,
            value=amount,
            limit=f"1 to {hold.amount}",
        )
    if wanted.outcome in MAY_FOLLOW[found.state]:
        return False
    done = found.resolution
    if done and (done.outcome, done.posted_amount) == (wanted.outcome, wanted.posted_amount):
        return True
    said = f"{found.state} with {done.posted_amount}" if done and amount else found.state
    raise LedgerError(
        f"hold {hold.hold_key} is {said} already and cannot be {wanted.outcome}: a hold ends once",
        identifier=hold.hold_key,
        value=wanted.outcome,
        limit=found.state,
    )

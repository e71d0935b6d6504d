"""What follows an acceptance: debit and credit, two facts, each seen when it is seen (I-15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from engine.errors import ModelInputError
from engine.ports import TransferReport
from engine.transfers.fees import require_fee
from engine.transfers.intent import TransferIntent
from engine.transfers.policy import TransferPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What both sides have said so far.

    Attributes
    ----------
    is_debited, is_credited : bool
        Whether the source has paid, and the destination has received.
    fee : int
        What was kept on the way; known with the credit. [minor units]
    is_returned : bool
        The venue has refused or called back what it had accepted.
    ask : str
        Why a person has to look, or empty.
    reason : str
        The venue's words where it returned the transfer.
    """

    is_debited: bool = False
    is_credited: bool = False
    fee: int = 0
    is_returned: bool = False
    ask: str = ""
    reason: str = ""


def follow(
    intent: TransferIntent, reports: Sequence[TransferReport], policy: TransferPolicy
) -> Followed:
    """Return what the reports of the source's side and the destination's side add up to.

    A credit includes the debit: what has arrived has left. A quantity other than the one that was
    asked for, a fee out of bounds, and a return after a credit are for a person.
    """
    for report in reports:
        if report.quantity != intent.quantity:
            words = f"the venue reports {report.quantity} {intent.asset}, not {intent.quantity}"
            return Followed(ask=words)
    arrivals = [report for report in reports if _is_credit(report)]
    returns = [report for report in reports if report.status in ("rejected", "cancelled")]
    if returns and arrivals:
        return Followed(ask="one side reports a credit, the other that it was returned")
    if returns:
        words = f"{returns[0].status} by the venue: {returns[0].reason or 'no reason'}"
        return Followed(is_returned=True, reason=words)
    if arrivals:
        fees = sorted({report.fee for report in reports if report.fee} or {Decimal(0)})
        if len(fees) > 1:
            return Followed(is_debited=True, ask=f"both sides report other fees: {fees}")
        try:
            fee = require_fee(intent, fees[0], policy)
        except ModelInputError as error:
            return Followed(is_debited=True, ask=str(error))
        return Followed(is_debited=True, is_credited=True, fee=fee)
    return Followed(is_debited=any(_is_debit(report) for report in reports))


def is_credit_overdue(debited_at: datetime, now: datetime, policy: TransferPolicy) -> bool:
    """Return whether the credit is missing for longer than the policy waits."""
    return now >= debited_at + timedelta(seconds=policy.timing.credit_due_seconds)


def is_final(credited_at: datetime, now: datetime, policy: TransferPolicy) -> bool:
    """Return whether a credit has stood long enough."""
    return now >= credited_at + timedelta(seconds=policy.timing.final_after_seconds)


def _is_debit(report: TransferReport) -> bool:
    if report.is_debited is not None:
        return report.is_debited
    return report.status in ("done", "credited")


def _is_credit(report: TransferReport) -> bool:
    if report.is_credited is not None:
        return report.is_credited
    return report.status == "credited"

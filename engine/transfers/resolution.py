"""What to do about a transfer whose outcome is unknown (I-06, I-07).

"Not found" is not "not executed": a request may still be on its way. Only after the route's
quiescence, widened by the difference of clocks, does an absent transfer say anything, and then
only together with a source balance that has not moved is it declared not executed. Sending again
uses the same key and needs a venue that executes a key at most once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

from engine.errors import RejectCause
from engine.money import MONEY_CONTEXT
from engine.ports import RouteGuarantees, TransferReport
from engine.transfers.policy import Timing

Lookup: TypeAlias = Literal["found", "absent", "unanswered", "impossible"]
BalanceVerdict: TypeAlias = Literal["debited", "unmoved", "unclear"]
Verdict: TypeAlias = Literal["done", "rejected", "resend", "wait", "ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What our record says of the sendings so far.

    Attributes
    ----------
    sent_at, first_sent_at : datetime
        The latest and the first commit of "the bytes may leave now".
    attempts : int
        Sendings so far, at least 1.
    quantity : Decimal
        What was asked to be moved. [asset]
    refusal : RejectCause, optional
        Why a later sending of the same key was refused, where an earlier one may have worked.
    n_looks : int
        How often the venue was asked since the latest sending.
    """

    sent_at: datetime
    first_sent_at: datetime
    attempts: int
    quantity: Decimal
    refusal: RejectCause | None = None
    n_looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found out at ``looked_at``.

    ``lookup`` is ``absent`` only if the venue's answer was complete, ``unanswered`` if it failed
    or may lack something, ``impossible`` if the route has no lookup by key.
    """

    looked_at: datetime
    lookup: Lookup
    report: TransferReport | None = None
    balance: BalanceVerdict = "unclear"


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: ``wait`` says until when, the others are carried out now."""

    verdict: Verdict
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceEvidence:
    """The source's balance around a sending. [asset]

    Attributes
    ----------
    before, now : Decimal
        What was held just before the sending, and what is held when asked.
    later_debits : Decimal
        Own transfers out of the same place that were sent after this one and are debited: they
        cannot have been part of ``before``.
    possible_credits : Decimal
        Transfers into the same place that arrived, or may have arrived, in between: they could
        hide a debit.
    """

    before: Decimal
    now: Decimal
    later_debits: Decimal = Decimal(0)
    possible_credits: Decimal = Decimal(0)


def judge_balance(found: BalanceEvidence, quantity: Decimal, tolerance: float) -> BalanceVerdict:
    """Return what the source's balance says about a debit of ``quantity``.

    ``tolerance`` is the share of the quantity by which the balance may move by itself, for
    instance by funding. Whatever could be explained in two ways is ``unclear``.

    Examples
    --------
    >>> judge_balance(BalanceEvidence(before=Decimal(10), now=Decimal(10)), Decimal(4), 0.1)
    'unmoved'
    >>> judge_balance(BalanceEvidence(before=Decimal(10), now=Decimal(6)), Decimal(4), 0.1)
    'debited'
    """
    slack = MONEY_CONTEXT.multiply(quantity, Decimal(repr(float(tolerance))))
    change = MONEY_CONTEXT.add(MONEY_CONTEXT.subtract(found.now, found.before), found.later_debits)
    # A rise that nobody can explain may hide a debit just as well as a known credit.
    if abs(MONEY_CONTEXT.subtract(change, found.possible_credits)) <= slack:
        return "unmoved"
    if not found.possible_credits and abs(MONEY_CONTEXT.add(change, quantity)) <= slack:
        return "debited"
    return "unclear"


def quiet_at(sending: Sending, route: RouteGuarantees, timing: Timing) -> datetime:
    """Return from when on an absent transfer proves something."""
    return timing.quiet_at(sending.sent_at, route.quiescence)


def resolve(
    sending: Sending, route: RouteGuarantees, evidence: Evidence, timing: Timing
) -> Decision:
    """Return what to do about an unknown outcome.

    Parameters
    ----------
    sending : Sending
        Our record.
    route : RouteGuarantees
        What the route promises.
    evidence : Evidence
        The venue's answer and the source's balance, both asked now.
    timing : Timing
        Waits of the policy.

    Returns
    -------
    Decision
        ``done`` or ``rejected`` if the venue knows it, or two proofs say that it was not executed;
        ``resend`` with the same key; ``wait``; or ``ask`` a person.
    """
    if evidence.report is not None:
        return _of_report(sending, evidence.report)
    now = evidence.looked_at
    quiet = quiet_at(sending, route, timing)
    if now < quiet:
        soon = now + timing.pause(sending.n_looks)
        return Decision("wait", "not found yet, which proves nothing before", min(soon, quiet))
    if evidence.lookup == "unanswered":
        return _patience(sending, now, timing, "the venue does not answer whether it knows it")
    if evidence.lookup == "impossible":
        return Decision("ask", "the route has no lookup by key, so nothing can be proven")
    if evidence.balance == "debited":
        return _patience(sending, now, timing, "not found, yet the source's balance has fallen")
    if sending.refusal == "duplicate_key":
        return _patience(sending, now, timing, "refused as a duplicate, yet not found")
    if may_resend(sending, route, now, timing):
        return Decision("resend", "not found after quiescence; the venue keeps the key")
    if evidence.balance == "unmoved":
        why = "not found after quiescence and the source's balance has not moved"
        return Decision("rejected", f"not executed: {why}")
    return _patience(sending, now, timing, "not found, and the balance proves nothing")


def may_resend(sending: Sending, route: RouteGuarantees, now: datetime, timing: Timing) -> bool:
    """Return whether the same key may be sent again: the venue must execute it at most once.

    A key that the venue will have forgotten before the new request expires would be new to it.
    """
    if not route.is_keyed or route.duplicate_answer == "none" or sending.refusal is not None:
        return False
    if sending.attempts >= timing.attempts_max:
        return False
    if route.key_lifetime is None:
        return True
    latest = now + route.request_expiry + timing.skew + timedelta(seconds=1)
    return latest < sending.first_sent_at + route.key_lifetime


def _of_report(sending: Sending, report: TransferReport) -> Decision:
    if report.quantity != sending.quantity:
        return Decision(
            "ask", f"the venue knows {report.quantity} under this key, not {sending.quantity}"
        )
    if report.status in ("rejected", "cancelled"):
        return Decision("rejected", f"{report.status} by the venue: {report.reason or 'no reason'}")
    return Decision("done", f"the venue knows it as {report.venue_transfer_id}: {report.status}")


def _patience(sending: Sending, now: datetime, timing: Timing, fact: str) -> Decision:
    if timing.is_overdue(sending.sent_at, now):
        return Decision("ask", f"{fact}, for {timing.ask_after_seconds:g} s")
    return Decision("wait", fact, now + timing.pause(sending.n_looks))

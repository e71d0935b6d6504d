"""What to do about an order that may still act (I-06, I-07).

"Not found" is not "not executed": a request may still be on its way. Only after the venue's
quiescence, widened by the difference of clocks, does an absent order say anything, and then only
together with a position that has not moved is it declared not executed. An order is never sent
again: what is left goes under another key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Literal, TypeAlias

from engine.order_ports import OrderGuarantees, OrderReport
from engine.reduction.policy import OrderTiming

OrderVerdict: TypeAlias = Literal[
    "filled", "cancelled", "open", "cancel", "not_executed", "wait", "ask"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOrder:
    """What our record says of an order.

    Attributes
    ----------
    sent_at : datetime
        The commit of "the bytes may leave now".
    quantity, lot : Decimal
        What was asked for. [contracts]
    sign : int
        +1 for a buy, -1 for a sell.
    position_before : Decimal
        Held when it was sent, signed. [contracts]
    n_looks : int
        How often the venue was asked since.
    """

    sent_at: datetime
    quantity: Decimal
    lot: Decimal
    sign: int
    position_before: Decimal
    n_looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvidence:
    """What was found out at ``looked_at``.

    ``is_answered`` is False if the lookup failed. ``position`` is what is held now, None if that
    could not be read in full. [contracts]
    """

    looked_at: datetime
    is_answered: bool
    report: OrderReport | None = None
    position: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderDecision:
    """What follows; ``lots`` were filled. ``until`` says when to look again."""

    verdict: OrderVerdict
    reason: str
    lots: int = 0
    until: datetime | None = None


def quiet_at(order: SentOrder, guarantees: OrderGuarantees, timing: OrderTiming) -> datetime:
    """Return from when on an absent order proves something."""
    return timing.quiet_at(order.sent_at, guarantees.quiescence)


def resolve_order(
    order: SentOrder, guarantees: OrderGuarantees, evidence: OrderEvidence, timing: OrderTiming
) -> OrderDecision:
    """Return what to do about an order that is unknown, open or before a person.

    Returns
    -------
    OrderDecision
        ``filled`` or ``cancelled`` with what was filled, if it is at its end; ``open``, or
        ``cancel`` if it is open past its time; ``not_executed`` on two proofs; ``wait``; or
        ``ask`` a person.
    """
    if evidence.report is not None:
        return judge_report(order, evidence.report, evidence.looked_at, timing)
    now = evidence.looked_at
    quiet = quiet_at(order, guarantees, timing)
    if now < quiet:
        soon = now + timing.pause(order.n_looks)
        return OrderDecision("wait", "not found yet, which proves nothing before", 0,
                             min(soon, quiet))  # fmt: skip
    if not evidence.is_answered:
        return _patience(order, now, timing, "the venue does not answer whether it knows it")
    if evidence.position is None:
        return _patience(order, now, timing, "not found, and what is held cannot be read")
    if evidence.position != order.position_before:
        moved = f"{order.position_before} to {evidence.position}"
        return _patience(order, now, timing, f"not found, yet the position moved from {moved}")
    why = "not found after quiescence and the position has not moved"
    return OrderDecision("not_executed", f"not executed: {why}")


def judge_report(
    order: SentOrder, report: OrderReport, now: datetime, timing: OrderTiming
) -> OrderDecision:
    """Return what a venue's word about the order leads to."""
    filled = report.filled_quantity
    lots = filled / order.lot
    is_sound = 0 <= filled <= order.quantity and lots == lots.to_integral_value(ROUND_FLOOR)
    if not is_sound:
        return OrderDecision(
            "ask", f"the venue says {filled} of {order.quantity} are filled, in lots of {order.lot}"
        )
    name, whole = report.order_id or "no number", int(lots)
    if report.status == "filled" and filled == order.quantity:
        return OrderDecision("filled", f"filled as {name}", whole)
    if report.status in ("filled", "cancelled", "rejected"):
        # A venue cuts a reduce-only order to what is held, and calls that filled.
        why = f": {report.reason}" if report.reason else ""
        return OrderDecision(
            "cancelled", f"{report.status} as {name} with {filled} of {order.quantity}{why}", whole
        )
    late = order.sent_at + timedelta(seconds=timing.order_seconds_max)
    if now >= late:
        return OrderDecision(
            "cancel", f"open as {name} for more than {timing.order_seconds_max:g} s", whole
        )
    soon = min(now + timing.pause(order.n_looks), late)
    return OrderDecision("open", f"open as {name}, {filled} filled", whole, soon)


def _patience(order: SentOrder, now: datetime, timing: OrderTiming, fact: str) -> OrderDecision:
    if timing.is_overdue(order.sent_at, now):
        return OrderDecision("ask", f"{fact}, for {timing.ask_after_seconds:g} s")
    return OrderDecision("wait", fact, 0, now + timing.pause(order.n_looks))

"""Funding: what a venue booked beside rate × position × mark at the funding instant.

The mark at that instant is known between two observations, so what is due is an interval. A venue's
line inside it agrees; one outside is a break, and so is a line that should be there and is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final, Literal

from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT

FUNDING: Final = "funding"
# Between two observations minutes apart the mark may have been outside of both; venues round.
RELATIVE_TOLERANCE: Final = Decimal("0.005")
ABSOLUTE_TOLERANCE: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingTerms:
    """What a perpetual pays in: its payoff and units per contract (> 0)."""

    is_inverse: bool
    contract_multiplier: Decimal
    settlement_asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of a held perpetual at one instant; quantity in signed contracts."""

    observed_at: datetime
    quantity: Decimal
    mark_price: Decimal
    funding_rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingDue:
    """What should have been booked, between ``low`` and ``high``; received > 0. [settlement asset]

    ``obstacle`` says why nothing can be said; the bounds are zero then.
    """

    low: Decimal
    high: Decimal
    quantity: Decimal
    obstacle: str = ""


Verdict = Literal["agreed", "differs", "missing", "not_judged"]


def funding_payment(
    quantity: Decimal, mark_price: Decimal, funding_rate: Decimal, terms: FundingTerms
) -> Decimal:
    """Return the funding received (+) or paid (-) at one instant. [settlement asset]

    Longs pay at a positive rate: ``-quantity * multiplier * mark * rate``, divided by the mark
    instead where the contract is inverse.

    Examples
    --------
    >>> terms = FundingTerms(
    ...     is_inverse=False, contract_multiplier=Decimal(1), settlement_asset="USDT"
    ... )
    >>> funding_payment(Decimal(-2), Decimal(60000), Decimal("0.0001"), terms)
    Decimal('12.0000')
    """
    if mark_price <= 0:
        raise ModelInputError(f"mark_price is {mark_price}, limit above 0", value=mark_price)
    with localcontext(MONEY_CONTEXT):
        size = quantity * terms.contract_multiplier
        value = size / mark_price if terms.is_inverse else size * mark_price
        return Decimal(0) - value * funding_rate


def funding_due(
    before: Observation | None,
    after: Observation | None,
    terms: FundingTerms,
    *,
    at: datetime,
    quantity: Decimal | None,
    apart_max: timedelta,
) -> FundingDue:
    """Return what is due at an instant between two observations.

    Parameters
    ----------
    before, after : Observation, optional
        The last one not after ``at``, whose rate is the one that is charged, and the first after.
    terms : FundingTerms
        Payoff and multiplier.
    at : datetime
        The funding instant.
    quantity : Decimal, optional
        Signed contracts at that instant by order management; where it is not connected, both
        observations must show the same position.
    apart_max : timedelta
        Observations further from ``at`` say nothing.
    """
    zero = Decimal(0)
    for name, seen in (("before", before), ("after", after)):
        if seen is None or abs(seen.observed_at - at) > apart_max:
            why = f"no observation {name} {at:%Y-%m-%d %H:%M:%S} within {apart_max}"
            return FundingDue(low=zero, high=zero, quantity=quantity or zero, obstacle=why)
    assert before is not None
    assert after is not None
    if quantity is None and before.quantity != after.quantity:
        why = f"the position changed from {before.quantity} to {after.quantity} around it"
        return FundingDue(low=zero, high=zero, quantity=after.quantity, obstacle=why)
    held = before.quantity if quantity is None else quantity
    ends = [
        funding_payment(held, seen.mark_price, before.funding_rate, terms)
        for seen in (before, after)
    ]
    with localcontext(MONEY_CONTEXT):
        slack = max(abs(end) for end in ends) * RELATIVE_TOLERANCE + ABSOLUTE_TOLERANCE
        return FundingDue(low=min(ends) - slack, high=max(ends) + slack, quantity=held)


def judge_funding(due: FundingDue, booked: Decimal | None) -> Verdict:
    """Return whether what a venue booked is what is due; None is no line at all."""
    if due.obstacle:
        return "not_judged"
    if booked is None:
        return "agreed" if due.low <= 0 <= due.high else "missing"
    return "agreed" if due.low <= booked <= due.high else "differs"

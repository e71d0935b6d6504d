"""What a credit support agreement secures and what has to move, in exact decimals.

The minimum transfer is tested before rounding, and an amount equal to the minimum moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from engine.money import Rounding, exact, round_to_increment
from engine.rules import Agreement

AgreementKind: TypeAlias = Literal["one_way", "two_way"]

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTerms:
    """Terms of an agreement, exact. Amounts in its currency.

    Attributes
    ----------
    agreement : {"one_way", "two_way"}
        Who posts: only the counterparty, or both.
    threshold : Decimal
        Unsecured allowance of the counterparty, >= 0.
    minimum_transfer_amount : Decimal
        Smallest transfer to us, >= 0; in a one-way agreement also the smallest return.
    threshold_payable, minimum_transfer_amount_payable : Decimal
        Our own allowance and the smallest transfer from us; used when two-way.
    rounding_increment : Decimal, optional
        Calls are rounded up and returns down to it.
    independent_amount : Decimal
        Owed irrespective of exposure; after the threshold when one-way, before it when two-way.
    """

    agreement: AgreementKind
    threshold: Decimal
    minimum_transfer_amount: Decimal
    threshold_payable: Decimal = _ZERO
    minimum_transfer_amount_payable: Decimal = _ZERO
    rounding_increment: Decimal | None = None
    independent_amount: Decimal = _ZERO


@dataclass(frozen=True, slots=True)
class CreditSupport:
    """What the agreement secures: exposure above the threshold, and the amount to be held."""

    exposure_above_threshold: Decimal
    credit_support_amount: Decimal


def terms_of(agreement: Agreement) -> CallTerms:
    """Return the exact terms of a client agreement, which is one-way."""
    return _one_way_terms(
        agreement.threshold,
        agreement.minimum_transfer_amount,
        agreement.rounding_increment,
        agreement.independent_amount,
    )


# Most clients share their terms with many others.
@lru_cache(maxsize=4096)
def _one_way_terms(
    threshold: float, minimum: float, increment: float, independent_amount: float
) -> CallTerms:
    return CallTerms(
        agreement="one_way",
        threshold=exact(threshold),
        minimum_transfer_amount=exact(minimum),
        rounding_increment=exact(increment),
        independent_amount=exact(independent_amount),
    )


def credit_support(exposure: Decimal, terms: CallTerms) -> CreditSupport:
    """Return what is to be held for ``exposure`` under the agreement.

    One way, with E the exposure and A the independent amount: ``(E - threshold)+ + A``. Two way,
    with X = E + A: ``(X - threshold)+`` where X >= 0, else ``min(X + threshold_payable, 0)`` [1]_.

    Parameters
    ----------
    exposure : Decimal
        Net exposure to the counterparty, or its requirement. [agreement currency]
    terms : CallTerms
        Terms of the agreement.

    Returns
    -------
    CreditSupport
        Both figures; they are equal when two-way. [agreement currency]

    References
    ----------
    .. [1] Open Source Risk Engine, ``collatexposurehelper.cpp``, creditSupportAmount.
    """
    if terms.agreement == "one_way":
        above = max(exposure - terms.threshold, _ZERO)
        return CreditSupport(above, above + terms.independent_amount)
    covered = exposure + terms.independent_amount
    if covered >= 0:
        amount = max(covered - terms.threshold, _ZERO)
    else:
        amount = min(covered + terms.threshold_payable, _ZERO)
    return CreditSupport(amount, amount)


def transfer_for(delta: Decimal, terms: CallTerms) -> Decimal:
    """Return what moves to close ``delta``: 0 below the minimum, else rounded.

    Parameters
    ----------
    delta : Decimal
        Credit support amount less what is held and on its way; > 0 is owed to us.
    terms : CallTerms
        Terms of the agreement.

    Returns
    -------
    Decimal
        In our favour > 0: a call, rounded up; < 0: a return, rounded down in absolute value.
    """
    minimum = terms.minimum_transfer_amount
    if delta < 0 and terms.agreement == "two_way":
        minimum = terms.minimum_transfer_amount_payable
    if abs(delta) < minimum or not delta:
        return _ZERO
    if terms.rounding_increment is None:
        return delta
    rounding = Rounding.REQUIREMENT if delta > 0 else Rounding.COLLATERAL_VALUE
    magnitude = round_to_increment(abs(delta), terms.rounding_increment, rounding)
    return magnitude if delta > 0 else -magnitude

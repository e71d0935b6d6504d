"""Margin calls: how much moves between the house and a client, and in which direction.

All arithmetic is exact: amounts enter as decimals, or as floats that are taken as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.arrays import BoolArray1D, ObjectArray1D
from engine.calls.credit_support import CallTerms, credit_support, terms_of, transfer_for
from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT, Money, exact
from engine.rules import Agreement

CallAction: TypeAlias = Literal["call", "return", "none", "blocked"]

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInputs:
    """Inputs of ``margin_call`` as plain numbers, in the agreement's currency.

    Attributes
    ----------
    exposure : float
        Net exposure to the counterparty, > 0 when it owes us.
    collateral : sequence of (float, float)
        Market value and haircut of each holding; with ``collateral_balance`` ignored.
    collateral_balance : float, optional
        Signed balance after haircut instead, < 0 when we posted.
    pending_transfer : float
        Already called and unsettled, in our favour > 0.
    """

    exposure: float
    collateral: Sequence[tuple[float, float]] = field(default_factory=tuple)
    collateral_balance: float | None = None
    pending_transfer: float = 0.0


@dataclass(frozen=True, slots=True)
class MarginCall:
    """Answer of ``margin_call``; amounts in our favour are positive."""

    transfer_amount: float
    action: CallAction
    credit_support_amount: float
    exposure_above_threshold: float
    collateral_value: float


def margin_call(inputs: CallInputs, terms: CallTerms) -> MarginCall:
    """Return the transfer that an agreement asks for, for figures given as numbers.

    Parameters
    ----------
    inputs : CallInputs
        Exposure and collateral. [agreement currency]
    terms : CallTerms
        Terms of the agreement.

    Returns
    -------
    MarginCall
        Transfer and what it rests on. [agreement currency]

    Examples
    --------
    5 million less a threshold of 2 million and 990,000 held, rounded up to 10,000:

    >>> terms = CallTerms(
    ...     agreement="one_way",
    ...     threshold=Decimal(2_000_000),
    ...     minimum_transfer_amount=Decimal(250_000),
    ...     rounding_increment=Decimal(10_000),
    ... )
    >>> margin_call(CallInputs(exposure=5e6, collateral=((1e6, 0.01),)), terms).transfer_amount
    2010000.0
    """
    with localcontext(MONEY_CONTEXT):
        if inputs.collateral_balance is not None:
            held = exact(inputs.collateral_balance)
        else:
            held = sum(
                (exact(value) * (1 - exact(haircut)) for value, haircut in inputs.collateral),
                start=_ZERO,
            )
        support = credit_support(exact(inputs.exposure), terms)
        delta = support.credit_support_amount - held - exact(inputs.pending_transfer)
        moved = transfer_for(delta, terms)
    return MarginCall(
        transfer_amount=float(moved),
        action="call" if moved > 0 else "return" if moved < 0 else "none",
        credit_support_amount=float(support.credit_support_amount),
        exposure_above_threshold=float(support.exposure_above_threshold),
        collateral_value=float(held),
    )


@dataclass(frozen=True, slots=True)
class CallDecision:
    """What the house asks of one netting set, or gives back. Exact, in the agreement's currency.

    Attributes
    ----------
    action : {"call", "return", "none", "blocked"}
        ``blocked`` is a return withheld because inputs are not fresh or a break is open.
    amount : Money
        What moves: > 0 to the house (call), < 0 to the client (return), else 0.
    withheld : Money
        What a blocked return would have been, < 0; else 0.
    credit_support_amount : Money
        What the house wants to hold.
    """

    action: CallAction
    amount: Money
    withheld: Money
    credit_support_amount: Money


def decide_call(
    requirement: Money,
    collateral: Money,
    agreement: Agreement,
    *,
    fresh: bool,
    has_open_break: bool,
    pending: Money,
) -> CallDecision:
    """Return what the house calls from, or returns to, one netting set.

    Collateral on its way reduces a call, so that nothing is called twice, but never releases
    anything: a return is measured on settled collateral alone.

    Parameters
    ----------
    requirement : Money
        Requirement of the netting set, already rounded up.
    collateral : Money
        Settled collateral after haircut, already rounded down.
    agreement : Agreement
        Terms with the client; one-way, in the same currency.
    fresh : bool
        Whether every input of the requirement is fresh.
    has_open_break : bool
        Whether reconciliation has an open break of this netting set.
    pending : Money
        Called or instructed and not settled: to the house > 0; < 0 is a return on its way out
        that ``collateral`` still holds.

    Returns
    -------
    CallDecision
        Decision with exact amounts.

    Raises
    ------
    ModelInputError
        If the currencies differ from the agreement's.
    """
    for money in (requirement, collateral, pending):
        if money.currency != agreement.currency:
            raise ModelInputError(
                f"{agreement.netting_set_id}: {money.currency} amount under an agreement in "
                f"{agreement.currency}",
                identifier=agreement.netting_set_id,
                value=money.currency,
                limit=agreement.currency,
            )
    with localcontext(MONEY_CONTEXT):
        action, amount, withheld, support = _decide(
            requirement.amount,
            collateral.amount,
            pending.amount,
            terms_of(agreement),
            is_releasable=fresh and not has_open_break,
        )
    currency = agreement.currency
    return CallDecision(
        action, Money(amount, currency), Money(withheld, currency), Money(support, currency)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdings:
    """What ``decide_calls`` looks at, one element per netting set.

    Attributes
    ----------
    agreements : sequence of Agreement
        Terms of each netting set; amounts below are in its currency.
    requirement, collateral, pending : ObjectArray1D of Decimal, shape (n,)
        As in ``decide_call``.
    is_releasable : BoolArray1D, shape (n,)
        Whether all inputs are fresh and no break is open.
    """

    agreements: Sequence[Agreement]
    requirement: ObjectArray1D
    collateral: ObjectArray1D
    pending: ObjectArray1D
    is_releasable: BoolArray1D


@dataclass(frozen=True, slots=True, eq=False)
class CallDecisions:
    """``CallDecision`` of many netting sets, in columns of bare decimals."""

    action: ObjectArray1D
    amount: ObjectArray1D
    withheld: ObjectArray1D
    credit_support_amount: ObjectArray1D


def decide_calls(holdings: Holdings) -> CallDecisions:
    """Return ``decide_call`` of each netting set, shape (n,).

    Parameters
    ----------
    holdings : Holdings
        Requirements, collateral and terms; amounts in each agreement's currency.

    Returns
    -------
    CallDecisions
        Actions and exact amounts, in the order given.
    """
    n = len(holdings.agreements)
    columns = tuple(np.empty(n, dtype=object) for _ in range(4))
    rows = zip(
        holdings.agreements,
        holdings.requirement,
        holdings.collateral,
        holdings.pending,
        holdings.is_releasable.tolist(),
        strict=True,
    )
    with localcontext(MONEY_CONTEXT):
        for row, (agreement, requirement, collateral, pending, is_releasable) in enumerate(rows):
            decision = _decide(
                requirement, collateral, pending, terms_of(agreement), is_releasable=is_releasable
            )
            for column, value in zip(columns, decision, strict=True):
                column[row] = value
    return CallDecisions(*columns)


def _decide(
    requirement: Decimal,
    collateral: Decimal,
    pending: Decimal,
    terms: CallTerms,
    *,
    is_releasable: bool,
) -> tuple[CallAction, Decimal, Decimal, Decimal]:
    """Return action, amount, withheld return and credit support amount."""
    support = credit_support(requirement, terms).credit_support_amount
    shortfall = support - collateral
    if pending > 0:
        # What is on its way in covers a shortfall; it never makes or enlarges an excess.
        delta = max(shortfall - pending, _ZERO) if shortfall > 0 else shortfall
    else:
        delta = shortfall - pending
    moved = transfer_for(delta, terms)
    if moved > 0:
        return "call", moved, _ZERO, support
    if moved < 0:
        if is_releasable:
            return "return", moved, _ZERO, support
        return "blocked", _ZERO, moved, support
    return "none", _ZERO, _ZERO, support

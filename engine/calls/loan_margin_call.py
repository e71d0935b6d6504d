"""Margin call on a collateralised loan, by its collateral ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from engine.errors import ModelInputError
from engine.money import MONEY_CONTEXT, exact


@dataclass(frozen=True, slots=True)
class LoanMarginCall:
    """State of a collateralised loan.

    Attributes
    ----------
    margin_call : bool
        Whether the collateral ratio is below maintenance.
    call_amount : float
        Collateral that restores the initial ratio, 0 without a call. [loan currency]
    collateral_value : float
        Collateral after haircut. [loan currency]
    collateral_ratio : float
        Collateral value per loan. [-]
    loan_to_value : float or None
        Loan per collateral value; None where there is no collateral value. [-]
    excess_collateral : float
        What exceeds the maintenance level. [loan currency]
    """

    margin_call: bool
    call_amount: float
    collateral_value: float
    collateral_ratio: float
    loan_to_value: float | None
    excess_collateral: float


def loan_margin_call(
    loan_amount: float,
    collateral: Sequence[tuple[float, float]],
    *,
    initial_margin_ratio: float,
    maintenance_margin_ratio: float,
) -> LoanMarginCall:
    """Return whether a loan is called, and for how much.

    A call is made when collateral after haircut, V, per loan, L, is below maintenance; it
    restores the initial level: ``initial_margin_ratio * L - V``. The comparison is exact.

    Parameters
    ----------
    loan_amount : float
        Amount lent, > 0. [loan currency]
    collateral : sequence of (float, float)
        Market value >= 0 [loan currency] and haircut 0 to 1 [-] of each holding.
    initial_margin_ratio, maintenance_margin_ratio : float
        Collateral per loan, >= 1. [-]

    Returns
    -------
    LoanMarginCall
        Amounts not rounded.

    Raises
    ------
    ModelInputError
        If the maintenance ratio is above the initial one, or the loan is not above 0.

    Examples
    --------
    >>> call = loan_margin_call(
    ...     100.0, [(110.0, 0.0)], initial_margin_ratio=1.2, maintenance_margin_ratio=1.15
    ... )
    >>> call.margin_call, call.call_amount
    (True, 10.0)
    """
    if not loan_amount > 0:
        raise ModelInputError(f"loan_amount is {loan_amount}, limit > 0", value=loan_amount)
    if maintenance_margin_ratio > initial_margin_ratio:
        raise ModelInputError(
            f"maintenance_margin_ratio is {maintenance_margin_ratio}, limit <= "
            f"initial_margin_ratio {initial_margin_ratio}",
            value=maintenance_margin_ratio,
            limit=f"<= {initial_margin_ratio}",
        )
    with localcontext(MONEY_CONTEXT):
        loan = exact(loan_amount)
        value = sum(
            (exact(market_value) * (1 - exact(haircut)) for market_value, haircut in collateral),
            start=Decimal(0),
        )
        maintenance = exact(maintenance_margin_ratio) * loan
        is_called = value < maintenance
        call_amount = exact(initial_margin_ratio) * loan - value if is_called else Decimal(0)
        return LoanMarginCall(
            margin_call=is_called,
            call_amount=float(call_amount),
            collateral_value=float(value),
            collateral_ratio=float(value / loan),
            loan_to_value=float(loan / value) if value else None,
            excess_collateral=float(max(value - maintenance, Decimal(0))),
        )

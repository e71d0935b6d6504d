"""Margin calls under a credit support agreement and on a collateralised loan."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from pydantic import Field

from engine.calls.credit_support import AgreementKind, CallTerms
from engine.calls.loan_margin_call import LoanMarginCall, loan_margin_call
from engine.calls.margin_call import CallInputs, MarginCall, margin_call
from engine.money import exact
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Fraction,
    Inputs,
    NonNegative,
    Number,
    Positive,
    Uses,
    contract_fault,
    drop,
    keep_fields_of,
)


class HeldCollateralInputs(Inputs):
    """One holding with a flat haircut."""

    market_value: NonNegative = Field(description="value before haircut")
    haircut: Fraction = Field(0.0, description="fraction deducted")


class CallParameters(Inputs):
    """Terms of the agreement."""

    agreement: AgreementKind = Field(
        description="one_way: only the counterparty posts; two_way: both do"
    )
    threshold: NonNegative = Field(description="unsecured allowance of the counterparty")
    minimum_transfer_amount: NonNegative = Field(description="smallest transfer to us")
    threshold_payable: NonNegative | None = Field(
        None, description="our own allowance; needed when two_way"
    )
    minimum_transfer_amount_payable: NonNegative | None = Field(
        None, description="smallest transfer from us; needed when two_way"
    )
    rounding_increment: Positive | None = Field(None, description="absent = no rounding")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require our own terms when two-way."""
        payable = ("threshold_payable", "minimum_transfer_amount_payable")
        keep_fields_of(given, "agreement", {"one_way": Uses(), "two_way": Uses(needed=payable)})


class MarginCallInputs(Inputs):
    """Body of ``margin_call``."""

    exposure: Number = Field(description="net exposure to the counterparty, > 0 when it owes us")
    collateral: tuple[HeldCollateralInputs, ...] = Field(
        (), description="collateral held, > 0 value"
    )
    collateral_balance: Number | None = Field(
        None,
        description="instead of collateral: signed balance after haircut, < 0 when we posted",
    )
    pending_transfer: Number = Field(
        0.0, description="already called and unsettled, in our favour > 0"
    )
    independent_amount: Number = Field(0.0, description="amount required irrespective of exposure")
    parameters: CallParameters = Field(description="model parameters")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Refuse collateral and its balance together; an empty list is the default."""
        if given.get("collateral") == []:
            drop(given, "collateral")
        if "collateral" in given and "collateral_balance" in given:
            raise contract_fault("Fields exclude each other: collateral or collateral_balance")


def _margin_call(inputs: MarginCallInputs) -> MarginCall:
    parameters = inputs.parameters
    increment = parameters.rounding_increment
    terms = CallTerms(
        agreement=parameters.agreement,
        threshold=exact(parameters.threshold),
        minimum_transfer_amount=exact(parameters.minimum_transfer_amount),
        threshold_payable=exact(parameters.threshold_payable or 0.0),
        minimum_transfer_amount_payable=exact(parameters.minimum_transfer_amount_payable or 0.0),
        rounding_increment=None if increment is None else exact(increment),
        independent_amount=exact(inputs.independent_amount),
    )
    call = CallInputs(
        exposure=inputs.exposure,
        collateral=tuple((held.market_value, held.haircut) for held in inputs.collateral),
        collateral_balance=inputs.collateral_balance,
        pending_transfer=inputs.pending_transfer,
    )
    return margin_call(call, terms)


class LoanParameters(Inputs):
    """Margin ratios of the loan."""

    initial_margin_ratio: Annotated[Number, Ge(1.0)] = Field(
        description="collateral per loan to which a call restores"
    )
    maintenance_margin_ratio: Annotated[Number, Ge(1.0)] = Field(
        description="below this ratio a call is made"
    )


class LoanMarginCallInputs(Inputs):
    """Body of ``loan_margin_call``."""

    loan_amount: Positive = Field(description="amount lent")
    collateral: tuple[HeldCollateralInputs, ...] = Field(description="collateral held")
    parameters: LoanParameters = Field(description="model parameters")


def _loan_margin_call(inputs: LoanMarginCallInputs) -> LoanMarginCall:
    return loan_margin_call(
        inputs.loan_amount,
        [(held.market_value, held.haircut) for held in inputs.collateral],
        initial_margin_ratio=inputs.parameters.initial_margin_ratio,
        maintenance_margin_ratio=inputs.parameters.maintenance_margin_ratio,
    )


CALCULATIONS = (
    Calculation(
        name="margin_call",
        summary="Variation-margin style call under a credit support agreement.",
        model=MarginCallInputs,
        function=_margin_call,
    ),
    Calculation(
        name="loan_margin_call",
        summary="Margin call on a collateralised loan.",
        model=LoanMarginCallInputs,
        function=_loan_margin_call,
    ),
)

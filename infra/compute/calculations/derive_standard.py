"""Margin of one Derive account under its standard manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from engine.margin.derive_standard import (
    DeriveStandardAccount,
    DeriveStandardCollateral,
    DeriveStandardMargin,
    DeriveStandardMarket,
    DeriveStandardOption,
    DeriveStandardParameters,
    DeriveStandardPerpetual,
    DeriveUnderlying,
    derive_standard_margin,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Fraction,
    Inputs,
    Instant,
    NonNegative,
    Number,
    Positive,
    Text,
)


class DeriveUnderlyingInputs(Inputs):
    """Oracle's spot price of one underlying."""

    spot_price: Positive = Field(description="spot price of the underlying [USD]")
    spot_confidence: Fraction = Field(1.0, description="oracle confidence of the spot price")


class DeriveStandardOptionInputs(Inputs):
    """One option position."""

    underlying: Text = Field(description="key of market")
    expiry: Instant = Field(description="expiry instant, ISO 8601 with offset")
    strike_price: Positive = Field(description="strike [quote currency]")
    option_type: Literal["call", "put"] = Field(description="right to buy (call) or to sell (put)")
    quantity: Number = Field(description="signed number of contracts, long > 0")
    volatility: NonNegative = Field(description="annual log-normal volatility, 0.55 = 55%")
    forward_price: Positive = Field(
        description="forward of the underlying to the expiry [quote currency]",
    )
    forward_confidence: Fraction = Field(1.0, description="oracle confidence of the forward")
    volatility_confidence: Fraction = Field(1.0, description="oracle confidence of the volatility")


class DeriveStandardPerpetualInputs(Inputs):
    """One perpetual position."""

    underlying: Text = Field(description="key of market")
    quantity: Number = Field(description="signed number of contracts, long > 0")
    mark_price: Positive = Field(description="price at which the venue margins the position")
    confidence: Fraction = Field(1.0, description="oracle confidence, 0 to 1")
    entry_price: Positive = Field(description="average entry price")
    unpaid_funding: Number = Field(
        0.0,
        description="funding accrued and not yet settled, > 0 when owed to the holder",
    )


class DeriveStandardCollateralInputs(Inputs):
    """Base-asset collateral."""

    asset: Text = Field(description="name of the asset, echoed")
    quantity: NonNegative = Field(description="signed number of contracts, long > 0")
    mark_price: Positive = Field(description="price at which the venue margins the position")
    confidence: Fraction = Field(1.0, description="oracle confidence, 0 to 1")
    collateral_rate: Fraction = Field(description="share of the value that counts as margin")


class DeriveStandardParameterInputs(Inputs):
    """Rates of the standard manager."""

    initial_margin_rate: Fraction = Field(description="fraction of spot")
    initial_margin_rate_min: Fraction = Field(description="floor fraction of underlying")
    maintenance_margin_rate_call: Fraction = Field(description="fraction of spot")
    maintenance_margin_rate_put: Fraction = Field(description="fraction of spot")
    maintenance_margin_rate_put_mark: Fraction = Field(description="fraction of the put's mark")
    maintenance_offset: NonNegative = Field(
        description="initial margin of a short put is at least this x maintenance",
    )
    unpaired_call_initial: NonNegative = Field(description="x forward x net short calls")
    unpaired_call_maintenance: NonNegative = Field(description="x forward x net short calls")
    perpetual_initial_rate: Fraction = Field(description="fraction of perpetual notional")
    perpetual_maintenance_rate: Fraction = Field(description="fraction of perpetual notional")
    confidence_threshold: Fraction = Field(description="below this confidence the charge starts")
    confidence_factor: NonNegative = Field(description="slope of the confidence charge")
    stable_price_threshold: NonNegative = Field(
        description="below this price the depeg charge starts",
    )
    stable_price_factor: NonNegative = Field(description="slope of the depeg charge")


class DeriveStandardMarginInputs(Inputs):
    """Body of ``derive_standard_margin``."""

    valuation_time: Instant = Field(description="instant of the calculation, ISO 8601 with offset")
    cash_balance: Number = Field(0.0, description="cash (negative = debt)")
    stable_price: Positive = Field(1.0, description="price of the settlement stablecoin [USD]")
    market: Mapping[str, DeriveUnderlyingInputs] = Field(
        description="object: one entry per underlying",
    )
    options: tuple[DeriveStandardOptionInputs, ...] = Field((), description="option positions")
    perpetuals: tuple[DeriveStandardPerpetualInputs, ...] = Field(
        (),
        description="perpetual positions",
    )
    collateral: tuple[DeriveStandardCollateralInputs, ...] = Field(
        (),
        description="base-asset collateral",
    )
    parameters: DeriveStandardParameterInputs = Field(description="model parameters")


def _derive_standard_margin(inputs: DeriveStandardMarginInputs) -> DeriveStandardMargin:
    account = DeriveStandardAccount(
        cash_balance=inputs.cash_balance,
        options=tuple(
            DeriveStandardOption(
                is_call=row.option_type == "call", **row.model_dump(exclude={"option_type"})
            )
            for row in inputs.options
        ),
        perpetuals=tuple(DeriveStandardPerpetual(**row.model_dump()) for row in inputs.perpetuals),
        collateral=tuple(DeriveStandardCollateral(**row.model_dump()) for row in inputs.collateral),
    )
    market = DeriveStandardMarket(
        underlyings={
            name: DeriveUnderlying(**row.model_dump()) for name, row in inputs.market.items()
        },
        valuation_time=inputs.valuation_time,
        stable_price=inputs.stable_price,
    )
    parameters = DeriveStandardParameters(**inputs.parameters.model_dump())
    return derive_standard_margin(account, market, parameters)


CALCULATIONS = (
    Calculation(
        name="derive_standard_margin",
        summary="Margin of one Derive account under its standard manager: rule-based options "
        "capped by the worst payoff.",
        model=DeriveStandardMarginInputs,
        function=_derive_standard_margin,
    ),
)

"""Portfolio margin of one Derive account under its second portfolio manager."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt
from pydantic import Field

from engine.margin.derive_portfolio import (
    DeriveAccount,
    DeriveCollateral,
    DeriveExpiry,
    DeriveMarket,
    DeriveOption,
    DerivePerpetual,
    DerivePortfolioMargin,
    DerivePortfolioParameters,
    DeriveScenario,
    derive_portfolio_margin,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Flag,
    Fraction,
    Inputs,
    Instant,
    NonNegative,
    NotEmpty,
    Number,
    Positive,
    Text,
)

Shock = Annotated[Number, Gt(-1.0)]


class DeriveExpiryInputs(Inputs):
    """Oracle data of one expiry."""

    expiry: Instant = Field(description="expiry instant, ISO 8601 with offset")
    forward_price: Positive = Field(
        description="forward of the underlying to the expiry [quote currency]",
    )
    forward_confidence: Fraction = Field(description="oracle confidence of the forward")
    risk_free_rate: Number = Field(description="continuous annual rate used for discounting")
    rate_confidence: Fraction = Field(description="oracle confidence of the rate")
    volatility_confidence: Fraction = Field(description="oracle confidence of the volatility")


class DeriveMarketInputs(Inputs):
    """Oracle data of the underlying and of the stablecoin."""

    spot_price: Positive = Field(description="spot price of the underlying [USD]")
    spot_confidence: Fraction = Field(description="oracle confidence of the spot price")
    stable_price: Positive = Field(description="price of the settlement stablecoin [USD]")
    expiries: tuple[DeriveExpiryInputs, ...] = Field(
        (),
        description="one entry per expiry of options",
    )


class DeriveOptionInputs(Inputs):
    """One option position."""

    expiry: Instant = Field(description="expiry instant, ISO 8601 with offset")
    strike_price: Positive = Field(description="strike [quote currency]")
    option_type: Literal["call", "put"] = Field(description="right to buy (call) or to sell (put)")
    quantity: Number = Field(description="signed number of contracts, long > 0")
    volatility: NonNegative = Field(description="annual log-normal volatility, 0.55 = 55%")


class DerivePerpetualInputs(Inputs):
    """The perpetual of the account."""

    quantity: Number = Field(description="signed number of contracts, long > 0")
    mark_price: Positive = Field(description="price at which the venue margins the position")
    confidence: Fraction = Field(description="oracle confidence, 0 to 1")
    unrealized_pnl: Number = Field(0.0, description="P&L not yet in cash")
    unpaid_funding: Number = Field(
        0.0,
        description="funding accrued and not yet settled, > 0 when owed to the holder",
    )


class DeriveCollateralInputs(Inputs):
    """Non-cash collateral."""

    asset: Text = Field(description="name of the asset, echoed")
    quantity: NonNegative = Field(description="signed number of contracts, long > 0")
    mark_price: Positive = Field(description="price at which the venue margins the position")
    confidence: Fraction = Field(description="oracle confidence, 0 to 1")
    offsets_spot_risk: Flag = Field(
        description="true when the asset moves with the underlying and joins the price shock",
    )
    initial_haircut: Fraction = Field(
        description="deducted in addition to maintenance_haircut, for initial margin",
    )
    maintenance_haircut: Fraction = Field(description="fraction deducted")


class DeriveScenarioInputs(Inputs):
    """One cell of the loss search."""

    price_shock: Shock = Field(description="relative move of the underlying, -0.1 = down 10%")
    volatility_move: Literal["down", "unchanged", "up", "skew_linear", "skew_absolute"] = Field(
        description="volatility state of the scenario",
    )
    weight: NonNegative = Field(1.0, description="multiplies the P&L of the scenario")


class DerivePortfolioParameterInputs(Inputs):
    """Shocks, discounts and contingencies."""

    volatility_shock_up: NonNegative = Field(description="relative rise at 30 days")
    volatility_shock_down: NonNegative = Field(description="relative fall at 30 days")
    volatility_power_short: Number = Field(
        description="power of 30/days up to and including 30 days",
    )
    volatility_power_long: Number = Field(description="power above 30 days")
    days_to_expiry_min: Positive = Field(description="floor of the days in 30/days")
    volatility_min: NonNegative = Field(description="floor of the volatility after a rise")
    skew_linear_cap: Number = Field(description="cap at zero time, linear skew")
    skew_linear_slope: Number = Field(description="change of the cap per root year")
    skew_absolute_cap: Number = Field(description="cap at zero time, absolute skew")
    skew_absolute_slope: Number = Field(description="change of the cap per root year")
    skew_width_min: Positive = Field(description="smallest width in log-moneyness")
    skew_width_scale: NonNegative = Field(description="number of standard widths")
    skew_width_static: Number = Field(description="static part of the width")
    skew_width_slope: Number = Field(description="part of the width per root year")
    discount_long: Positive = Field(description="static discount of a positive book value")
    discount_short: Positive = Field(description="static mark-up of a negative book value")
    discount_long_rate_multiplier: Number = Field(description="rate weight in the long discount")
    discount_long_rate_addend: Number = Field(description="annual spread in the long discount")
    discount_short_rate_multiplier: Number = Field(description="rate weight in the short mark-up")
    discount_short_rate_addend: Number = Field(description="annual spread in the short mark-up")
    forward_shock_up: Shock = Field(description="relative forward move")
    forward_shock_down: Shock = Field(description="relative forward move")
    forward_addend: NonNegative = Field(description="static weight of the forward contingency")
    forward_multiplier: NonNegative = Field(
        description="weight per year of the forward contingency",
    )
    stable_price_threshold: NonNegative = Field(
        description="below this price the depeg charge starts",
    )
    stable_price_factor: NonNegative = Field(description="slope of the depeg charge")
    confidence_threshold: Fraction = Field(description="below this confidence the charge starts")
    confidence_factor: NonNegative = Field(description="slope of the confidence charge")
    perpetual_maintenance_rate: NonNegative = Field(description="fraction of spot notional")
    perpetual_initial_rate: NonNegative = Field(description="added for initial margin")
    option_maintenance_rate: NonNegative = Field(
        description="fraction of spot per naked short option",
    )
    option_initial_rate: NonNegative = Field(description="added for initial margin")
    maintenance_loss_factor: NonNegative = Field(description="x worst loss")
    initial_loss_factor: NonNegative = Field(description="x worst loss")
    settlement_window_seconds: Positive = Field(
        1800.0,
        description="length of the settlement average before expiry",
    )


class DerivePortfolioMarginInputs(Inputs):
    """Body of ``derive_portfolio_margin``."""

    valuation_time: Instant = Field(description="instant of the calculation, ISO 8601 with offset")
    cash_balance: Number = Field(description="cash (negative = debt)")
    market: DeriveMarketInputs = Field(description="oracle data")
    options: tuple[DeriveOptionInputs, ...] = Field((), description="option positions")
    perpetual: DerivePerpetualInputs | None = Field(None, description="at most one perpetual")
    collateral: tuple[DeriveCollateralInputs, ...] = Field((), description="non-cash collateral")
    scenarios: NotEmpty[DeriveScenarioInputs] = Field(description="cells of the loss search")
    parameters: DerivePortfolioParameterInputs = Field(description="model parameters")


def _derive_portfolio_margin(inputs: DerivePortfolioMarginInputs) -> DerivePortfolioMargin:
    market = inputs.market
    held = inputs.perpetual
    account = DeriveAccount(
        cash_balance=inputs.cash_balance,
        options=tuple(
            DeriveOption(
                is_call=row.option_type == "call", **row.model_dump(exclude={"option_type"})
            )
            for row in inputs.options
        ),
        perpetual=None if held is None else DerivePerpetual(**held.model_dump()),
        collateral=tuple(DeriveCollateral(**row.model_dump()) for row in inputs.collateral),
    )
    return derive_portfolio_margin(
        account,
        DeriveMarket(
            spot_price=market.spot_price,
            spot_confidence=market.spot_confidence,
            stable_price=market.stable_price,
            expiries=tuple(DeriveExpiry(**row.model_dump()) for row in market.expiries),
        ),
        tuple(DeriveScenario(**row.model_dump()) for row in inputs.scenarios),
        DerivePortfolioParameters(**inputs.parameters.model_dump()),
        inputs.valuation_time,
    )


CALCULATIONS = (
    Calculation(
        name="derive_portfolio_margin",
        summary="Portfolio margin of one Derive account under its second portfolio manager.",
        model=DerivePortfolioMarginInputs,
        function=_derive_portfolio_margin,
    ),
)

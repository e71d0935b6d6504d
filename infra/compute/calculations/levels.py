"""Margin levels of a futures position with its orders, and the risk factors behind them."""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge
from pydantic import Field

from engine.margin.liquidation_price import OpenOrder
from engine.margin.lognormal_risk_factors import (
    LognormalParameters,
    RiskFactors,
    lognormal_risk_factors,
)
from engine.margin.margin_levels import (
    LevelPosition,
    MarginLevelParameters,
    MarginLevels,
    MarginMode,
    margin_levels,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Flag,
    Inputs,
    NonNegative,
    NonZero,
    Number,
    OpenFraction,
    Positive,
    PositiveFraction,
    contract_fault,
    drop,
    require,
)

_QUANTITY_MEANING: Final = "signed position in contracts; orders: signed, buy > 0"
_SLIPPAGE: Final = ("linear_slippage_factor", "quadratic_slippage_factor")
_FACTORS: Final = ("search_factor", "initial_factor", "release_factor", "margin_funding_factor")


class LevelOrderInputs(Inputs):
    """One resting order."""

    quantity: NonZero = Field(description=_QUANTITY_MEANING)
    limit_price: Positive | None = Field(
        None, description="price of a resting order; absent = market order"
    )


class MarginLevelParametersInputs(Inputs):
    """Margin model of the market."""

    risk_factor_long: NonNegative = Field(description="loss fraction of a long position")
    risk_factor_short: NonNegative = Field(description="loss fraction of a short position")
    linear_slippage_factor: NonNegative = Field(
        0.0, description="close-out slippage as a fraction of notional"
    )
    quadratic_slippage_factor: NonNegative = Field(
        0.0, description="slippage that grows with the size"
    )
    search_factor: Annotated[Number, Ge(1.0)] = Field(1.1, description="x maintenance")
    initial_factor: Annotated[Number, Ge(1.0)] = Field(1.2, description="x maintenance")
    release_factor: Annotated[Number, Ge(1.0)] = Field(1.4, description="x maintenance")
    isolated_margin_factor: PositiveFraction | None = Field(
        None, description="needed when isolated"
    )
    price_max: Positive | None = Field(
        None, description="cap of a capped future; needed when fully collateralised"
    )
    margin_funding_factor: NonNegative = Field(
        0.0, description="share of the funding payment that is margined"
    )
    amount_tick: Positive = Field(1.0, description="smallest unit of the margin asset")
    price_tick: Positive = Field(
        1.0,
        description="smallest price step, truncates average order prices when fully collateralised",
    )


class MarginLevelsInputs(Inputs):
    """Body of ``margin_levels``."""

    margin_mode: MarginMode = Field(description="cross, isolated or fully_collateralised")
    in_auction: Flag = Field(False, description="open orders are then charged at their own prices")
    auction_price: Positive | None = Field(None, description="indicative price of the auction")
    quantity: Number = Field(description=_QUANTITY_MEANING)
    mark_price: NonNegative = Field(description="price at which the venue margins the position")
    funding_payment_per_unit: Number = Field(
        0.0, description="running funding payment, > 0 when longs pay"
    )
    open_orders: tuple[LevelOrderInputs, ...] = Field(
        (), description="resting orders, signed quantities"
    )
    parameters: MarginLevelParametersInputs = Field(description="model parameters")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require what the mode needs and drop what only other modes use."""
        mode, parameters = given.get("margin_mode"), given.get("parameters")
        if given.get("in_auction", False) is False:
            drop(given, "auction_price")
        if not isinstance(parameters, dict):
            return
        own: Body = {name: value for name, value in parameters.items() if value is not None}
        if mode == "fully_collateralised":
            require(own, "price_max", by="margin_mode 'fully_collateralised'")
            drop(own, "isolated_margin_factor", *_SLIPPAGE, *_FACTORS)
            drop(given, "auction_price", "funding_payment_per_unit")
            _require_limit_prices(given.get("open_orders"))
        elif mode in ("cross", "isolated"):
            drop(own, "price_max", "price_tick")
            if mode == "isolated":
                require(own, "isolated_margin_factor", by="margin_mode 'isolated'")
            else:
                drop(own, "isolated_margin_factor")
        # Unknown fields stay, so that they are refused even when null.
        unknown = {name: value for name, value in parameters.items() if name not in _KNOWN}
        given["parameters"] = {**unknown, **own}


_KNOWN: Final = frozenset(MarginLevelParametersInputs.model_fields)


def _require_limit_prices(orders: object) -> None:
    for row, order in enumerate(orders if isinstance(orders, list) else ()):
        if isinstance(order, dict) and order.get("limit_price") is None:
            raise contract_fault(
                f"Field missing: open_orders[{row}].limit_price, needed by margin_mode "
                "'fully_collateralised'"
            )


def _margin_levels(inputs: MarginLevelsInputs) -> MarginLevels:
    given = inputs.parameters
    position = LevelPosition(
        quantity=inputs.quantity,
        mark_price=inputs.mark_price,
        margin_mode=inputs.margin_mode,
        open_orders=[OpenOrder(each.quantity, each.limit_price) for each in inputs.open_orders],
        funding_payment_per_unit=inputs.funding_payment_per_unit,
        in_auction=inputs.in_auction,
        auction_price=inputs.auction_price,
    )
    parameters = MarginLevelParameters(
        risk_factor_long=given.risk_factor_long,
        risk_factor_short=given.risk_factor_short,
        linear_slippage_factor=given.linear_slippage_factor,
        quadratic_slippage_factor=given.quadratic_slippage_factor,
        search_factor=given.search_factor,
        initial_factor=given.initial_factor,
        release_factor=given.release_factor,
        isolated_margin_factor=given.isolated_margin_factor,
        price_max=given.price_max,
        margin_funding_factor=given.margin_funding_factor,
        amount_tick=given.amount_tick,
        price_tick=given.price_tick,
    )
    return margin_levels(position, parameters)


class LognormalRiskFactorsInputs(Inputs):
    """Body of ``lognormal_risk_factors``."""

    tail_probability: OpenFraction = Field(description="level of the expected shortfall, e.g. 1e-6")
    horizon_years: Positive = Field(description="close-out horizon")
    volatility: Positive = Field(description="annual volatility")
    drift: Number = Field(0.0, description="annual drift of the log-normal mean")


def _lognormal_risk_factors(inputs: LognormalRiskFactorsInputs) -> RiskFactors:
    return lognormal_risk_factors(
        LognormalParameters(
            tail_probability=inputs.tail_probability,
            horizon_years=inputs.horizon_years,
            volatility=inputs.volatility,
            drift=inputs.drift,
        )
    )


CALCULATIONS = (
    Calculation(
        name="margin_levels",
        summary="Maintenance, search, initial and release levels of a futures position with its "
        "open orders (Vega).",
        model=MarginLevelsInputs,
        function=_margin_levels,
    ),
    Calculation(
        name="lognormal_risk_factors",
        summary="Expected-shortfall risk factors of a log-normal price (Vega).",
        model=LognormalRiskFactorsInputs,
        function=_lognormal_risk_factors,
    ),
)

"""European options by Black-76."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from engine.pricing.black76 import option_value
from engine.pricing.implied_volatility import implied_volatility
from engine.pricing.terms import OptionTerms, Settlement
from infra.compute.calculation import Calculation
from infra.compute.fields import Inputs, NonNegative, Number, Positive

# Outputs of every option, and those that one settlement adds.
_GREEKS: Final = ("option_price", "delta", "gamma", "vega", "theta", "rho")
_MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "linear": ("vanna", "volga"),
    "inverse": ("option_price_usd", "delta_usd", "net_delta"),
}


class OptionInputs(Inputs):
    """The contract."""

    option_type: Literal["call", "put"] = Field(description="right to buy (call) or to sell (put)")
    settlement: Settlement = Field(
        "linear",
        description="linear: paid in the quote currency; inverse: paid in the underlying coin",
    )
    forward_price: Positive = Field(
        description="forward of the underlying to the expiry [quote currency]"
    )
    strike_price: Positive = Field(description="strike [quote currency]")


class OptionValueInputs(OptionInputs):
    """Body of ``option_value``."""

    volatility: NonNegative = Field(description="annual log-normal volatility, 0.55 = 55%")
    time_to_expiry_years: NonNegative = Field(description="years to expiry, Act/365")
    risk_free_rate: Number = Field(0.0, description="continuous annual rate used for discounting")


def _option_value(inputs: OptionValueInputs) -> Mapping[str, float]:
    terms = OptionTerms(
        is_call=inputs.option_type == "call",
        strike_price=inputs.strike_price,
        years=inputs.time_to_expiry_years,
        settlement=inputs.settlement,
    )
    value = option_value(terms, inputs.forward_price, inputs.volatility, inputs.risk_free_rate)
    names = (*_GREEKS, *_MORE[inputs.settlement])
    return {name: float(getattr(value, name)) for name in names}


class ImpliedVolatilityInputs(OptionInputs):
    """Body of ``implied_volatility``."""

    time_to_expiry_years: Positive = Field(description="years to expiry, Act/365")
    risk_free_rate: Number = Field(0.0, description="continuous annual rate used for discounting")
    option_price: NonNegative = Field(
        description="price per unit [quote currency, or coin when inverse]"
    )


def _implied_volatility(inputs: ImpliedVolatilityInputs) -> Mapping[str, float]:
    terms = OptionTerms(
        is_call=inputs.option_type == "call",
        strike_price=inputs.strike_price,
        years=inputs.time_to_expiry_years,
        settlement=inputs.settlement,
    )
    found = implied_volatility(
        terms, inputs.forward_price, inputs.option_price, inputs.risk_free_rate
    )
    return {"implied_volatility": float(found)}


CALCULATIONS = (
    Calculation(
        name="option_value",
        summary="Black-76 value and Greeks of one unit of a European option.",
        model=OptionValueInputs,
        function=_option_value,
    ),
    Calculation(
        name="implied_volatility",
        summary="The volatility at which option_value returns a price.",
        model=ImpliedVolatilityInputs,
        function=_implied_volatility,
    ),
)

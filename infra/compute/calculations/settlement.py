"""Profit of positions, funding and cash settlement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from engine.settlement.funding import (
    FundingSettlement,
    PriceObservation,
    TwapFunding,
    funding_by_average,
    funding_by_index,
    funding_by_rate,
    time_weighted_average,
)
from engine.settlement.mark_to_market import MarkToMarketSettlement, mark_to_market_settlement
from engine.settlement.position import (
    AverageEntryRule,
    Fill,
    PositionProfit,
    PositionTerms,
    Settlement,
    position_pnl,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Inputs,
    NonNegative,
    NonZero,
    NotEmpty,
    Number,
    Positive,
    Text,
    Uses,
    drop,
    keep_fields_of,
    require,
    require_one_of,
)

_PERIOD = ("period_start_seconds", "period_end_seconds")


class FillInputs(Inputs):
    """One execution."""

    quantity: NonZero = Field(description="signed, buy > 0")
    fill_price: Positive = Field(description="execution price")
    fee_rate: Number = Field(
        0.0, description="fee as a fraction of the fill's notional, < 0 for a rebate"
    )


class PositionPnlInputs(Inputs):
    """Body of ``position_pnl``."""

    fills: tuple[FillInputs, ...] = Field(description="in time order")
    settlement: Settlement = Field(
        "linear",
        description="linear: paid in the quote currency; inverse: paid in the underlying coin",
    )
    contract_multiplier: Positive = Field(
        1.0,
        description="units of underlying per contract (linear) or quote currency per contract "
        "(inverse)",
    )
    average_entry_rule: AverageEntryRule = Field(
        "arithmetic", description="how fills in one direction average"
    )
    mark_price: Positive | None = Field(
        None, description="without it no unrealised P&L is returned"
    )
    funding_received: Number = Field(0.0, description="net funding received over the life")


def _position_pnl(inputs: PositionPnlInputs) -> PositionProfit:
    return position_pnl(
        [Fill(fill.quantity, fill.fill_price, fill.fee_rate) for fill in inputs.fills],
        PositionTerms(inputs.settlement, inputs.contract_multiplier, inputs.average_entry_rule),
        mark_price=inputs.mark_price,
        funding_received=inputs.funding_received,
    )


class FundingSettlementInputs(Inputs):
    """One funding instant."""

    mark_price: Positive = Field(description="price at which the venue margins the position")
    funding_rate: Number = Field(description="rate of the settlement, > 0 when longs pay")


class PriceObservationInputs(Inputs):
    """One observed price."""

    time_seconds: Number = Field(description="time of the observation, any origin")
    observed_price: Positive = Field(description="price from that time on")

    def observation(self) -> PriceObservation:
        """Return the engine's observation."""
        return PriceObservation(self.time_seconds, self.observed_price)


class FundingParameters(Inputs):
    """Parameters of ``twap_difference``."""

    interest_rate: Number = Field(0.0, description="annual rate r")
    clamp_lower: Number = Field(
        0.0, description="lower clamp as a fraction of the external average"
    )
    clamp_upper: Number = Field(0.0, description="upper clamp")
    year_fraction: NonNegative = Field(0.0, description="length of the period in years")
    scaling_factor: Number | None = Field(None, description="x payment")
    funding_rate_min: Number | None = Field(None, description="floor of the rate after scaling")
    funding_rate_max: Number | None = Field(None, description="cap of the rate after scaling")
    price_tick: Positive | None = Field(
        None,
        description="averages are rounded down and the payment truncated towards zero to it",
    )


class FundingPaymentInputs(Inputs):
    """Body of ``funding_payment``."""

    rule: Literal["rate", "index_difference", "twap_difference"] = Field(
        description="named rule, see above"
    )
    quantity: Number = Field(1.0, description="signed number of contracts, long > 0")
    contract_multiplier: Positive = Field(
        1.0,
        description="units of underlying per contract (linear) or quote currency per contract "
        "(inverse)",
    )
    settlement: Settlement = Field(
        "linear",
        description="linear: paid in the quote currency; inverse: paid in the underlying coin",
    )
    settlements: tuple[FundingSettlementInputs, ...] | None = Field(None, description="for rate")
    funding_index_start: Number | None = Field(
        None, description="for index_difference: cumulative funding per unit"
    )
    funding_index_end: Number | None = Field(None, description="for index_difference")
    internal_prices: NotEmpty[PriceObservationInputs] | None = Field(
        None, description="for twap_difference: the contract's own prices"
    )
    external_prices: NotEmpty[PriceObservationInputs] | None = Field(
        None, description="for twap_difference: index prices"
    )
    internal_twap: Positive | None = Field(None, description="instead of internal_prices")
    external_twap: Positive | None = Field(None, description="instead of external_prices")
    period_start_seconds: Number | None = Field(None, description="needed with prices")
    period_end_seconds: Number | None = Field(None, description="needed with prices")
    parameters: FundingParameters = Field(FundingParameters(), description="model parameters")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the rule; averages come as figures or as prices."""
        averages = ("internal_prices", "external_prices", "internal_twap", "external_twap")
        uses = {
            "rate": Uses(needed=("settlements",), optional=("settlement",)),
            "index_difference": Uses(needed=("funding_index_start", "funding_index_end")),
            "twap_difference": Uses(optional=(*averages, *_PERIOD, "parameters")),
        }
        keep_fields_of(given, "rule", uses)
        if given.get("rule") == "twap_difference":
            require_one_of(given, ("internal_prices",), ("internal_twap",))
            require_one_of(given, ("external_prices",), ("external_twap",))
            if "internal_prices" in given or "external_prices" in given:
                require(given, *_PERIOD, by="prices")
            else:
                drop(given, *_PERIOD)


def _funding_payment(inputs: FundingPaymentInputs) -> Mapping[str, float]:
    if inputs.rule == "rate":
        terms = PositionTerms(inputs.settlement, inputs.contract_multiplier)
        settlements = [
            FundingSettlement(each.mark_price, each.funding_rate)
            for each in inputs.settlements or ()
        ]
        return {"funding_received": funding_by_rate(inputs.quantity, settlements, terms)}
    if inputs.rule == "index_difference":
        received = funding_by_index(
            inputs.quantity,
            index_start=inputs.funding_index_start or 0.0,
            index_end=inputs.funding_index_end or 0.0,
            contract_multiplier=inputs.contract_multiplier,
        )
        return {"funding_received": received}
    return _funding_by_average(inputs)


def _funding_by_average(inputs: FundingPaymentInputs) -> Mapping[str, float]:
    internal = _average(inputs.internal_twap, inputs.internal_prices, inputs)
    external = _average(inputs.external_twap, inputs.external_prices, inputs)
    given = inputs.parameters
    parameters = TwapFunding(
        interest_rate=given.interest_rate,
        year_fraction=given.year_fraction,
        clamp_lower=given.clamp_lower,
        clamp_upper=given.clamp_upper,
        scaling_factor=given.scaling_factor,
        funding_rate_min=given.funding_rate_min,
        funding_rate_max=given.funding_rate_max,
        price_tick=given.price_tick,
    )
    payment = funding_by_average(internal, external, parameters)
    units = inputs.quantity * inputs.contract_multiplier
    return {
        "funding_received": -units * payment.funding_payment_per_unit,
        **asdict(payment),
        "internal_twap": internal,
        "external_twap": external,
    }


def _average(
    given: float | None,
    prices: tuple[PriceObservationInputs, ...] | None,
    inputs: FundingPaymentInputs,
) -> float:
    if given is not None:
        return given
    return time_weighted_average(
        [each.observation() for each in prices or ()],
        period_start_seconds=inputs.period_start_seconds or 0.0,
        period_end_seconds=inputs.period_end_seconds or 0.0,
        price_tick=inputs.parameters.price_tick,
    )


class SettledPositionInputs(Inputs):
    """One account's position."""

    account: Text = Field(description="name of the account")
    quantity: Number = Field(description="signed number of contracts, long > 0")


class MarkToMarketSettlementInputs(Inputs):
    """Body of ``mark_to_market_settlement``."""

    positions: tuple[SettledPositionInputs, ...] = Field(description="positions of the account")
    contract_multiplier: Positive = Field(1.0, description="units per contract")
    previous_price: Positive | None = Field(None, description="price of the last settlement")
    settlement_price: Positive | None = Field(None, description="price that settles now")
    payment_per_unit: Number | None = Field(
        None, description="instead of the two prices: cash per unit long"
    )
    amount_tick: Positive | None = Field(
        None, description="each amount is truncated towards zero to it"
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require both prices, or the payment."""
        require_one_of(given, ("previous_price", "settlement_price"), ("payment_per_unit",))


def _mark_to_market_settlement(inputs: MarkToMarketSettlementInputs) -> MarkToMarketSettlement:
    payment = inputs.payment_per_unit
    if payment is None:
        payment = (inputs.settlement_price or 0.0) - (inputs.previous_price or 0.0)
    return mark_to_market_settlement(
        [position.quantity for position in inputs.positions],
        payment,
        contract_multiplier=inputs.contract_multiplier,
        amount_tick=inputs.amount_tick,
    )


CALCULATIONS = (
    Calculation(
        name="position_pnl",
        summary="Average entry, realised and unrealised profit of a position built by fills.",
        model=PositionPnlInputs,
        function=_position_pnl,
    ),
    Calculation(
        name="funding_payment",
        summary="Funding of a perpetual; a positive rate or payment means that longs pay.",
        model=FundingPaymentInputs,
        function=_funding_payment,
    ),
    Calculation(
        name="mark_to_market_settlement",
        summary="Cash that settles a price change, or a payment per unit, among accounts.",
        model=MarkToMarketSettlementInputs,
        function=_mark_to_market_settlement,
    ),
)

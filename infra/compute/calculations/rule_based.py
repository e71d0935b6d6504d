"""Margin by rules and by SPAN's components, without a full revaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from engine.kernels.exact_sums import total
from engine.margin.span import N_SCENARIOS, SpanCharges, SpanRequirement, span_requirement
from engine.margin.standard_option import (
    StandardOptionParameters,
    StandardOptionPositions,
    standard_option_margin,
)
from engine.pricing.terms import Settlement
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    VALUE_FAULT,
    Body,
    Fraction,
    Inputs,
    Limit,
    NonNegative,
    Number,
    Positive,
    require,
)


class StandardOptionPositionInputs(Inputs):
    """One option position."""

    option_type: Literal["call", "put"] = Field(description="right to buy (call) or to sell (put)")
    strike_price: Positive = Field(description="strike [quote currency]")
    quantity: Number = Field(description="signed number of contracts, long > 0")
    mark_price: NonNegative = Field(
        description="option mark per unit [settlement currency: coin when inverse]"
    )
    contract_multiplier: Positive = Field(
        1.0,
        description="units of underlying per contract (linear) or quote currency per contract "
        "(inverse)",
    )


class StandardOptionParameterInputs(Inputs):
    """Rates of the rule."""

    rule: Literal["mark_floor_put", "mark_floor_all"] = Field(description="named rule, see above")
    initial_margin_rate: Fraction | None = Field(
        None, description="without it no initial margin is returned"
    )
    initial_margin_rate_min: Fraction | None = Field(
        None, description="floor fraction; needed with initial_margin_rate"
    )
    maintenance_margin_rate: Fraction = Field(description="fraction of underlying")
    liquidation_fee_rate: Fraction = Field(
        0.0, description="fraction of underlying added to maintenance"
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """An initial rate needs its floor."""
        if "initial_margin_rate" in given:
            require(given, "initial_margin_rate_min", by="initial_margin_rate")


class StandardOptionMarginInputs(Inputs):
    """Body of ``standard_option_margin``."""

    settlement: Settlement = Field(
        "linear",
        description="linear: paid in the quote currency; inverse: paid in the underlying coin",
    )
    underlying_price: Positive = Field(description="index or underlying price [quote currency]")
    positions: tuple[StandardOptionPositionInputs, ...] = Field(
        description="positions of the account"
    )
    parameters: StandardOptionParameterInputs = Field(description="model parameters")


def _standard_option_margin(inputs: StandardOptionMarginInputs) -> Mapping[str, object]:
    rows = inputs.positions
    n_rows = len(rows)
    found = standard_option_margin(
        StandardOptionPositions(
            is_call=np.array([row.option_type == "call" for row in rows], dtype=np.bool_),
            is_inverse=np.full(n_rows, inputs.settlement == "inverse"),
            underlying_price=np.full(n_rows, inputs.underlying_price),
            strike_price=np.array([row.strike_price for row in rows], dtype=np.float64),
            quantity=np.array([row.quantity for row in rows], dtype=np.float64),
            mark_price=np.array([row.mark_price for row in rows], dtype=np.float64),
            contract_multiplier=np.array(
                [row.contract_multiplier for row in rows], dtype=np.float64
            ),
        ),
        StandardOptionParameters(**inputs.parameters.model_dump()),
    )
    columns = {
        "out_of_the_money": found.out_of_the_money,
        "maintenance_margin": found.maintenance_margin,
        "initial_margin": found.initial_margin,
    }
    given = {name: values for name, values in columns.items() if values is not None}
    positions = [
        {name: float(values[row]) for name, values in given.items()} for row in range(n_rows)
    ]
    return {
        "positions": positions,
        "maintenance_margin": total(found.maintenance_margin),
        "initial_margin": None if found.initial_margin is None else total(found.initial_margin),
    }


def _sixteen(losses: tuple[float, ...]) -> tuple[float, ...]:
    if len(losses) != N_SCENARIOS:
        raise PydanticCustomError(
            VALUE_FAULT,
            "List should have {limit} items, not {found}",
            {"limit": N_SCENARIOS, "found": len(losses)},
        )
    return losses


class SpanRequirementInputs(Inputs):
    """Body of ``span_requirement``."""

    scenario_losses: Annotated[tuple[Number, ...], AfterValidator(_sixteen), Limit("16 items")] = (
        Field(description="16 losses, gain < 0")
    )
    intra_commodity_charge: NonNegative = Field(0.0, description="calendar spread charge")
    delivery_charge: NonNegative = Field(0.0, description="spot or delivery month charge")
    inter_commodity_credit: NonNegative = Field(0.0, description="credit, positive")
    short_option_minimum: NonNegative = Field(0.0, description="floor of the risk")
    net_option_value: Number = Field(0.0, description="long minus short option value")


def _span_requirement(inputs: SpanRequirementInputs) -> SpanRequirement:
    charges = inputs.model_dump(exclude={"scenario_losses"})
    return span_requirement(inputs.scenario_losses, SpanCharges(**charges))


CALCULATIONS = (
    Calculation(
        name="standard_option_margin",
        summary="Rule-based margin of single options without offsets (Deribit standard margin and "
        "its family).",
        model=StandardOptionMarginInputs,
        function=_standard_option_margin,
    ),
    Calculation(
        name="span_requirement",
        summary="Combination of the SPAN components of one combined commodity.",
        model=SpanRequirementInputs,
        function=_span_requirement,
    ),
)

"""Historical risk measures and conditional variance."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Lt, MinLen
from pydantic import Field

from engine.margin.conditional_variance import (
    ConditionalVariance,
    VarianceModel,
    conditional_variance,
)
from engine.margin.value_at_risk import TailRisk, value_at_risk
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Inputs,
    NonNegative,
    NotEmpty,
    Number,
    OpenFraction,
    Positive,
    PositiveCount,
    Uses,
    keep_fields_of,
)


class ValueAtRiskInputs(Inputs):
    """Body of ``value_at_risk``."""

    pnl: NotEmpty[Number] = Field(description="profit (+) and loss (-) of each scenario")
    confidence: OpenFraction = Field(description="share of outcomes outside the tail")


def _value_at_risk(inputs: ValueAtRiskInputs) -> TailRisk:
    return value_at_risk(np.array(inputs.pnl, dtype=np.float64), confidence=inputs.confidence)


class ConditionalVarianceInputs(Inputs):
    """Body of ``conditional_variance``."""

    returns: Annotated[tuple[Number, ...], MinLen(2)] = Field(
        description="oldest first, mean taken as zero"
    )
    model: Literal["ewma", "garch", "gjr_garch"] = Field(description="variance model")
    decay: OpenFraction | None = Field(None, description="for ewma")
    omega: Positive | None = Field(None, description="for the GARCH models")
    alpha: NonNegative | None = Field(None, description="for the GARCH models")
    beta: Annotated[Number, Ge(0.0), Lt(1.0)] | None = Field(
        None, description="for the GARCH models"
    )
    gamma: Number | None = Field(
        None, description="for gjr_garch: extra weight of negative returns"
    )
    horizon: PositiveCount = Field(1, description="number of forecasts")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the model."""
        garch = ("omega", "alpha", "beta")
        uses = {
            "ewma": Uses(needed=("decay",)),
            "garch": Uses(needed=garch),
            "gjr_garch": Uses(needed=(*garch, "gamma")),
        }
        keep_fields_of(given, "model", uses)


def _conditional_variance(inputs: ConditionalVarianceInputs) -> ConditionalVariance:
    if inputs.model == "ewma":
        model = VarianceModel.ewma(inputs.decay or 0.0)
    else:
        model = VarianceModel(
            omega=inputs.omega or 0.0,
            alpha=inputs.alpha or 0.0,
            beta=inputs.beta or 0.0,
            gamma=inputs.gamma or 0.0,
        )
    return conditional_variance(inputs.returns, model, horizon=inputs.horizon)


CALCULATIONS = (
    Calculation(
        name="value_at_risk",
        summary="Value at risk and expected shortfall by historical simulation.",
        model=ValueAtRiskInputs,
        function=_value_at_risk,
    ),
    Calculation(
        name="conditional_variance",
        summary="Variance of returns by exponential weighting or GARCH with given parameters.",
        model=ConditionalVarianceInputs,
        function=_conditional_variance,
    ),
)

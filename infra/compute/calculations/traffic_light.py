"""Basel traffic light; apart from the other tests because it alone loads scipy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pydantic import Field

from engine.backtest.traffic_light import (
    FACTOR_CONFIDENCE,
    FACTOR_OBSERVATIONS,
    TabulatedBounds,
    ZoneBounds,
    capital_factors,
    exception_probability,
    tabulated_zone_bounds,
    zone_bounds,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import Count, Inputs, NotEmpty, OpenFraction, PositiveCount


class ZoneBoundsInputs(Inputs):
    """One row of tabulated bounds."""

    observations: PositiveCount = Field(description="number of days")
    max_green: Count = Field(description="largest count still green")
    max_yellow: Count = Field(description="largest count still yellow")


class TrafficLightInputs(Inputs):
    """Body of ``traffic_light``."""

    observations: PositiveCount = Field(description="number of days")
    confidence: OpenFraction = Field(description="confidence of the forecast, 0.99")
    exceptions: Count | None = Field(
        None, description="days on which the loss exceeded the forecast"
    )
    zone_bounds: NotEmpty[ZoneBoundsInputs] | None = Field(
        None, description="tabulated bounds, a step function of the number of observations"
    )


def _traffic_light(inputs: TrafficLightInputs) -> Mapping[str, object]:
    bounds = _bounds(inputs)
    outputs: dict[str, object] = asdict(bounds)
    if inputs.exceptions is None:
        return outputs
    outputs["zone"] = bounds.zone(inputs.exceptions)
    outputs["cumulative_probability"] = exception_probability(
        inputs.observations, inputs.exceptions, confidence=inputs.confidence
    )
    is_calibrated = (inputs.observations, inputs.confidence) == (
        FACTOR_OBSERVATIONS,
        FACTOR_CONFIDENCE,
    )
    if is_calibrated and inputs.zone_bounds is None:
        outputs.update(asdict(capital_factors(inputs.exceptions)))
    return outputs


def _bounds(inputs: TrafficLightInputs) -> ZoneBounds:
    if inputs.zone_bounds is None:
        return zone_bounds(inputs.observations, confidence=inputs.confidence)
    table = [
        TabulatedBounds(row.observations, ZoneBounds(row.max_green, row.max_yellow))
        for row in inputs.zone_bounds
    ]
    return tabulated_zone_bounds(table, inputs.observations)


CALCULATIONS = (
    Calculation(
        name="traffic_light",
        summary="Basel traffic light for the number of exceptions.",
        model=TrafficLightInputs,
        function=_traffic_light,
    ),
)

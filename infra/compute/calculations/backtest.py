"""Counting tests of exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from annotated_types import Ge
from pydantic import Field

from engine.backtest.christoffersen import (
    Transitions,
    conditional_coverage_test,
    independence_test,
    transitions_between,
)
from engine.backtest.kupiec import TEST_CONFIDENCE, kupiec_region, kupiec_test, require_counts
from engine.errors import ModelInputError
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Count,
    Inputs,
    OpenFraction,
    PositiveCount,
    Whole,
    require,
    require_one_of,
)


class KupiecTestInputs(Inputs):
    """Body of ``kupiec_test``."""

    observations: PositiveCount = Field(description="number of days")
    exceptions: Count | None = Field(
        None, description="days on which the loss exceeded the forecast"
    )
    confidence: OpenFraction = Field(description="confidence of the forecast")
    test_confidence: OpenFraction = Field(TEST_CONFIDENCE, description="confidence of the test")


def _kupiec_test(inputs: KupiecTestInputs) -> Mapping[str, object]:
    region = kupiec_region(
        inputs.observations,
        confidence=inputs.confidence,
        test_confidence=inputs.test_confidence,
    )
    outputs: dict[str, object] = asdict(region)
    if inputs.exceptions is not None:
        tested = kupiec_test(
            inputs.observations,
            inputs.exceptions,
            confidence=inputs.confidence,
            test_confidence=inputs.test_confidence,
        )
        outputs.update(asdict(tested))
    return outputs


class TransitionsInputs(Inputs):
    """Counts of neighbouring days."""

    n00: Count = Field(description="no exception after none")
    n01: Count = Field(description="exception after none")
    n10: Count = Field(description="none after an exception")
    n11: Count = Field(description="exception after an exception")


class ChristoffersenTestInputs(Inputs):
    """Body of ``christoffersen_test``."""

    observations: Annotated[Whole, Ge(2)] | None = Field(None, description="number of days")
    exceptions: Count | None = Field(
        None, description="days on which the loss exceeded the forecast"
    )
    confidence: OpenFraction | None = Field(None, description="confidence of the forecast")
    exception_days: tuple[Whole, ...] | None = Field(None, description="day numbers from 1")
    transitions: TransitionsInputs | None = Field(None, description="counts instead of days")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require days with their number, or transitions."""
        require_one_of(given, ("exception_days",), ("transitions",))
        if "exception_days" in given:
            require(given, "observations", by="exception_days")


def _christoffersen_test(inputs: ChristoffersenTestInputs) -> Mapping[str, object]:
    transitions, exceptions = _transitions(inputs)
    outputs: dict[str, object] = {
        **asdict(transitions),
        **asdict(independence_test(transitions)),
    }
    if inputs.observations is not None and exceptions is not None:
        require_counts(inputs.observations, exceptions)
        if inputs.confidence is not None:
            tested = conditional_coverage_test(
                transitions,
                observations=inputs.observations,
                exceptions=exceptions,
                confidence=inputs.confidence,
            )
            outputs.update(asdict(tested))
    return outputs


def _transitions(inputs: ChristoffersenTestInputs) -> tuple[Transitions, int | None]:
    if inputs.transitions is not None:
        counts = inputs.transitions
        return Transitions(counts.n00, counts.n01, counts.n10, counts.n11), inputs.exceptions
    days = inputs.exception_days or ()
    if inputs.exceptions is not None and inputs.exceptions != len(days):
        raise ModelInputError(
            f"exceptions is {inputs.exceptions}, but {len(days)} exception_days are given",
            value=inputs.exceptions,
            limit=str(len(days)),
        )
    return transitions_between(days, observations=inputs.observations or 0), len(days)


CALCULATIONS = (
    Calculation(
        name="kupiec_test",
        summary="Proportion-of-failures test.",
        model=KupiecTestInputs,
        function=_kupiec_test,
    ),
    Calculation(
        name="christoffersen_test",
        summary="Independence and conditional coverage of exceptions.",
        model=ChristoffersenTestInputs,
        function=_christoffersen_test,
    ),
)

"""What is owed and what counts while an input cannot be trusted between closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Ge

from engine.limits import STRICT, Fraction, NonNegative

SECONDS_PER_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Distrust:
    """One state of an input: add-on to requirements, haircut of collateral, growing with age."""

    __pydantic_config__ = STRICT
    add_on: NonNegative
    """Of the last fresh requirement, at once. [-]"""
    add_on_per_hour: NonNegative
    add_on_max: NonNegative
    haircut: Fraction
    """Of the quantity last known there, at once. [-]"""
    haircut_per_hour: NonNegative
    haircut_max: Fraction
    grace_seconds: Annotated[float, Ge(0.0)] = 0.0
    """Age up to which nothing grows yet; what applies at once applies."""

    def add_on_at(self, age_seconds: float) -> float:
        """Return the add-on at an age: never falls while it grows, and never beyond the maximum."""
        grown = self.add_on + self.add_on_per_hour * self._hours(age_seconds)
        return max(self.add_on, min(grown, self.add_on_max))

    def haircut_at(self, age_seconds: float) -> float:
        """Return the haircut at an age: never falls while it grows, at most the maximum."""
        grown = self.haircut + self.haircut_per_hour * self._hours(age_seconds)
        return min(max(self.haircut, min(grown, self.haircut_max)), 1.0)

    def _hours(self, age_seconds: float) -> float:
        return max(age_seconds - self.grace_seconds, 0.0) / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Degraded:
    """By state of the input."""

    __pydantic_config__ = STRICT
    stale: Distrust
    uncertain: Distrust
    down: Distrust
    no_quorum: Distrust


# Of parameters from before there were any: the add-on of a hold, and collateral there counts 0.
UNSTATED: Final = Distrust(
    add_on=0.10, add_on_per_hour=0.0, add_on_max=0.10,
    haircut=1.0, haircut_per_hour=0.0, haircut_max=1.0,
)  # fmt: skip

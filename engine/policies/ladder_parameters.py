"""Terms of the ladder that a margin deficit climbs: warn, call, restrict, reduce."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Le

from engine.errors import ParameterError
from engine.limits import STRICT, Positive

RUNG_NAMES: Final = ("warn", "call", "restrict", "reduce")
"""Names of the rungs, lowest first; rung number ``i + 1`` is ``RUNG_NAMES[i]``."""
LEVEL_NAMES: Final = ("none", *RUNG_NAMES)
"""Names of the levels 0 to 4."""
NONE, WARN, CALL, RESTRICT, REDUCE = range(5)

RungAction: TypeAlias = Literal["automatic", "approval"]
"""Whether what a rung asks for is done at once, or when a person has said so."""
Seconds = Annotated[float, Ge(0.0), Le(604_800.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRung:
    """When a rung is entered and left. Thresholds are utilisations, 1 = the edge of a deficit."""

    __pydantic_config__ = STRICT
    enter: Positive
    """Entered at or above this."""
    release: Positive
    """Left below this only; less than ``enter``, so that a ratio at the edge does not flap."""
    dwell_seconds: Seconds = 0.0
    """How long the ratio has to stand at or above ``enter`` without a break before it counts."""
    cool_down_seconds: Seconds = 0.0
    """How long it has to stand below ``release``, on fresh input, before the rung is left."""
    action: RungAction = "automatic"

    def __post_init__(self) -> None:
        if not self.release < self.enter:
            raise ParameterError(
                f"release is {self.release:g}, limit below enter, {self.enter:g}",
                identifier="release",
                value=self.release,
                limit=f"< {self.enter:g}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The four rungs; thresholds do not fall from one to the next."""

    __pydantic_config__ = STRICT
    warn: LadderRung
    call: LadderRung
    restrict: LadderRung
    reduce: LadderRung

    def __post_init__(self) -> None:
        for lower, upper in pairwise(fields(self)):
            below, above = getattr(self, lower.name), getattr(self, upper.name)
            for name in ("enter", "release"):
                if getattr(above, name) < getattr(below, name):
                    raise ParameterError(
                        f"{upper.name}.{name} is {getattr(above, name):g}, limit at least that of "
                        f"{lower.name}, {getattr(below, name):g}",
                        identifier=f"{upper.name}.{name}",
                        value=getattr(above, name),
                        limit=f">= {getattr(below, name):g}",
                    )

    @property
    def rungs(self) -> tuple[LadderRung, LadderRung, LadderRung, LadderRung]:
        """Return the rungs, lowest first."""
        return self.warn, self.call, self.restrict, self.reduce

"""Terms by which alerts are grouped, not repeated, and limited in number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Le, MinLen

from engine.errors import ParameterError
from engine.limits import STRICT

GroupBy: TypeAlias = Literal["cause", "venue", "underlying", "client"]
_DAY_SECONDS: Final = 86_400.0
Wait = Annotated[float, Ge(0.0), Le(_DAY_SECONDS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """How many alerts people get at most, and what is done with the rest: nothing is dropped."""

    __pydantic_config__ = STRICT
    group_by: Annotated[tuple[GroupBy, ...], MinLen(1)]
    """What notices of one moment are grouped by: the first that they share in number."""
    single_max: Annotated[int, Ge(1), Le(1000)]
    """Notices that share it and are still told one by one; more become one alert."""
    group_seconds: Wait
    """How long an alert takes in further notices of its group."""
    summary_seconds: Wait
    """Soonest that a group that has grown is told again, unless it reaches a higher level."""
    repeat_seconds: Wait
    """How long a subject is not told of again at a level that it was told of."""
    alerts_max: Annotated[int, Ge(1), Le(10_000)]
    """Alerts that may be told one by one within ``window_seconds``; more join one summary."""
    window_seconds: Annotated[float, Ge(1.0), Le(_DAY_SECONDS)]

    def __post_init__(self) -> None:
        if len(set(self.group_by)) != len(self.group_by):
            raise ParameterError(
                f"group_by is {', '.join(self.group_by)}, limit: each at most once",
                identifier="group_by",
                value=self.group_by,
                limit="each at most once",
            )

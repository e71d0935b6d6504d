"""When a price is believed within the day: dated parameters of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Ge, Gt, Le, Lt

from engine.errors import ParameterError
from engine.limits import STRICT, Positive

Band = Annotated[float, Gt(0.0), Lt(1.0)]
Seconds = Annotated[float, Gt(0.0), Le(86_400.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceParameters:
    """Limits of prices that come in within the day."""

    __pydantic_config__ = STRICT
    n_sources_min: Annotated[int, Ge(3), Le(16)]
    """Independent sources that make a quorum."""
    band_major: Band
    """How far a mark may stand from the quorum's median, its own basis allowed for. [-]"""
    band_minor: Band
    """The same of an asset outside the major class; not narrower. [-]"""
    jump_max: Band
    """Without a quorum, a move beyond this has to last before it is believed. [-]"""
    volatility_jump_max: Positive
    """The same of an option's volatility, up or down. [-]"""
    confirm_seconds: Seconds
    """How long it has to last. [s]"""
    mark_age_seconds_max: Seconds
    """An older mark is stale. [s]"""
    frozen_seconds_max: Seconds
    """So is one that repeats itself this long, whatever its stamps say; not shorter. [s]"""
    ahead_seconds_max: Seconds
    """How far a venue's stamp may lie ahead of the clock. [s]"""
    volatility_max: Positive
    """An option's volatility beyond this is no volatility. [-]"""
    redemption_value: Mapping[str, Positive]
    """What the issuer pays for one unit: as collateral it is worth no more, owed no less. [USD]"""

    def __post_init__(self) -> None:
        _require_not_below(self, "band_minor", "band_major")
        _require_not_below(self, "frozen_seconds_max", "mark_age_seconds_max")


def _require_not_below(parameters: AcceptanceParameters, name: str, other: str) -> None:
    found, least = getattr(parameters, name), getattr(parameters, other)
    if found < least:
        raise ParameterError(
            f"acceptance.{name} is {found:g}, limit at least {other}, {least:g}",
            identifier=f"acceptance.{name}",
            value=found,
            limit=f">= {least:g}",
        )


UNSTATED: Final = AcceptanceParameters(
    n_sources_min=3,
    band_major=0.02,
    band_minor=0.05,
    jump_max=0.10,
    volatility_jump_max=0.5,
    confirm_seconds=30.0,
    mark_age_seconds_max=30.0,
    frozen_seconds_max=300.0,
    ahead_seconds_max=5.0,
    volatility_max=10.0,
    redemption_value={"USDC": 1.0, "USDT": 1.0, "USDE": 1.0, "DAI": 1.0},
)
"""Of rule books from before there were any: what counted then, so that they replay as they did."""

"""When a price is believed within the day: dated parameters of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from engine.limits import STRICT, NonNegative, Positive

Band = Annotated[float, Gt(0.0), Lt(1.0)]


@dataclass(frozen=True, slots=True)
class AcceptanceParameters:
    """Limits of prices that come in within the day.

    The defaults are conservative: bands about three times what the basis of liquid perpetuals did
    in a day outside 2020-03-12 and 2025-10-10, ages a few repetitions of the slowest venue.
    """

    __pydantic_config__ = STRICT
    n_sources_min: Annotated[int, Ge(3)] = 3
    """Independent sources that make a quorum."""
    band_major: Band = 0.02
    """How far a mark may stand from the quorum's median, its own basis allowed for. [-]"""
    band_minor: Band = 0.05
    jump_max: Band = 0.10
    """Without a quorum, a move beyond this has to last before it is believed. [-]"""
    volatility_jump_max: Positive = 0.5
    """The same of an option's volatility, up or down. [-]"""
    confirm_seconds: Positive = 30.0
    mark_age_seconds_max: Positive = 30.0
    """An older mark is stale. [s]"""
    frozen_seconds_max: Positive = 300.0
    """So is one that repeats itself this long, whatever its stamps say. [s]"""
    ahead_seconds_max: Positive = 5.0
    """How far a venue's stamp may lie ahead of the clock. [s]"""
    volatility_max: Positive = 10.0
    stale_add_on: NonNegative = 0.10
    """Added to what rests on a stale mark, at once. [-]"""
    stale_add_on_per_hour: NonNegative = 0.10
    redemption_value: Mapping[str, float] = field(
        default_factory=lambda: {"USDC": 1.0, "USDT": 1.0, "USDE": 1.0, "DAI": 1.0}
    )
    """What the issuer pays for one unit: as collateral it is worth no more, owed no less. [USD]"""


DEFAULTS = AcceptanceParameters()

"""Initial and maintenance margin of futures and perpetuals whose rates grow with size."""

from __future__ import annotations

from engine.margin.tiered_parameters import (
    TIERED_RULES,
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    Tier,
    TieredParameters,
)

__all__ = [
    "TIERED_RULES",
    "NotionalTiers",
    "OpenInterestScaled",
    "SizeSlope",
    "Tier",
    "TieredParameters",
]

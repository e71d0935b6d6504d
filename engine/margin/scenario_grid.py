"""Portfolio margin by scenario grid: the worst loss over price and volatility moves."""

from __future__ import annotations

from engine.margin.scenario_parameters import (
    AddOn,
    ChargeTier,
    DepegTier,
    ExtraScenario,
    ScenarioGridParameters,
    VolatilityMove,
)

__all__ = [
    "AddOn",
    "ChargeTier",
    "DepegTier",
    "ExtraScenario",
    "ScenarioGridParameters",
    "VolatilityMove",
]

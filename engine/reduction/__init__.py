"""Reduce-only orders at least cost that restore a margin ratio, and what the venue would do."""

from engine.reduction.costs import trading_costs
from engine.reduction.plan import ReductionPlan, plan_reduction
from engine.reduction.terms import PlannedOrder, ReductionTerms
from engine.reduction.waterfall import (
    AccountState,
    LiquidationRules,
    LiquidationStep,
    Waterfall,
    waterfall,
)

__all__ = [
    "AccountState",
    "LiquidationRules",
    "LiquidationStep",
    "PlannedOrder",
    "ReductionPlan",
    "ReductionTerms",
    "Waterfall",
    "plan_reduction",
    "trading_costs",
    "waterfall",
]

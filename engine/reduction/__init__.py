"""Reduce-only orders at least cost that restore a margin ratio, and what the venue would do."""

from engine.reduction.accounts import LIQUIDATION, AccountWaterfall, account_waterfalls
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
    "LIQUIDATION",
    "AccountState",
    "AccountWaterfall",
    "LiquidationRules",
    "LiquidationStep",
    "PlannedOrder",
    "ReductionPlan",
    "ReductionTerms",
    "Waterfall",
    "account_waterfalls",
    "plan_reduction",
    "trading_costs",
    "waterfall",
]

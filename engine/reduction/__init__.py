"""Reduce-only orders at least cost that restore a margin ratio."""

from engine.reduction.costs import trading_costs
from engine.reduction.plan import ReductionPlan, plan_reduction
from engine.reduction.terms import PlannedOrder, ReductionTerms

__all__ = ["PlannedOrder", "ReductionPlan", "ReductionTerms", "plan_reduction", "trading_costs"]

"""Which asset from where covers which need: the clear rule, and the optimum beside it."""

from engine.allocation.greedy import greedy_plan
from engine.allocation.optimum import Optimum, optimal_plan
from engine.allocation.plan import Move, Plan
from engine.allocation.problem import HOUSE, Acceptance, Asset, Holding, Need, Problem, Rail

__all__ = [
    "HOUSE",
    "Acceptance",
    "Asset",
    "Holding",
    "Move",
    "Need",
    "Optimum",
    "Plan",
    "Problem",
    "Rail",
    "greedy_plan",
    "optimal_plan",
]

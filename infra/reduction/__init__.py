"""The desk of reductions: what was approved leaves in slices, and is seen through to its end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.reduction.desk import OrderDecision, ReductionDesk
    from infra.reduction.policy_files import (
        ReductionPolicyInForce,
        read_reduction_policy,
        reduction_policy_in_force,
    )
    from infra.reduction.proposing import (
        Proposed,
        ReductionBasis,
        ReductionWish,
        propose_reduction,
    )
    from infra.reduction.standing import AssessedStandings, Standing, Standings, Traded
    from infra.reduction.wiring import Wiring, wiring_of

# Resolved on first use: SQLAlchemy stays out of the start of a command.
_HOMES = {
    "AssessedStandings": "standing",
    "OrderDecision": "desk",
    "Proposed": "proposing",
    "ReductionBasis": "proposing",
    "ReductionDesk": "desk",
    "ReductionPolicyInForce": "policy_files",
    "ReductionWish": "proposing",
    "Standing": "standing",
    "Standings": "standing",
    "Traded": "standing",
    "Wiring": "wiring",
    "propose_reduction": "proposing",
    "read_reduction_policy": "policy_files",
    "reduction_policy_in_force": "policy_files",
    "wiring_of": "wiring",
}

__all__ = [
    "AssessedStandings",
    "OrderDecision",
    "Proposed",
    "ReductionBasis",
    "ReductionDesk",
    "ReductionPolicyInForce",
    "ReductionWish",
    "Standing",
    "Standings",
    "Traded",
    "Wiring",
    "propose_reduction",
    "read_reduction_policy",
    "reduction_policy_in_force",
    "wiring_of",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.reduction.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

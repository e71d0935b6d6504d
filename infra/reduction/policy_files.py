"""The policy of reductions in force, by its file; see ``infra.dated_policies``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from engine.reduction.policy import ReductionPolicy
from infra.dated_policies import InForce, PolicyKind

ReductionPolicyInForce: TypeAlias = InForce[ReductionPolicy]

_KIND: Final = PolicyKind(
    name="reduction",
    folder="reductions",
    content=ReductionPolicy,
    amounts=frozenset(
        {
            "above", "automatic_notional_max", "slice_notional_max", "day_notional_max",
            "house_day_notional_max", "hedge_slice_notional_max", "hedge_notional_max",
        }
    ),
)  # fmt: skip


def reduction_policy_in_force(
    on: date, own_parameters: Path | None = None
) -> ReductionPolicyInForce:
    """Return the policy in force on a date; raises as ``PolicyKind.in_force``."""
    return _KIND.in_force(on, own_parameters)


def read_reduction_policy(path: Path) -> ReductionPolicyInForce:
    """Return the policy of one TOML file; raises as ``PolicyKind.read``."""
    return _KIND.read(path)

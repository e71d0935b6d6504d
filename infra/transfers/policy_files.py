"""The transfer policy in force, by its file; see ``infra.dated_policies``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from engine.transfers.policy import TransferPolicy
from infra.dated_policies import InForce, PolicyKind
from infra.rules import DEFAULT_PARAMETERS

__all__ = ["DEFAULT_PARAMETERS", "PolicyInForce", "policy_in_force", "read_policy"]

PolicyInForce: TypeAlias = InForce[TransferPolicy]

_KIND: Final = PolicyKind(
    name="transfer",
    folder="transfers",
    content=TransferPolicy,
    amounts=frozenset(
        {
            "transfer_max",
            "fee_max",
            "above",
            "day_max",
            "rolling_max",
            "use_cost",
            "kept_share",
            "unattended_max",
        }
    ),
)


def policy_in_force(on: date, own_parameters: Path | None = None) -> PolicyInForce:
    """Return the policy in force on a date; raises as ``PolicyKind.in_force``."""
    return _KIND.in_force(on, own_parameters)


def read_policy(path: Path) -> PolicyInForce:
    """Return the policy of one TOML file; raises as ``PolicyKind.read``."""
    return _KIND.read(path)

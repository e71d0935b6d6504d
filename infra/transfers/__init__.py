"""The transfer desk: approved movements leave once and are seen through to their end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.outbound.kill_switch import KillStatus, KillSwitch
    from infra.outbound.worked import Worked
    from infra.transfers.desk import Gateways, HandDecision, TransferDesk
    from infra.transfers.policy_files import PolicyInForce, policy_in_force, read_policy

# Resolved on first use: SQLAlchemy stays out of the start of a command.
_HOMES = {
    "Gateways": "infra.transfers.desk",
    "HandDecision": "infra.transfers.desk",
    "KillStatus": "infra.outbound.kill_switch",
    "KillSwitch": "infra.outbound.kill_switch",
    "PolicyInForce": "infra.transfers.policy_files",
    "TransferDesk": "infra.transfers.desk",
    "Worked": "infra.outbound.worked",
    "policy_in_force": "infra.transfers.policy_files",
    "read_policy": "infra.transfers.policy_files",
}

__all__ = [
    "Gateways",
    "HandDecision",
    "KillStatus",
    "KillSwitch",
    "PolicyInForce",
    "TransferDesk",
    "Worked",
    "policy_in_force",
    "read_policy",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The transfer desk: approved movements leave once and are seen through to their end."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.transfers.desk import Gateways, HandDecision, TransferDesk, Worked
    from infra.transfers.kill_switch import KillStatus, KillSwitch
    from infra.transfers.policy_files import PolicyInForce, policy_in_force, read_policy

# Resolved on first use: SQLAlchemy stays out of the start of a command.
_HOMES = {
    "Gateways": "desk",
    "HandDecision": "desk",
    "KillStatus": "kill_switch",
    "KillSwitch": "kill_switch",
    "PolicyInForce": "policy_files",
    "TransferDesk": "desk",
    "Worked": "desk",
    "policy_in_force": "policy_files",
    "read_policy": "policy_files",
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
        return getattr(import_module(f"infra.transfers.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

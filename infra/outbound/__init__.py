"""What all that leaves the house has in common: the kill switch, and how venues are asked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.outbound.asking import asked
    from infra.outbound.kill_switch import KillStatus, KillSwitch, armed_within
    from infra.outbound.parallel import in_parallel
    from infra.outbound.worked import Cause, Worked

# Resolved on first use: SQLAlchemy stays out of the start of a command.
_HOMES = {
    "Cause": "worked",
    "KillStatus": "kill_switch",
    "KillSwitch": "kill_switch",
    "Worked": "worked",
    "armed_within": "kill_switch",
    "asked": "asking",
    "in_parallel": "parallel",
}

__all__ = [
    "Cause",
    "KillStatus",
    "KillSwitch",
    "Worked",
    "armed_within",
    "asked",
    "in_parallel",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.outbound.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

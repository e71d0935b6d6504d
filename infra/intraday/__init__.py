"""The intraday loop: one process from a frame on the wire to a durable call."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.intraday.base import Base, Bases
    from infra.intraday.process import LoopOptions, LoopProcess
    from infra.intraday.status import LoopStatus, read_metrics, read_status

# Resolved on first use: kernels stay out of the start of a command.
_HOMES = {
    "Base": "base",
    "Bases": "base",
    "LoopOptions": "process",
    "LoopProcess": "process",
    "LoopStatus": "status",
    "read_metrics": "status",
    "read_status": "status",
}

__all__ = [
    "Base",
    "Bases",
    "LoopOptions",
    "LoopProcess",
    "LoopStatus",
    "read_metrics",
    "read_status",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.intraday.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Alerts: out of our database to chat, mail, pager and webhook. See README.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.alerts.channels import Channel, read_channels
    from infra.alerts.desk import AlertDesk, Round
    from infra.alerts.watching import Check

# Resolved on first use: apprise takes a second to import.
_HOMES = {
    "AlertDesk": "desk",
    "Channel": "channels",
    "Check": "watching",
    "Round": "desk",
    "read_channels": "channels",
}

__all__ = ["AlertDesk", "Channel", "Check", "Round", "read_channels"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.alerts.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

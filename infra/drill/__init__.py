"""A crash day played again through simulated venues, with the platform at work and without it."""

from __future__ import annotations

from importlib import import_module

# Resolved on first use: venues, loop and solver stay out of the start of a command.
_HOMES = {
    "DrillDay": "days",
    "Played": "story",
    "generated_day": "days",
    "play": "play",
    "real_day": "days",
    "write_page": "page",
}

__all__ = ["DrillDay", "Played", "generated_day", "play", "real_day", "write_page"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.drill.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

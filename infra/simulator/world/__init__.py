"""The sample world: a seeded, plausible cross-venue broker with four years of market history."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.simulator.world.books import Book, BookShape, generate_book
    from infra.simulator.world.build import build_world
    from infra.simulator.world.parameters import WorldParameters, WorldSummary
    from infra.simulator.world.tradables import BookMarket

__all__ = [
    "Book",
    "BookMarket",
    "BookShape",
    "WorldParameters",
    "WorldSummary",
    "build_world",
    "generate_book",
]

_HOMES = {
    "Book": "books",
    "BookMarket": "tradables",
    "BookShape": "books",
    "WorldParameters": "parameters",
    "WorldSummary": "parameters",
    "build_world": "build",
    "generate_book": "books",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: pandas and scipy take a second to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

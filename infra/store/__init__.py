"""Bulk results as Parquet under a URL, and snapshots named by the hash of their content."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.store.arrow import frame_hash
    from infra.store.snapshots import (
        FrozenSnapshot,
        LoadedSnapshot,
        SnapshotParts,
        freeze,
        load_snapshot,
    )
    from infra.store.store import Store, open_store

# Resolved on first use: pandas and pyarrow stay out of the start of a command.
_HOMES = {
    "FrozenSnapshot": "snapshots",
    "LoadedSnapshot": "snapshots",
    "SnapshotParts": "snapshots",
    "Store": "store",
    "frame_hash": "arrow",
    "freeze": "snapshots",
    "load_snapshot": "snapshots",
    "open_store": "store",
}

__all__ = [
    "FrozenSnapshot",
    "LoadedSnapshot",
    "SnapshotParts",
    "Store",
    "frame_hash",
    "freeze",
    "load_snapshot",
    "open_store",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.store.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

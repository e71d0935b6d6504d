"""Reconciliation: what the books agree on, and who has to explain where they do not."""

from engine.reconciliation.close import (
    SOURCES,
    Reconciliation,
    reconcile,
    reporting_quantities,
    smallest_confirmed,
    sources_differ,
)
from engine.reconciliation.items import (
    BreakKind,
    Difference,
    InFlight,
    Item,
    Limits,
    Side,
    reconcile_items,
)

__all__ = [
    "SOURCES",
    "BreakKind",
    "Difference",
    "InFlight",
    "Item",
    "Limits",
    "Reconciliation",
    "Side",
    "reconcile",
    "reconcile_items",
    "reporting_quantities",
    "smallest_confirmed",
    "sources_differ",
]

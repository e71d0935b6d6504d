"""Reconciliation: what the books agree on, and who has to explain where they do not."""

from engine.reconciliation.close import (
    SOURCES,
    Reconciliation,
    reconcile,
    reporting_quantities,
    smallest_confirmed,
    sources_differ,
)
from engine.reconciliation.funding import (
    FundingDue,
    FundingTerms,
    Observation,
    funding_due,
    funding_payment,
    judge_funding,
)
from engine.reconciliation.items import (
    BreakKind,
    Difference,
    InFlight,
    Item,
    Limits,
    Side,
    difference,
    reconcile_items,
)
from engine.reconciliation.positions import Evidence, PlacedTrade, reconcile_positions

__all__ = [
    "SOURCES",
    "BreakKind",
    "Difference",
    "Evidence",
    "FundingDue",
    "FundingTerms",
    "InFlight",
    "Item",
    "Limits",
    "Observation",
    "PlacedTrade",
    "Reconciliation",
    "Side",
    "difference",
    "funding_due",
    "funding_payment",
    "judge_funding",
    "reconcile",
    "reconcile_items",
    "reconcile_positions",
    "reporting_quantities",
    "smallest_confirmed",
    "sources_differ",
]

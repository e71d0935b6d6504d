"""The life of a reduction and of each of its orders: which state may follow which.

A plan that is only shown ends where it begins. An order begins as ``unknown``: that is committed
before its bytes leave, so whatever kills the process afterwards, it is known to have perhaps been
sent. An order is sent once; what is left of its leg goes with the next slice, under a key of its
own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from engine.sending import require_follows

PlanState: TypeAlias = Literal[
    "shadow", "proposed", "working", "stopping", "restored", "insufficient", "stopped", "rejected",
    "expired",
]  # fmt: skip
OrderState: TypeAlias = Literal[
    "unknown", "open", "stuck", "filled", "cancelled", "refused", "not_sent", "not_executed"
]

_PLAN: Final[Mapping[str, tuple[str, ...]]] = {
    "shadow": (),
    "proposed": ("working", "rejected", "expired"),
    "working": ("restored", "insufficient", "stopping", "stopped"),
    # Nothing more is sent; orders that may still act are seen to their end.
    "stopping": ("stopped",),
    "restored": (),
    "insufficient": (),
    "stopped": (),
    "rejected": (),
    "expired": (),
}
_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "unknown": ("open", "filled", "cancelled", "refused", "not_sent", "not_executed", "stuck"),
    "open": ("filled", "cancelled", "stuck"),
    # A person has been asked; evidence that turns up meanwhile still moves it.
    "stuck": ("open", "filled", "cancelled", "not_executed"),
    # Ended by the venue with a part filled, or none.
    "cancelled": (),
    "filled": (),
    "refused": (),
    "not_sent": (),
    "not_executed": (),
}
PLAN_STATES: Final = frozenset(_PLAN)
PLAN_ENDS: Final = frozenset(state for state, following in _PLAN.items() if not following)
PLAN_BEGINS: Final = ("shadow", "proposed")
PLAN_EDGES: Final = tuple((state, after) for state, allowed in _PLAN.items() for after in allowed)
ORDER_STATES: Final = frozenset(_ORDER)
ORDER_ENDS: Final = frozenset(state for state, following in _ORDER.items() if not following)
ORDER_EDGES: Final = tuple((state, after) for state, allowed in _ORDER.items() for after in allowed)
FAILED: Final = frozenset({"refused", "not_sent", "not_executed"})
"""Ends in which an order has had no effect."""


def require_plan_edge(plan_id: str, state: str, following: str) -> None:
    """Raise StateError unless ``following`` may come after ``state`` of a plan."""
    require_follows("reduction", plan_id, _PLAN[state], state, following)


def require_order_edge(key: str, state: str, following: str) -> None:
    """Raise StateError unless ``following`` may come after ``state`` of an order."""
    require_follows("order", key, _ORDER[state], state, following)

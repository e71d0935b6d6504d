"""The life of a transfer: which state may follow which (I-07).

``unknown`` is committed before the bytes leave, so whatever kills the process afterwards, the
transfer is known to have perhaps been sent. From ``done`` on the venue has accepted; debit and
credit are facts of their own beside the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from engine.sending import require_follows

TransferState: TypeAlias = Literal[
    "proposed", "approved", "new", "unknown", "done", "credited", "reconciled", "rejected",
    "cancelled", "stuck",
]  # fmt: skip

_NEXT: Final[Mapping[str, tuple[str, ...]]] = {
    "proposed": ("approved", "rejected", "cancelled"),
    # Approved by enough people; ``new`` as soon as the source has the amount to reserve.
    "approved": ("new", "rejected", "cancelled"),
    "new": ("unknown", "rejected", "cancelled"),
    # Back to ``new`` is the same key again; there is no other way to send twice.
    "unknown": ("done", "rejected", "new", "stuck"),
    # Accepted and later refused or called back by the venue ends as rejected or cancelled.
    "done": ("credited", "rejected", "cancelled", "stuck"),
    "credited": ("reconciled", "stuck"),
    # A person has been asked; evidence that turns up meanwhile still moves it.
    "stuck": ("done", "credited", "rejected", "new"),
    "reconciled": (),
    "rejected": (),
    "cancelled": (),
}
STATES: Final = frozenset(_NEXT)
ENDS: Final = frozenset(state for state, following in _NEXT.items() if not following)
EDGES: Final = tuple(
    (state, following) for state, allowed in _NEXT.items() for following in allowed
)
IN_FLIGHT: Final = ("unknown", "done", "stuck")
"""What has perhaps left and has not arrived for sure."""
COUNTED: Final = ("unknown", "done", "credited", "reconciled", "stuck")
"""What counts against limits: executed, or perhaps executed (I-13)."""


def require_edge(key: str, state: str, following: str) -> None:
    """Raise StateError unless ``following`` may come after ``state``."""
    require_follows("transfer", key, _NEXT[state], state, following)

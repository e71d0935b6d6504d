"""The life of a margin call: which state may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.errors import StateError

# A client who is silent fails from ``issued``; one who pays without a word settles from anywhere.
# A withdrawn dispute, a rejected pledge and a partial settlement lead back to where the rest is.
_LIVE: Final = frozenset({"issued", "agreed", "partially_disputed", "disputed", "pledged"})
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "computed": frozenset({"issued"}),
    **{state: _LIVE - {state} | {"settled", "failed"} for state in _LIVE},
    "failed": frozenset({"settled", "escalated", "reduction"}),
    "escalated": frozenset({"settled", "escalated", "reduction"}),
    "reduction": frozenset({"settled"}),
}
LIVE: Final = _LIVE
"""The client still has time."""
LATE: Final = frozenset({"failed", "escalated", "reduction"})
"""The cure period has ended with something unpaid; only paying, or the house, ends it."""
# A later call replaces any open one, and a close that needs no call takes it back.
_ANY_TIME: Final = frozenset({"superseded", "withdrawn"})
END_STATES: Final = frozenset({"settled", *_ANY_TIME})
STATES: Final = frozenset(_NEXT) | END_STATES


def next_states(state: str) -> frozenset[str]:
    """Return the states that may follow ``state``; none after an end."""
    return frozenset() if state in END_STATES else _NEXT[state] | _ANY_TIME


def require_step(call_id: str, state: str, following: str) -> None:
    """Raise StateError unless ``following`` may come after ``state``."""
    if following not in next_states(state):
        allowed = ", ".join(sorted(next_states(state))) or "none, it is at its end"
        raise StateError(
            f"call {call_id} is {state} and cannot become {following}; possible: {allowed}",
            identifier=call_id,
            value=following,
            limit=allowed,
        )

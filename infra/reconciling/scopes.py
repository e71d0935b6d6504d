"""What one round has found by scope: what was compared, what was not and why, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from engine.reconciliation import Difference

Scope: TypeAlias = Literal["balances", "positions", "funding", "margin", "reports"]
SCOPES: Final[Mapping[Scope, str]] = {
    "balances": "ledger and venues",
    "positions": "order management and venues",
    "funding": "rate × position × mark and the venues' lines",
    "margin": "our model of the venues and what they report",
    "reports": "what order management says of itself",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLook:
    """One scope of a round.

    Attributes
    ----------
    n_compared : int
        Items that both sides have a word on.
    differences : tuple of Difference
        What differs, on its way or not.
    not_compared : tuple of str
        What could not be compared, each with its reason.
    rows : sequence of mapping of str to str
        Figures of both sides for people, where they say more than the differences.
    """

    scope: Scope
    n_compared: int = 0
    differences: tuple[Difference, ...] = ()
    not_compared: tuple[str, ...] = ()
    rows: Sequence[Mapping[str, str]] = ()

    @property
    def n_breaks(self) -> int:
        """Number of differences that somebody has to explain."""
        return sum(each.is_break for each in self.differences)

    @property
    def n_on_the_way(self) -> int:
        """Number of differences that movements under way explain."""
        return len(self.differences) - self.n_breaks

"""What the checker knows of a run from outside the product: the conductor's facts, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.soak.market import VENUES, Crash

SECOND = 1_000_000_000
SPOILS_PRICES = ("spike",)
"""Faults that may move a mark by a band: one source does so at most by it."""
LINGER_SECONDS = 45.0
"""A price from before a fault may count for so long after its end. [s]"""


@dataclass
class Spell:
    """A fault, or a leader's absence, as an interval of wall time. [s]"""

    what: str
    group: str
    venue: str
    since: float
    until: float = float("inf")


@dataclass
class History:
    """Facts by what they are needed for."""

    seed: int
    sent: dict[str, tuple[str, str, str, str, str]] = field(default_factory=dict)
    """Fills by execution id: account, instrument, side, quantity, price."""
    acked: dict[str, float] = field(default_factory=dict)
    """When the web had acknowledged them. [s]"""
    spells: dict[int, Spell] = field(default_factory=dict)
    absences: list[Spell] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    boards: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the board that a reader has seen and nobody has checked yet."""
    began: float = 0.0
    settled: float = 0.0
    n_leaders: int = 1

    def take(self, fact: dict[str, Any]) -> None:
        """Take a fact in."""
        at = fact["at"] / SECOND
        match fact["kind"]:
            case "sent":
                for execution_id, *rest in fact["fills"]:
                    self.sent[execution_id] = tuple(rest)  # type: ignore[assignment]
            case "acked":
                self.acked.update(dict.fromkeys(fact["ids"], at))
            case "fault begins":
                self.spells[fact["number"]] = Spell(fact["fault"], fact["group"], fact["venue"], at)
            case "fault ends":
                self.spells[fact["number"]].until = at
            case "leader ends":
                self.absences.append(Spell(fact["how"], "process", "", at))
            case "leader decides":
                for one in self.absences:
                    one.until = min(one.until, at)
                self.n_leaders += 1
            case "crash":
                names = Crash.__dataclass_fields__
                self.crashes.append(Crash(**{name: fact[name] for name in names}))
            case "board":
                self.boards.append(fact)
            case "began":
                self.began = at
            case "settled":
                self.settled = at

    def leads_since(self, now: float) -> float:
        """Return since when somebody has led without a break; ``now`` if nobody does. [s]"""
        if not self.began:
            return now
        return max((now if one.until > now else one.until for one in self.absences),
                   default=self.began)  # fmt: skip

    def quiet_since(self, now: float, groups: tuple[str, ...]) -> float:
        """Return since when no fault of some groups has been in force. [s]"""
        ends = [min(one.until, now) for one in self.spells.values() if one.group in groups]
        return max(ends, default=self.began)

    def oldest_price(self, venue: str, at: float) -> float:
        """Return the earliest instant whose price a venue's mark at ``at`` may rest on. [s]

        Seconds back in quiet times, and back to the beginning of what has kept newer prices out.
        """
        found = at - 3.0
        changed = True
        spells = [
            one
            for one in (*self.spells.values(), *self.absences)
            if one.venue in ("", venue) or one.group in ("database", "process")
        ]
        while changed:
            changed = False
            for one in spells:
                touches = one.since <= at and one.until + LINGER_SECONDS >= found
                if touches and one.since - 8.0 < found and one.until + LINGER_SECONDS >= at - 60.0:
                    found, changed = one.since - 8.0, True
        return found

    def may_stand_at_band(self, at: float) -> bool:
        """Return whether a source was spoilt lately, so that marks may stand at a band's edge."""
        return any(
            one.what in SPOILS_PRICES and one.since <= at <= one.until + LINGER_SECONDS
            for one in self.spells.values()
        )

    def is_quiet(self, at: float, seconds: float) -> bool:
        """Return whether nothing at all was wrong for so long before an instant."""
        every = [*self.spells.values(), *self.absences]
        return at - seconds >= self.began and not any(
            one.since <= at and one.until >= at - seconds for one in every
        )


def rows_of(venues: np.ndarray) -> dict[str, np.ndarray]:
    """Return rows by venue."""
    return {venue: np.flatnonzero(venues == venue) for venue in VENUES}

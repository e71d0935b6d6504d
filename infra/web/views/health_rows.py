"""One thing that figures rest on, as people read it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

RANK: Final = {"down": 0, "degraded": 1, "unknown": 2, "live": 3}
TROUBLED: Final = ("down", "degraded")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """One thing that figures rest on.

    ``state`` is live, degraded, down or unknown; ``since`` when that began, or the last sign of
    life; ``next_action`` says what to do, empty while it is live.
    """

    scope: str
    name: str
    state: str
    since: datetime | None
    reason: str
    next_action: str

    @property
    def key(self) -> str:
        """Return a name for the row on a page."""
        return f"{self.scope}-{self.name}"

    @property
    def is_troubled(self) -> bool:
        """Return whether somebody should look at it."""
        return self.state in TROUBLED


def together(rows: Iterable[HealthRow]) -> list[list[HealthRow]]:
    """Return rows with those that say the same of several things as one; the oldest leads."""
    groups: dict[tuple[str, ...], list[HealthRow]] = {}
    for row in rows:
        # Ages and counts within a sentence make no other sentence.
        words = re.sub(r"[0-9][0-9,.:]*", "#", row.reason)
        groups.setdefault((row.scope, row.state, words, row.next_action), []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: (row.since.timestamp() if row.since else math.inf, row.name))
    return list(groups.values())


def ordered(rows: Iterable[HealthRow]) -> list[HealthRow]:
    """Return rows with what is worst first."""
    return sorted(rows, key=lambda row: (RANK[row.state], row.scope, row.name))

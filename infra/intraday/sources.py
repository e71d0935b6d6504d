"""What of a source's prices is not as it should be, in words for the board.

Prices that are refused change nothing, a mark at the edge of its band moves by the band at most,
and a source that is quiet is stale after the age limit: the rules for that are elsewhere. Here
people are told at once, with what counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from engine.acceptance.prices import PriceAcceptance
from engine.acceptance.state import NEVER, Standing, Verdict
from infra.intraday.core import Instant
from infra.intraday.trusting import NEXT_ACTIONS

SECOND: Final = 1_000_000_000
QUIET_SECONDS: Final = 3.0
"""Longer without any price of a source is told; it counts as stale only by the age limits."""
SHOWN_SECONDS: Final = 60.0
"""How long prices that were refused are told of."""
# What a stream repeats after a reconnection is refused and nothing to look at.
_HARMLESS: Final = frozenset({Verdict.OLDER, Verdict.DUPLICATE})
_TOLD: Final = tuple(one for one in Verdict if one is not Verdict.TAKEN)
_NAMED_MAX: Final = 2


@dataclass(slots=True)
class _Refused:
    """Prices of one source that were refused, until none has been for a while."""

    counts: dict[Verdict, int] = field(default_factory=dict)
    since: datetime | None = None
    last_ns: int = 0


class SourceStates:
    """Follows the counts of the acceptance; one reader."""

    def __init__(self, acceptance: PriceAcceptance) -> None:
        self._acceptance = acceptance
        self._known = acceptance.state.n_verdicts.copy()
        self._refused: dict[str, _Refused] = {}
        self._edged: dict[str, datetime] = {}

    def last_price(self, name: str, now: Instant) -> datetime | None:
        """Return when the last price of a source came in, None before its first."""
        table, state = self._acceptance.table, self._acceptance.state
        if name not in table.sources:
            return None
        received = state.received_ns[table.source == table.sources.index(name)]
        latest = int(received.max(initial=NEVER))
        if latest == NEVER:
            return None
        return now.wall - timedelta(seconds=max(now.monotonic_ns - latest, 0) / SECOND)

    def quiet(self, name: str, now: Instant) -> dict[str, Any] | None:
        """Return the row of a source that says nothing any more, None while it does."""
        last = self.last_price(name, now)
        if last is None or (now.wall - last).total_seconds() <= QUIET_SECONDS:
            return None
        reason = f"no price since {last:%H:%M:%S}Z: the last ones count until they are stale"
        return _row("venue", name, "degraded", last, reason, NEXT_ACTIONS["stale"])

    def rows(self, now: Instant) -> list[dict[str, Any]]:
        """Return a row for each source with refused prices, or marks at the edge of their band."""
        self._count(now)
        edged = self._at_band()
        found = []
        for name in sorted({*self._refused, *edged, *self._edged}):
            since = self._edged.setdefault(name, now.wall) if name in edged else None
            if since is None:
                self._edged.pop(name, None)
            found.append(self._told(name, edged.get(name, ""), since, now))
        return found

    def _count(self, now: Instant) -> None:
        n_verdicts = self._acceptance.state.n_verdicts
        news = n_verdicts - self._known
        self._known = n_verdicts.copy()
        for k in np.flatnonzero(news[:, 1:].any(axis=1)).tolist():
            one = self._refused.setdefault(self._acceptance.table.sources[k], _Refused())
            one.since = one.since or now.wall
            one.last_ns = now.monotonic_ns
            for verdict in _TOLD:
                if news[k, verdict]:
                    one.counts[verdict] = one.counts.get(verdict, 0) + int(news[k, verdict])
        for one in self._refused.values():
            if now.monotonic_ns - one.last_ns > SHOWN_SECONDS * SECOND:
                one.counts, one.since = {}, None

    def _at_band(self) -> dict[str, str]:
        """Return by source in words which marks count as the edge of their band."""
        table, state = self._acceptance.table, self._acceptance.state
        rows = np.flatnonzero(state.standing[: table.n_instruments] == Standing.AT_BAND)
        found: dict[str, list[str]] = {}
        for row in rows.tolist():
            said, counts = f"{state.price[row]:,.8g}", f"{state.mark[row]:,.8g}"
            words = f"{table.instruments[row]} says {said}, {counts} counts"
            found.setdefault(table.sources[int(table.source[row])], []).append(words)
        return {
            name: f"{len(told)} outside the band of the other sources: "
            + "; ".join(told[:_NAMED_MAX])
            for name, told in found.items()
        }

    def _told(
        self, name: str, edged: str, edged_since: datetime | None, now: Instant
    ) -> dict[str, Any]:
        refused = self._refused.get(name, _Refused())
        counts = {verdict: n for verdict, n in sorted(refused.counts.items()) if n}
        parts = [f"{n} refused: {verdict.reason}" for verdict, n in counts.items()]
        parts += [edged] if edged else []
        starts = [at for at in (refused.since, edged_since) if at is not None]
        title = f"{name} prices"
        if not parts or not starts:
            return _row("venue", title, "live", now.wall, "all taken", "")
        is_harmless = not edged and _HARMLESS.issuperset(counts)
        action = (
            "nothing: what was known before, or is newer, counts"
            if is_harmless
            else "compare with the venue's page; what was known before, or the band's edge, counts"
        )
        state = "live" if is_harmless else "degraded"
        return _row("venue", title, state, min(starts), "; ".join(parts)[:300], action)


def _row(
    scope: str, name: str, state: str, since: datetime, reason: str, next_action: str
) -> dict[str, Any]:
    return {
        "scope": scope, "name": name, "state": state, "since": since, "reason": reason,
        "next_action": next_action,
    }  # fmt: skip

"""Calls that wait to be paid: in which order they are taken up, and when again.

Half of each round goes to the largest amounts, half to what is due first, so that neither a crowd
of small calls nor one client who is short of everything keeps the others waiting.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

PAUSE_MIN: Final = 1.0
PAUSE_MAX: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDemand:
    """A call as it waits: whose it is, what it is worth and when it is due. [USD]"""

    call_id: str
    netting_set_id: str
    worth: float
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a call is not paid yet, and what is to be done about it."""

    words: str
    next_action: str
    since: datetime


@dataclass(slots=True)
class _Entry:
    demand: OpenDemand
    reason: Reason | None = None
    n_tries: int = 0
    again_at: float = 0.0
    is_ready: bool = True


@dataclass(slots=True)
class WaitingCalls:
    """Calls by name; times are seconds that the caller passes."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _largest: list[tuple[float, str]] = field(default_factory=list)
    _earliest: list[tuple[datetime, str]] = field(default_factory=list)
    _later: list[tuple[float, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, demands: Iterable[OpenDemand]) -> None:
        """Let calls be taken up; one that waits already keeps its turn."""
        for one in demands:
            if one.call_id not in self._entries:
                self._entries[one.call_id] = _Entry(one)
                self._push(one)

    def keep(self, call_ids: Iterable[str]) -> None:
        """Forget all calls but these: the others are at their end."""
        kept = set(call_ids)
        for name in [name for name in self._entries if name not in kept]:
            del self._entries[name]

    def drop(self, call_id: str) -> None:
        """Forget a call: nothing is to be done for it."""
        self._entries.pop(call_id, None)

    def postpone(self, call_id: str, reason: Reason, now: float) -> None:
        """Take a call up again later; the pause doubles with each try for the same reason."""
        entry = self._entries.get(call_id)
        if entry is None:
            return
        is_same = entry.reason is not None and entry.reason.words == reason.words
        entry.n_tries = entry.n_tries + 1 if is_same else 1
        entry.reason = entry.reason if is_same else reason
        entry.again_at = now + min(PAUSE_MIN * 2.0 ** (entry.n_tries - 1), PAUSE_MAX)
        entry.is_ready = False
        heapq.heappush(self._later, (entry.again_at, call_id))

    def take(self, most: int, now: float) -> list[OpenDemand]:
        """Return at most ``most`` calls whose turn it is; each is dropped or postponed next."""
        self._wake(now)
        taken: list[OpenDemand] = []
        while len(taken) < most:
            is_by_size = len(taken) % 2 == 0
            found = self._by_size() if is_by_size else self._by_date()
            # One that is in both is taken from the first: the other has nothing left then.
            found = found or (self._by_date() if is_by_size else self._by_size())
            if found is None:
                break
            found.is_ready = False
            taken.append(found.demand)
        return taken

    def next_at(self) -> float | None:
        """Return when the next call is taken up: 0 for now, None if none waits."""
        if any(entry.is_ready for entry in self._entries.values()):
            return 0.0
        times = [entry.again_at for entry in self._entries.values() if entry.reason is not None]
        return min(times, default=None)

    def reasons(self) -> list[tuple[OpenDemand, Reason]]:
        """Return the calls that are not paid yet and why, the largest first."""
        found = [
            (entry.demand, entry.reason)
            for entry in self._entries.values()
            if entry.reason is not None
        ]
        return sorted(found, key=lambda pair: (-pair[0].worth, pair[0].call_id))

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            at, name = heapq.heappop(self._later)
            entry = self._entries.get(name)
            if entry is not None and not entry.is_ready and entry.again_at == at:
                entry.is_ready = True
                self._push(entry.demand)

    def _push(self, one: OpenDemand) -> None:
        heapq.heappush(self._largest, (-one.worth, one.call_id))
        heapq.heappush(self._earliest, (one.due_at, one.call_id))

    def _by_size(self) -> _Entry | None:
        while self._largest:
            found = self._ready(heapq.heappop(self._largest)[1])
            if found is not None:
                return found
        return None

    def _by_date(self) -> _Entry | None:
        while self._earliest:
            found = self._ready(heapq.heappop(self._earliest)[1])
            if found is not None:
                return found
        return None

    def _ready(self, name: str) -> _Entry | None:
        entry = self._entries.get(name)
        return entry if entry is not None and entry.is_ready else None

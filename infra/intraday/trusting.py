"""What is not trusted now: per venue, account and underlying, entered at once, left when healed.

Ages are durations of the monotonic clock. A state that ends too early would release collateral on
guesses, so only a snapshot, or a price for every instrument concerned, ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from engine.intraday import Degradation

Scope: TypeAlias = Literal["venue", "account", "underlying", "location"]
State: TypeAlias = Literal["stale", "uncertain", "down", "no_quorum"]
SECOND: Final = 1_000_000_000
RENEW_SECONDS: Final = 5.0
"""How often the age of a state is told again, so that add-ons grow."""
_WORST: Final = {"stale": 1, "no_quorum": 2, "uncertain": 3, "down": 4}
NEXT_ACTIONS: Final = {
    "stale": "wait for new prices; if the venue shows some, look at the stream",
    "uncertain": "the loop takes a snapshot by itself; if it stays, check credential and address",
    "down": "the loop connects again by itself; check the venue's status page and the network",
    "no_quorum": "compare the venues' prices; raise independent amounts if it is real",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distrusted:
    """A state as it holds: since when by the monotonic clock, and why."""

    scope: Scope
    name: str
    state: State
    since_ns: int
    reason: str

    def age_seconds(self, now_ns: int) -> float:
        """Return how long it has held. [s]"""
        return max(now_ns - self.since_ns, 0) / SECOND

    @property
    def next_action(self) -> str:
        """Return what happens by itself, and what a person can do."""
        return NEXT_ACTIONS[self.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustMove:
    """A state that was entered, changed or left."""

    scope: Scope
    name: str
    entered: Distrusted | None
    """None where it is trusted again."""
    lasted_seconds: float = 0.0


class TrustKeeper:
    """The states of all scopes; one writer."""

    def __init__(self) -> None:
        self._states: dict[tuple[Scope, str], dict[str, Distrusted]] = {}
        self._told: dict[tuple[Scope, str], tuple[State, int]] = {}
        self.moves: list[TrustMove] = []
        """Every change since it was last emptied, for the record of events."""

    def distrust(
        self, scope: Scope, name: str, state: State, now_ns: int, reason: str, cause: str = ""
    ) -> None:
        """Enter a state; ``cause`` tells apart what has to heal separately."""
        held = self._states.setdefault((scope, name), {})
        known = held.get(cause)
        if known is not None and known.state == state:
            return
        # What turns from stale to down has been bad since it was stale.
        since = now_ns if known is None else known.since_ns
        before = self._worst(held)
        held[cause] = Distrusted(scope=scope, name=name, state=state, since_ns=since, reason=reason)
        after = self._worst(held)
        if before is None or after is None or before.state != after.state:
            self.moves.append(TrustMove(scope=scope, name=name, entered=after))

    def heal(self, scope: Scope, name: str, now_ns: int, cause: str = "") -> None:
        """Leave a state; another cause may keep the scope in one."""
        held = self._states.get((scope, name))
        if not held or cause not in held:
            return
        left = held.pop(cause)
        after = self._worst(held)
        if after is None:
            del self._states[scope, name]
            lasted = left.age_seconds(now_ns)
            self.moves.append(
                TrustMove(scope=scope, name=name, entered=None, lasted_seconds=lasted)
            )

    def holds(self, scope: Scope, name: str, cause: str = "") -> bool:
        """Return whether a cause holds a scope in a state."""
        return cause in self._states.get((scope, name), {})

    def current(self) -> list[Distrusted]:
        """Return the worst state of each scope, sorted by scope and name."""
        found = (self._worst(held) for _, held in sorted(self._states.items()))
        return [one for one in found if one is not None]

    def degradations(self, now_ns: int) -> Iterator[Degradation]:
        """Yield what the live book has to hear: changes, and now and then the growing age."""
        current = {(one.scope, one.name): one for one in self.current()}
        for key in sorted(self._told.keys() - current.keys()):
            del self._told[key]
            yield Degradation(key[0], key[1], "fresh")
        for key, one in current.items():
            told = self._told.get(key)
            is_due = told is None or told[0] != one.state
            if is_due or (told and now_ns - told[1] >= RENEW_SECONDS * SECOND):
                self._told[key] = (one.state, now_ns)
                yield Degradation(one.scope, one.name, one.state, one.age_seconds(now_ns))

    def told_age_seconds(self, one: Distrusted) -> float:
        """Return the age of a state with which the live book was told of it last. [s]"""
        told = self._told.get((one.scope, one.name))
        return 0.0 if told is None else one.age_seconds(told[1])

    @staticmethod
    def _worst(held: dict[str, Distrusted]) -> Distrusted | None:
        ranked = sorted(held.items(), key=lambda pair: (-_WORST[pair[1].state], pair[0]))
        return ranked[0][1] if ranked else None

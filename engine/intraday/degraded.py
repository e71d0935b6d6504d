"""What is not trusted for now, and what follows: more is owed, less counts, nothing is released.

While an input of a netting set is not trusted (invariants I-28 to I-33):

- it owes at least what it owed when all its inputs were last fresh, and at least what its positions
  need now, open orders filled on the worse side, times one plus an add-on that grows with age;
- collateral there counts at most the quantity last known, a later and smaller one if a report
  says so, less a haircut that grows with age; collateral in an asset whose price is not trusted
  takes the haircut too, and the price itself may fall but not rise;
- nothing is given back.

A state ends by being ``fresh`` again. Until then add-on and haircut only grow, whatever ages and
states are reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.degraded_parameters import UNSTATED, Degraded, Distrust
from engine.errors import ModelInputError
from engine.intraday.changes import FRESH, Degradation


@dataclass(slots=True)
class Distrusted:
    """One input that is not trusted, and what is held against it.

    ``members`` are the netting sets that it touches.
    """

    degradation: Degradation
    add_on: float
    haircut: float
    members: set[int] = field(default_factory=set)

    @property
    def reason(self) -> str:
        """Return what people read."""
        one = self.degradation
        return f"{one.scope} {one.name} {one.state} for {one.age_seconds:.0f} s"


def distrust_of(degradation: Degradation, parameters: Degraded | None) -> Distrust:
    """Return the parameters of the state.

    Raises
    ------
    ModelInputError
        If the state or the scope is unknown, or the age is not a number >= 0.
    """
    if degradation.scope not in ("venue", "account", "underlying", "location"):
        raise ModelInputError(
            f"scope {degradation.scope!r} is none of venue, account, underlying, location",
            value=degradation.scope,
        )
    if degradation.state not in ("stale", "uncertain", "down", "no_quorum"):
        raise ModelInputError(
            f"state {degradation.state!r} is none of fresh, stale, uncertain, down, no_quorum",
            value=degradation.state,
        )
    if not 0.0 <= degradation.age_seconds < float("inf"):
        raise ModelInputError(
            f"age of {degradation.scope} {degradation.name} is {degradation.age_seconds} s, "
            "limit >= 0",
            value=degradation.age_seconds,
            limit=">= 0",
        )
    if parameters is None:
        return UNSTATED
    found: Distrust = getattr(parameters, degradation.state)
    return found


def renewed(known: Distrusted | None, degradation: Degradation, terms: Distrust) -> Distrusted:
    """Return the state with its add-on and haircut, never below those that hold already."""
    add_on = terms.add_on_at(degradation.age_seconds)
    haircut = terms.haircut_at(degradation.age_seconds)
    if known is None:
        return Distrusted(degradation, add_on, haircut)
    known.degradation = degradation
    known.add_on = max(known.add_on, add_on)
    known.haircut = max(known.haircut, haircut)
    return known


def is_end(degradation: Degradation) -> bool:
    """Return whether the input is trusted again."""
    return degradation.state == FRESH

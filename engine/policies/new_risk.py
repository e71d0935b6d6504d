"""May a client take new risk? What is unknown, stale or restricted is refused, with what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from engine.policies.ladder_parameters import LEVEL_NAMES, RESTRICT, Ladder

Answer: TypeAlias = Literal["allowed", "refused"]
STALE_SECONDS: Final = 10.0
"""Age of a running loop's last word from which on its figures count as stale."""
MARGINED: Final = "assessed"
"""The status of a netting set whose requirement rests on fresh input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a netting set just now.

    Attributes
    ----------
    status : str
        ``assessed``, ``held``, ``failed``: whether its requirement rests on fresh input.
    level : str
        Its level on the ladder.
    said_at : datetime
        When the loop last said how things stand, UTC.
    n_calls_late : int
        Open calls that are past due.
    stopped : str
        Why everything is stopped; empty where nothing is.
    """

    netting_set_id: str
    status: str
    level: str
    said_at: datetime
    n_calls_late: int = 0
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a candidate would do; unknown figures are NaN.

    Attributes
    ----------
    owed_before, owed_after : float
        What is owed without and with it. [currency]
    utilisation_after : float
        What would be owed over collateral and unsecured allowance. [-]
    """

    owed_before: float
    owed_after: float
    utilisation_after: float


@dataclass(frozen=True, slots=True)
class NewRisk:
    """The answer, why, and what to do where it is refused."""

    answer: Answer
    reason: str
    next_action: str = ""

    @property
    def is_allowed(self) -> bool:
        """Return whether new risk may be taken."""
        return self.answer == "allowed"


def new_risk(
    standing: Standing | None, now: datetime, stale_seconds: float = STALE_SECONDS
) -> NewRisk:
    """Return whether a netting set may take new risk at all.

    Parameters
    ----------
    standing : Standing or None
        None where nothing is known of it.
    now : datetime
        Instant of the question, UTC.
    """
    if standing is None:
        return _refused(
            "it is not on the board",
            "check the name; without a running loop nothing is known: start `plimsoll intraday`",
        )
    if standing.stopped:
        return _refused(standing.stopped, "wait until two people have let it go again")
    age = abs(now - standing.said_at)
    if age > timedelta(seconds=stale_seconds):
        return _refused(
            f"its figures are {age.total_seconds():,.0f} s away, limit {stale_seconds:g} s",
            "see that the loop runs: `plimsoll doctor`",
        )
    if standing.status != MARGINED:
        return _refused(
            f"it is {standing.status}: its requirement does not rest on fresh input",
            "bring fresh prices and positions; health of feeds is on the dashboard",
        )
    if standing.n_calls_late:
        return _refused(
            f"{standing.n_calls_late} margin calls are past due", "settle them: `plimsoll calls`"
        )
    if standing.level not in LEVEL_NAMES:
        return _refused(f"its level {standing.level!r} is unknown", "read `plimsoll doctor`")
    if LEVEL_NAMES.index(standing.level) >= RESTRICT:
        return _refused(
            f"its level is {standing.level}: no new risk",
            "add collateral or reduce positions; orders that lower what is owed are allowed",
        )
    return NewRisk("allowed", f"its level is {standing.level}")


def admitted(
    standing: Standing | None,
    effect: Effect,
    ladder: Ladder,
    now: datetime,
    stale_seconds: float = STALE_SECONDS,
) -> NewRisk:
    """Return whether one candidate may be taken.

    One that lowers what is owed, or leaves it as it is, is allowed at any level, as long as what is
    known is fresh and nothing is stopped. One that raises it needs the leave to take new risk, and
    must not bring the netting set to the entry of ``call``.
    """
    figures = (effect.owed_before, effect.owed_after)
    if not all(math.isfinite(figure) for figure in figures):
        return _refused(
            "what it would do to the requirement is unknown",
            "see the reason beside the candidate's figures",
        )
    general = new_risk(standing, now, stale_seconds)
    if effect.owed_after <= effect.owed_before:
        return general if general.is_allowed else _reducing(standing, now, stale_seconds, general)
    if not general.is_allowed:
        return general
    limit = ladder.call.enter
    if not effect.utilisation_after < limit:
        return _refused(
            f"utilisation would be {effect.utilisation_after:.4g}, limit below {limit:g}",
            "add collateral to the basket, or make it smaller",
        )
    return NewRisk("allowed", f"utilisation would be {effect.utilisation_after:.4g}")


def _reducing(
    standing: Standing | None, now: datetime, stale_seconds: float, general: NewRisk
) -> NewRisk:
    """Return the answer to a candidate that lowers what is owed, where new risk is refused."""
    if standing is None or standing.stopped or standing.status != MARGINED:
        return general
    if abs(now - standing.said_at) > timedelta(seconds=stale_seconds):
        return general
    return NewRisk("allowed", f"it does not raise what is owed, although {general.reason}")


def _refused(reason: str, next_action: str) -> NewRisk:
    return NewRisk("refused", reason, next_action)

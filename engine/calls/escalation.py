"""Which calls have failed their cure period, and which level of escalation is due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from engine.calls.states import LATE, LIVE
from engine.calls.terms import EscalationLevel

StepKind: TypeAlias = Literal["failed", "escalated", "reduction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """What ages of a call.

    Attributes
    ----------
    state : str
        Present state.
    due_at : datetime
        Deadline that counts: the earliest since when something is due. UTC.
    levels : tuple of EscalationLevel
        Levels as they were at issue.
    done : frozenset of int
        Levels to which this deadline has been escalated, by this call or one it replaced.
    """

    call_id: str
    state: str
    due_at: datetime
    levels: tuple[EscalationLevel, ...]
    done: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class AgeingStep:
    """A step that is due: the state it leads to, and the level that is told, if any."""

    call_id: str
    kind: StepKind
    level: EscalationLevel | None
    due_at: datetime
    """Since when this step is due, UTC."""


def steps_due(calls: Iterable[Ageing], now: datetime) -> list[AgeingStep]:
    """Return the steps that are due, by call in the order given, each call's in order of time.

    A call fails at its deadline when something of it is unpaid; then each level is told once.
    A level that the deadline has been escalated to already, by a call that this one replaced, is
    not told again. What is behind catches up: after an outage all steps come at once.

    Parameters
    ----------
    calls : iterable of Ageing
        Open calls; returns, which the house owes, do not age.
    now : datetime
        Instant to judge by, UTC.

    Returns
    -------
    list of AgeingStep
        Steps; none twice, and none before its time.
    """
    return [step for call in calls for step in _steps_of(call, now)]


def _steps_of(call: Ageing, now: datetime) -> list[AgeingStep]:
    if call.state not in LIVE | LATE or now < call.due_at or call.state == "reduction":
        return []
    steps = []
    if call.state in LIVE:
        steps.append(AgeingStep(call.call_id, "failed", None, call.due_at))
        steps += _carried_on(call)
    for level in call.levels:
        due_at = call.due_at + level.after
        if due_at > now:
            break
        if level.level not in call.done:
            kind: StepKind = "reduction" if level.is_reduction else "escalated"
            steps.append(AgeingStep(call.call_id, kind, level, due_at))
    return steps


def _carried_on(call: Ageing) -> list[AgeingStep]:
    """Return the step to where the call that this one replaced had come, telling nobody again."""
    known = [level for level in call.levels if level.level in call.done]
    if not known:
        return []
    kind: StepKind = "reduction" if known[-1].is_reduction else "escalated"
    return [AgeingStep(call.call_id, kind, None, call.due_at + known[-1].after)]

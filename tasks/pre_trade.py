"""May this be traded: a what-if's figures, judged by how the netting set stands just now.

Figures are those of the close that was asked about, the standing is the board's of this second.
What is unknown, stale or restricted is refused with what to do; a refusal is part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from engine.errors import ParameterError
from engine.policies.ladder_terms import ladder_of
from engine.policies.new_risk import Effect, NewRisk, admitted, new_risk
from engine.policies.utilisation import utilisation
from engine.rules import Agreement, RuleBook
from infra.db.restrictions import standing_of
from infra.outbound import KillSwitch, armed_within

if TYPE_CHECKING:
    from infra.db import Database

_ANSWERED: Final = "answered"


def with_leave(
    database: Database, switch: KillSwitch, found: Mapping[str, Any], rules: RuleBook
) -> dict[str, Any]:
    """Return a what-if's answer with ``new_risk`` and, for each candidate, ``pre_trade``.

    ``new_risk`` says whether the netting set may take any, ``pre_trade`` whether this candidate may
    be taken: answer, reason, next_action.
    """
    name = str(found["netting_set_id"])
    agreement = rules.agreements[name]
    now = database.clock()
    standing = standing_of(database, name, now, _stopped(database, switch))
    before = found["before"]

    def judged(one: Mapping[str, Any]) -> NewRisk:
        if one["answer"] != _ANSWERED:
            return NewRisk("refused", str(one["reason"]), "mend what the reason names")
        try:
            ladder = ladder_of(rules, agreement)
        except ParameterError as error:
            # A close of before there was a ladder.
            return NewRisk("refused", str(error), "ask about a later close")
        return admitted(standing, _effect(before, one, agreement), ladder, now)

    candidates = [{**one, "pre_trade": _said(judged(one))} for one in found["candidates"]]
    return {**found, "candidates": candidates, "new_risk": _said(new_risk(standing, now))}


def _effect(before: Mapping[str, Any], after: Mapping[str, Any], agreement: Agreement) -> Effect:
    owed, held = _owed(after), _number(after.get("collateral_amount"))
    used = utilisation(
        *(
            np.array([value], dtype=np.float64)
            for value in (owed, held, agreement.threshold, agreement.independent_amount)
        )
    )
    return Effect(owed_before=_owed(before), owed_after=owed, utilisation_after=float(used[0]))


def _owed(row: Mapping[str, Any]) -> float:
    """Return what is owed: the larger side where venues are known, else the house's."""
    owed = _number(row.get("owed_amount"))
    return _number(row.get("requirement_amount")) if math.isnan(owed) else owed


def _number(value: object) -> float:
    return math.nan if value is None else float(str(value))


def _stopped(database: Database, switch: KillSwitch) -> str:
    """Return what the kill switch says while it is armed, here or in the record."""
    status = switch.status()
    if not status.is_armed:
        with database.reading() as connection:
            status = armed_within(connection)
    return status.sentence if status.is_armed else ""


def _said(answer: NewRisk) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(answer).items()}

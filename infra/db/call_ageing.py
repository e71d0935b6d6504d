"""Time passes: calls that are past due fail and are escalated, each level once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from engine.calls.escalation import Ageing, AgeingStep, steps_due
from engine.calls.states import require_step
from engine.calls.terms import EscalationLevel, levels_of
from infra.crashpoints import crashpoint
from infra.db.bulk import among
from infra.db.call_events import call_rows, open_calls_query
from infra.db.call_facts import NewFact, record_facts
from infra.db.call_tables import CallFactRow, CallTermsRow
from infra.db.tables import CallRow

if TYPE_CHECKING:
    from infra.db.database import Database

_DEFAULT: Final = levels_of("")


@dataclass(frozen=True, slots=True)
class Aged:
    """A step that was taken: which call of whom, to which state, and who is to be told."""

    call_id: str
    netting_set_id: str
    state: str
    level: int | None
    told: str
    due_at: datetime


class CallAgeing:
    """Carries out ``engine.calls.escalation`` on all open calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def age(
        self, now: datetime, principal: str, netting_sets: Sequence[str] | None = None
    ) -> list[Aged]:
        """Take all steps that are due at ``now`` and return them; a repetition finds none left.

        Parameters
        ----------
        now : datetime
            Instant to judge by, UTC.
        principal : str
            Who answers for it: the program's own name where time alone decides.
        netting_sets : sequence of str, optional
            Only these; all where None.
        """
        crashpoint("call:age:start")
        with self._database.writing() as connection:
            calls = _calls(connection, now, netting_sets)
            steps = steps_due(_ageing(connection, calls), now)
            by_id = {call["call_id"]: call for call in calls}
            facts = _facts(by_id, steps, principal)
            record_facts(self._database, connection, facts)
            if facts:
                self._database.audit.append_within(
                    connection,
                    "calls aged",
                    f"{len({fact.call['call_id'] for fact in facts})} calls",
                    {"n_steps": len(facts), "now": now},
                    actor=principal,
                )
            crashpoint("call:age:before-commit")
        crashpoint("call:age:after-commit")
        return [
            Aged(
                call_id=step.call_id,
                netting_set_id=by_id[step.call_id]["netting_set_id"],
                state=step.kind,
                level=step.level.level if step.level else None,
                told=step.level.name if step.level else "",
                due_at=step.due_at,
            )
            for step in steps
        ]


def _calls(
    connection: Connection, now: datetime, netting_sets: Sequence[str] | None
) -> list[dict[str, Any]]:
    query = open_calls_query().where(CallRow.direction == "call", CallRow.first_due_at <= now)
    if netting_sets is not None:
        query = query.where(among(connection, CallRow.netting_set_id, list(netting_sets)))
    return sorted(
        call_rows(connection, query), key=lambda call: (call["first_due_at"], call["call_id"])
    )


def _ageing(connection: Connection, calls: Sequence[Mapping[str, Any]]) -> list[Ageing]:
    names = [call["call_id"] for call in calls]
    terms = dict(
        connection.execute(
            select(CallTermsRow.call_id, CallTermsRow.terms).where(
                among(connection, CallTermsRow.call_id, names)
            )
        )
        .tuples()
        .all()
    )
    owners = sorted({call["netting_set_id"] for call in calls})
    told = (
        select(
            CallFactRow.netting_set_id,
            CallFactRow.margin_type,
            CallFactRow.deadline,
            CallFactRow.level,
        )
        .where(among(connection, CallFactRow.netting_set_id, owners))
        .where(CallFactRow.level.is_not(None))
    )
    done: dict[tuple[str, str, datetime], set[int]] = {}
    for owner, margin_type, deadline, level in connection.execute(told):
        done.setdefault((owner, margin_type, deadline), set()).add(level)
    return [
        Ageing(
            call_id=call["call_id"],
            state=call["state"],
            due_at=call["first_due_at"],
            levels=_levels(terms.get(call["call_id"])),
            done=frozenset(
                done.get((call["netting_set_id"], call["margin_type"], call["first_due_at"]), ())
            ),
        )
        for call in calls
    ]


def _levels(terms: Mapping[str, Any] | None) -> tuple[EscalationLevel, ...]:
    """Return the levels as they were at issue; the house's own for calls older than terms."""
    if terms is None:
        return _DEFAULT
    return tuple(
        EscalationLevel(level["level"], level["name"], timedelta(seconds=level["after_seconds"]))
        for level in terms["levels"]
    )


def _facts(
    calls: Mapping[str, dict[str, Any]], steps: Sequence[AgeingStep], principal: str
) -> list[NewFact]:
    facts = []
    reached = {name: (call["state"], call["n_events"]) for name, call in calls.items()}
    for step in steps:
        state, n_events = reached[step.call_id]
        if step.kind != state:
            require_step(step.call_id, state, step.kind)
        reached[step.call_id] = (step.kind, n_events + 1)
        call = calls[step.call_id]
        facts.append(
            NewFact(
                call=call,
                number=n_events + 1,
                kind=step.kind,
                state=step.kind,
                fact_key=f"{step.call_id}#{n_events + 1}",
                principal=principal,
                reason=_reason(step),
                level=step.level.level if step.level else None,
                deadline=call["first_due_at"] if step.level else None,
                details={"told": step.level.name} if step.level else {},
            )
        )
    return facts


def _reason(step: AgeingStep) -> str:
    due = f"{step.due_at:%Y-%m-%d %H:%M}Z"
    if step.level is None:
        return f"unpaid since {due}" if step.kind == "failed" else "goes on from the call replaced"
    return f"level {step.level.level}, {step.level.name}: unpaid, due for this level {due}"

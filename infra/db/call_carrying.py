"""What is on its way for a call that is replaced stays on its way for the one that replaces it.

A close measures its shortfall on settled collateral alone. Without this, what a client has sent
and not yet delivered would be called a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from engine.calls.standing import CallFact, Pledge, after
from infra.db.call_facts import NewFact, facts_of, record_facts, standing_of

if TYPE_CHECKING:
    from infra.db.database import Database


def carry_pledges(
    database: Database,
    connection: Connection,
    replaced: Sequence[tuple[dict[str, Any], str]],
    successors: Mapping[str, dict[str, Any]],
) -> None:
    """Close living pledges on replaced calls and make the same ones on their successors.

    Parameters
    ----------
    replaced : sequence of (call, successor's name)
        Calls as they were before they were superseded.
    successors : mapping
        New calls by name, already inserted.
    """
    named = [call["call_id"] for call, _ in replaced if call["n_events"] > 2]
    if not named:
        return
    facts = facts_of(connection, named)
    new: list[NewFact] = []
    for call, name in replaced:
        successor = successors[name]
        # What comes in from a client is no part of what the house sends out.
        if not facts.get(call["call_id"]) or successor["direction"] != call["direction"]:
            continue
        known = {row["number"]: row for row in facts[call["call_id"]]}
        standing = standing_of(call, facts[call["call_id"]])
        living = [pledge for pledge in standing.pledges if pledge.remaining]
        new += _closed(call, name, living)
        new += _made(successor, call, known, living)
    record_facts(database, connection, new)


def _closed(call: Mapping[str, Any], successor: str, living: Sequence[Pledge]) -> list[NewFact]:
    return [
        NewFact(
            call=call,
            # After the event that superseded the call.
            number=call["n_events"] + 1 + offset,
            kind="pledge_carried",
            state="superseded",
            fact_key=f"{call['call_id']}#{call['n_events'] + 1 + offset}",
            principal="plimsoll",
            reason=f"carried to {successor}",
            pledge=pledge.number,
            details={"successor": successor},
        )
        for offset, pledge in enumerate(living, start=1)
    ]


def _made(
    successor: dict[str, Any],
    call: Mapping[str, Any],
    known: Mapping[int, Mapping[str, Any]],
    living: Sequence[Pledge],
) -> list[NewFact]:
    made = []
    standing = standing_of(successor, ())
    for offset, pledge in enumerate(living, start=1):
        number = successor["n_events"] + offset
        fact = CallFact(kind="pledged", number=number, amount=pledge.remaining)
        standing = after(standing, fact)
        made.append(
            NewFact(
                call=successor,
                number=number,
                kind="pledged",
                state=standing.state,
                fact_key=f"{successor['call_id']}#{number}",
                principal="plimsoll",
                reason=f"carried from {call['call_id']}",
                amount=fact.amount,
                details={
                    **dict(known[pledge.number]["details"]),
                    "carried_from": call["call_id"],
                    "carried_pledge": pledge.number,
                },
            )
        )
    return made

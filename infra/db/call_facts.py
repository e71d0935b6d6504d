"""Facts of calls: appended to their chain, and folded to where each call stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, select

from engine.calls.standing import FACT_KINDS, CallFact, Direction, FactKind, Standing, fold
from engine.calls.substitution import Substitution, SubstitutionStep, substitution_after
from engine.errors import InvariantBroken
from infra.db.audit import chain_head
from infra.db.bulk import among, insert_rows
from infra.db.call_events import CallEvent, record_events, set_state
from infra.db.call_tables import CallFactRow
from infra.db.canonical import link

if TYPE_CHECKING:
    from infra.db.database import Database

_CALL_KINDS = frozenset(FACT_KINDS)
SUBSTITUTION = "substitution_"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFact:
    """A fact that is to be recorded, the state it leads to, and who answers for it."""

    call: Mapping[str, Any]
    number: int
    kind: str
    state: str
    fact_key: str
    principal: str
    reason: str
    amount: Decimal | None = None
    pledge: int | None = None
    is_last: bool = False
    level: int | None = None
    deadline: datetime | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def record_facts(database: Database, connection: Connection, facts: Sequence[NewFact]) -> None:
    """Append facts and their events, and move the calls; facts of one call are in order."""
    if not facts:
        return
    record_events(
        database,
        connection,
        [
            CallEvent(
                fact.call["call_id"], fact.number, fact.state, fact.reason, None, fact.principal
            )
            for fact in facts
        ],
    )
    head = chain_head(connection, CallFactRow.position, CallFactRow.hash)
    now, digest, rows = database.clock(), head.hash, []
    for position, fact in enumerate(facts, start=head.position + 1):
        row = _row(fact, now)
        digest = link(digest, row)
        rows.append({"position": position, "hash": digest, **row})
    insert_rows(connection, CallFactRow, rows)
    _move(connection, facts)


def facts_of(connection: Connection, call_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the facts of calls, each call's in order."""
    found: dict[str, list[dict[str, Any]]] = {call_id: [] for call_id in call_ids}
    query = (
        select(CallFactRow.__table__)
        .where(among(connection, CallFactRow.call_id, list(call_ids)))
        .order_by(CallFactRow.position)
    )
    for row in connection.execute(query).mappings():
        found[row["call_id"]].append(dict(row))
    return found


def standing_of(call: Mapping[str, Any], facts: Iterable[Mapping[str, Any]]) -> Standing:
    """Return where a call stands, folded from its facts.

    Raises
    ------
    InvariantBroken
        If the fold and the recorded state differ.
    """
    listed = [_fact(row) for row in facts if row["kind"] in _CALL_KINDS]
    is_asked_for = any(fact.kind == "requested" for fact in listed)
    state = call["state"]
    start = Standing(
        call_id=call["call_id"],
        direction=cast(Direction, call["direction"]),
        state="computed" if is_asked_for or state == "computed" else "issued",
        called=call["amount"],
    )
    folded = fold(start, listed)
    # Replaced and taken back are decisions of a later close, which no fact of the call knows.
    if state not in (folded.state, "superseded", "withdrawn"):
        raise InvariantBroken(
            f"call {call['call_id']} is recorded as {state}, its facts say {folded.state}"
        )
    return Standing(
        call_id=folded.call_id,
        direction=folded.direction,
        state=state,
        called=folded.called,
        agreed=folded.agreed,
        disputed_at_response=folded.disputed_at_response,
        settled=folded.settled,
        pledges=folded.pledges,
    )


def substitutions_of(call_id: str, facts: Iterable[Mapping[str, Any]]) -> dict[int, Substitution]:
    """Return the substitutions of a call by the number of the event that proposed each."""
    found: dict[int, Substitution] = {}
    for row in facts:
        if not row["kind"].startswith(SUBSTITUTION):
            continue
        step = row["kind"].removeprefix(SUBSTITUTION)
        if step == "proposed":
            found[row["number"]] = Substitution(
                number=row["number"],
                pledge=row["pledge"],
                value_out=Decimal(str(row["details"]["value_out"])),
                value_in=row["amount"],
            )
        else:
            number = int(row["details"]["substitution"])
            known = found[number]
            found[number] = substitution_after(call_id, known, cast(SubstitutionStep, step))
    return found


def _row(fact: NewFact, now: datetime) -> dict[str, Any]:
    return {
        "fact_key": fact.fact_key,
        "call_id": fact.call["call_id"],
        "number": fact.number,
        "kind": fact.kind,
        "amount": fact.amount,
        "pledge": fact.pledge,
        "is_last": int(fact.is_last),
        "level": fact.level,
        "deadline": fact.deadline,
        "netting_set_id": fact.call["netting_set_id"],
        "margin_type": fact.call["margin_type"],
        "details": dict(fact.details),
        "principal": fact.principal,
        "reason": fact.reason,
        "recorded_at": now,
    }


def _fact(row: Mapping[str, Any]) -> CallFact:
    return CallFact(
        kind=cast(FactKind, row["kind"]),
        number=row["number"],
        amount=row["amount"],
        pledge=row["pledge"],
        is_last=bool(row["is_last"]),
        level=row["level"],
    )


def _move(connection: Connection, facts: Sequence[NewFact]) -> None:
    ends: dict[str, tuple[str, int]] = {}
    for fact in facts:
        name = fact.call["call_id"]
        ends[name] = (fact.state, ends.get(name, ("", 0))[1] + 1)
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for name, (state, n_events) in ends.items():
        groups.setdefault((state, n_events), []).append({"call_id": name})
    for (state, n_events), calls in sorted(groups.items()):
        set_state(connection, calls, state, n_events)

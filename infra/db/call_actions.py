"""What people, clients and time do to calls: each act once, with who and why.

An act is one transaction. It says which event it has seen last, so that of two people one wins and
the other is told to look again; it carries a key, so that a repetition finds the first one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from engine.calls.disputes import DisputeReason
from engine.calls.permissions import is_late_arrival, require_allowed
from engine.calls.standing import CallFact, FactKind, Standing, after, late_after
from engine.calls.states import require_step
from engine.calls.substitution import (
    Substitution,
    SubstitutionStep,
    require_sufficient,
    substitution_after,
)
from engine.errors import MissingDataError, ParameterError, StateError
from infra.crashpoints import crashpoint
from infra.db.call_events import call_row
from infra.db.call_facts import NewFact, facts_of, record_facts, standing_of, substitutions_of
from infra.db.call_release import release_obstacles
from infra.db.call_tables import CallFactRow
from infra.db.canonical import canonical_json
from infra.db.tables import CallEventRow

if TYPE_CHECKING:
    from infra.db.database import Database

# Without a key of its own, one of these alike is a repetition of the first.
_KEYED: Final = frozenset({"pledged", "settled", "substitution_proposed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts and why.

    Attributes
    ----------
    principal, reason : str
        Never empty: they are recorded for good.
    key : str, optional
        Name of the act: a repetition with it finds the first. Pledges, settlements and
        substitutions have one made of their content otherwise.
    seen : int, optional
        Number of the last event that whoever decides has seen.
    """

    principal: str
    reason: str
    key: str | None = None
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PledgedCollateral:
    """What is pledged: units of an asset at a place, and their value after haircut.

    ``transfer`` is the key of the transfer that brings it, where there is one.
    """

    asset: str
    quantity: Decimal
    place: str
    value: Decimal
    transfer: str = ""

    def details(self) -> dict[str, object]:
        """Return what is recorded beside the value."""
        told = {"asset": self.asset, "quantity": str(self.quantity), "place": self.place}
        return {**told, "transfer": self.transfer} if self.transfer else {**told}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What has settled: value in the call's currency, of which pledge, by which transfer."""

    value: Decimal
    pledge: int | None = None
    is_last: bool = False
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act came to: its event, whether it had been done before, where the call stands."""

    call_id: str
    number: int
    is_repetition: bool
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    kind: str
    amount: Decimal | None = None
    pledge: int | None = None
    is_last: bool = False
    details: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> str:
        return canonical_json(
            {
                "kind": self.kind,
                "amount": None if self.amount is None else format(self.amount, "f"),
                "pledge": self.pledge,
                "is_last": self.is_last,
                "details": dict(self.details),
            }
        )


class CallActions:
    """Acts on calls. All raise MissingDataError if there is no such call, StateError if it is not
    the time for the act or somebody was faster, and ModelInputError for what is out of range."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def agree(self, call_id: str, act: Act) -> Done:
        """Record that the client agrees to the call in full."""
        return self._act(call_id, _Move(kind="agreed"), act)

    def agree_within(self, connection: Connection, call_id: str, act: Act) -> Done:
        """Do what ``agree`` does in the caller's transaction."""
        return self._act_within(connection, call_id, _Move(kind="agreed"), act)

    def dispute(
        self, call_id: str, undisputed: Decimal, contested: DisputeReason, act: Act
    ) -> Done:
        """Record that the client agrees to ``undisputed`` and contests the rest."""
        details = {"contested": contested.word}
        return self._act(call_id, _Move(kind="disputed", amount=undisputed, details=details), act)

    def withdraw_dispute(self, call_id: str, act: Act) -> Done:
        """Record that the client contests nothing any more; the call stands as issued."""
        return self._act(call_id, _Move(kind="dispute_withdrawn"), act)

    def pledge(self, call_id: str, pledged: PledgedCollateral, act: Act) -> Done:
        """Record what the client (or for a return, the house) sends.

        Raises
        ------
        StateError
            For a return also if an input was not fresh, or a call or break is open.
        """
        _require_units(call_id, pledged)
        move = _Move(kind="pledged", amount=pledged.value, details=pledged.details())
        return self._act(call_id, move, act)

    def pledge_within(
        self, connection: Connection, call_id: str, pledged: PledgedCollateral, act: Act
    ) -> Done:
        """Do what ``pledge`` does in the caller's transaction."""
        _require_units(call_id, pledged)
        move = _Move(kind="pledged", amount=pledged.value, details=pledged.details())
        return self._act_within(connection, call_id, move, act)

    def reject_pledge(self, call_id: str, pledge: int, act: Act) -> Done:
        """Record that a pledge, or what is still on its way of it, is not accepted."""
        return self._act(call_id, _Move(kind="pledge_rejected", pledge=pledge), act)

    def settle(self, call_id: str, arrival: Arrival, act: Act) -> Done:
        """Record what has arrived; it comes off what is asked for, to the last digit."""
        move = _Move(
            kind="settled",
            amount=arrival.value,
            pledge=arrival.pledge,
            is_last=arrival.is_last,
            details={"reference": arrival.reference} if arrival.reference else {},
        )
        return self._act(call_id, move, act)

    def request_return(self, call_id: str, act: Act) -> Done:
        """Issue a return that waited for the client's request.

        Raises
        ------
        StateError
            Also if an input was not fresh, or a call or break of the netting set is open.
        """
        return self._act(call_id, _Move(kind="requested"), act)

    def propose_substitution(
        self, call_id: str, pledge: int, value_out: Decimal, new: PledgedCollateral, act: Act
    ) -> Done:
        """Record that the client wants to replace ``value_out`` of a settled pledge by ``new``."""
        _require_units(call_id, new)
        details = {**new.details(), "value_out": format(value_out, "f")}
        move = _Move(kind="substitution_proposed", amount=new.value, pledge=pledge, details=details)
        return self._act(call_id, move, act)

    def move_substitution(
        self, call_id: str, number: int, step: SubstitutionStep, act: Act
    ) -> Done:
        """Record the next step of a substitution; the old leaves only after the new is here."""
        move = _Move(kind=f"substitution_{step}", details={"substitution": number})
        return self._act(call_id, move, act)

    def _act(self, call_id: str, move: _Move, act: Act) -> Done:
        crashpoint(f"call:{move.kind}:start")
        with self._database.writing() as connection:
            done = self._act_within(connection, call_id, move, act)
        if not done.is_repetition:
            crashpoint(f"call:{move.kind}:after-commit")
        return done

    def _act_within(self, connection: Connection, call_id: str, move: _Move, act: Act) -> Done:
        _require_answered_for(call_id, act)
        call = call_row(connection, call_id)
        facts = facts_of(connection, [call_id])[call_id]
        key = act.key or _key(call, facts, move)
        found = _repetition(connection, call, facts, key, move)
        if found is not None:
            return found
        _require_seen(connection, call, act)
        standing = standing_of(call, facts)
        number = call["n_events"] + 1
        following = self._following(connection, call, facts, standing, move, number)
        new = NewFact(
            call=call,
            number=number,
            kind=move.kind,
            state=following.state,
            fact_key=key,
            principal=act.principal.strip(),
            reason=act.reason.strip(),
            amount=move.amount,
            pledge=move.pledge,
            is_last=move.is_last,
            details=move.details,
        )
        record_facts(self._database, connection, [new])
        self._database.audit.append_within(
            connection,
            f"call {move.kind}",
            call_id,
            {"reason": new.reason, "was": standing.state, "is": following.state},
            actor=new.principal,
        )
        crashpoint(f"call:{move.kind}:before-commit")
        return Done(call_id=call_id, number=number, is_repetition=False, standing=following)

    def _following(
        self,
        connection: Connection,
        call: Mapping[str, Any],
        facts: list[dict[str, Any]],
        standing: Standing,
        move: _Move,
        number: int,
    ) -> Standing:
        if move.kind.startswith("substitution_"):
            _check_substitution(call, facts, standing, move, number)
            return standing
        kind: FactKind = move.kind  # type: ignore[assignment]
        fact = CallFact(
            kind=kind, number=number, amount=move.amount, pledge=move.pledge, is_last=move.is_last
        )
        require_allowed(standing, fact)
        if is_late_arrival(standing, fact):
            return late_after(standing, fact)
        # Asked when it is let go and again when it is sent: a break may have opened in between.
        if kind == "requested" or (kind == "pledged" and standing.direction == "return"):
            release_obstacles(connection, call)
        following = after(standing, fact)
        if following.state != standing.state:
            require_step(standing.call_id, standing.state, following.state)
        return following


def _check_substitution(
    call: Mapping[str, Any],
    facts: list[dict[str, Any]],
    standing: Standing,
    move: _Move,
    number: int,
) -> None:
    known = substitutions_of(call["call_id"], facts)
    if move.kind != "substitution_proposed":
        wanted = int(str(move.details["substitution"]))
        if wanted not in known:
            listed = ", ".join(str(name) for name in sorted(known)) or "none"
            raise MissingDataError(
                f"call {call['call_id']} has no substitution {wanted}; there is: {listed}",
                identifier=call["call_id"],
                value=wanted,
            )
        step: SubstitutionStep = move.kind.removeprefix("substitution_")  # type: ignore[assignment]
        substitution_after(call["call_id"], known[wanted], step)
        return
    pledge = standing.pledge(move.pledge or 0)
    # What another substitution takes out, or has taken, cannot leave again.
    leaving = sum(
        (
            one.value_out
            for one in known.values()
            if one.pledge == move.pledge and one.state != "rejected"
        ),
        start=Decimal(0),
    )
    here = (pledge.settled if pledge else Decimal(0)) - leaving
    proposed = Substitution(
        number=number,
        pledge=move.pledge or 0,
        value_out=Decimal(str(move.details["value_out"])),
        value_in=move.amount or Decimal(0),
    )
    require_sufficient(call["call_id"], proposed, here)


def _key(call: Mapping[str, Any], facts: list[dict[str, Any]], move: _Move) -> str:
    if move.kind not in _KEYED:
        return f"{call['call_id']}#{call['n_events'] + 1}"
    # What was turned down may be offered again.
    n_rejected = sum(row["kind"] in ("pledge_rejected", "substitution_rejected") for row in facts)
    text = f"{call['call_id']}\0{move.body()}\0{n_rejected}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _repetition(
    connection: Connection,
    call: Mapping[str, Any],
    facts: list[dict[str, Any]],
    key: str,
    move: _Move,
) -> Done | None:
    query = select(CallFactRow.__table__).where(CallFactRow.fact_key == key)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    before = _Move(
        kind=row["kind"],
        amount=row["amount"],
        pledge=row["pledge"],
        is_last=bool(row["is_last"]),
        details=row["details"],
    )
    if row["call_id"] != call["call_id"] or before.body() != move.body():
        raise StateError(
            f"key {key} has been used for event {row['number']} of call {row['call_id']} "
            f"({row['kind']}): take another key for another act",
            identifier=key,
            value=row["call_id"],
        )
    return Done(
        call_id=call["call_id"],
        number=row["number"],
        is_repetition=True,
        standing=standing_of(call, facts),
    )


def _require_seen(connection: Connection, call: Mapping[str, Any], act: Act) -> None:
    if act.seen is None or act.seen == call["n_events"]:
        return
    last = (
        select(CallEventRow.state, CallEventRow.actor)
        .where(CallEventRow.call_id == call["call_id"])
        .order_by(CallEventRow.number.desc())
        .limit(1)
    )
    state, actor = connection.execute(last).one()
    raise StateError(
        f"call {call['call_id']} has moved on: event {call['n_events']} by {actor} made it "
        f"{state}, you have seen event {act.seen}: look at it again with `plimsoll calls show "
        f"{call['call_id']}`",
        identifier=call["call_id"],
        value=call["n_events"],
        limit=str(act.seen),
    )


def _require_answered_for(call_id: str, act: Act) -> None:
    for name in ("principal", "reason"):
        if not getattr(act, name).strip():
            raise ParameterError(
                f"call {call_id}: an act needs a {name}", identifier=call_id, limit="a text"
            )


def _require_units(call_id: str, pledged: PledgedCollateral) -> None:
    if not pledged.quantity.is_finite() or pledged.quantity <= 0:
        raise ParameterError(
            f"call {call_id}: quantity of {pledged.asset} is {pledged.quantity}, limit > 0",
            identifier=call_id,
            value=pledged.quantity,
            limit="> 0",
        )

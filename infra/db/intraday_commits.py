"""One durable commit for everything that the loop decided at one instant.

Calls and their histories, what is taken back, the decision with its marks, the reports that came
in, the events for others: all of it is recorded or nothing, under the epoch of the leader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from engine.calls.states import require_step
from infra.crashpoints import crashpoint
from infra.db.board_tables import IntradayEventRow
from infra.db.bulk import among
from infra.db.call_carrying import carry_pledges
from infra.db.call_events import call_rows
from infra.db.call_tables import CallTermsRow
from infra.db.canonical import instant_text, link
from infra.db.direct import Direct
from infra.db.intraday_batches import (
    Committed,
    InboxMessage,
    LoopBatch,
    LoopCall,
    LoopDecision,
)
from infra.db.intraday_events import IntradayEvent, require_recordable
from infra.db.intraday_known import Heads, Known, known_of
from infra.db.intraday_tables import DecisionRow, InboxRow, IntradayCallRow
from infra.db.tables import AuditRow, CallEventRow, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database

_CALL: Final = tuple(column.name for column in CallRow.__table__.columns)
_TERMS: Final = ("call_id", "issued_at", "notified_at", "terms")
_EVENT: Final = ("call_id", "number", "state", "actor", "reason", "run_id", "recorded_at")
_OUTBOX: Final = (
    "position", "event_id", "name", "resource", "occurred_at", "payload", "run_id", "recorded_at",
)  # fmt: skip
_INBOX: Final = ("position", "run_id", "source", "message_id", "kind", "body", "received_at")
_DECISION: Final = (
    "run_id", "number", "epoch", "decided_at", "inbox_position", "n_calls", "n_withdrawn", "marks",
    "facts",
)  # fmt: skip
_FIGURES: Final = ("call_id", "run_id", "number", "netting_set_id", "client_id", "figures")


__all__ = [
    "Committed",
    "InboxMessage",
    "IntradayCommits",
    "LoopBatch",
    "LoopCall",
    "LoopDecision",
]


class IntradayCommits:
    """The one writer of the loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def commit(self, batch: LoopBatch) -> Committed:
        """Record a batch; see ``commit_all``."""
        return self.commit_all([batch])[0]

    def commit_all(self, batches: Sequence[LoopBatch]) -> list[Committed]:
        """Record batches in one transaction: all of them or none.

        A repetition after a commit of unknown fate finds what the first one recorded.

        Raises
        ------
        Fenced
            If another process leads. Nothing is recorded.
        StateUnavailable, StateError
            If the database cannot record it now. Nothing is recorded.
        """
        crashpoint("loop:commit:start")
        with self._database.writing() as connection:
            direct = Direct(connection)
            self._database.loop_leases.renew_within(direct, batches[0].lead)
            heads = Heads.read(direct)
            found = [self._commit(connection, direct, heads, batch) for batch in batches]
            crashpoint("loop:commit:before-commit")
        crashpoint("loop:commit:after-commit")
        return found

    def _commit(
        self, connection: Connection, direct: Direct, heads: Heads, batch: LoopBatch
    ) -> Committed:
        now, decision = self._database.clock(), batch.decision
        events = {event.event_id: event for event in batch.events}
        known = known_of(direct, batch, events)
        work = None
        if decision is not None and known.decided is None:
            work = _Decided((self._database, connection, direct, heads), batch, now)
            work.find(known)
        # What was replaced may be carried over, which reads what this writes.
        is_plain = work is None or not work.has_replaced
        n_rows = max(2 * len(batch.calls), len(batch.events), len(batch.messages))
        with direct.together(n_rows) if is_plain else nullcontext():
            _keep_messages(direct, heads, batch, known)
            n_events = _keep_events(direct, heads, events, known, now)
            if work is not None:
                _insert_decision(direct, heads, batch, len(work.going), len(work.withdrawn))
                work.record()
        if work is None:
            issued = known.decided or ()
            return Committed(issued=issued, inbox_position=heads.inbox, n_events=n_events)
        return Committed(
            issued=tuple(one.wanted.call["call_id"] for one in work.going),
            withdrawn=tuple(call["call_id"] for call in work.withdrawn),
            overtaken=tuple(work.overtaken),
            inbox_position=heads.inbox,
            n_events=n_events,
        )


class _Decided:
    """The calls of one decision, on their way into the tables."""

    def __init__(
        self,
        where: tuple[Database, Connection, Direct, Heads],
        batch: LoopBatch,
        now: datetime,
    ) -> None:
        self._database, self._connection, self._direct, self._heads = where
        self._batch, self._now = batch, now
        self.going: list[LoopCall] = []
        self.overtaken: list[str] = []
        self.withdrawn: list[dict[str, Any]] = []
        self._replaced: dict[str, dict[str, Any]] = {}

    @property
    def has_replaced(self) -> bool:
        """Return whether a call takes the place of another one."""
        return bool(self._replaced)

    def find(self, known: Known) -> None:
        """Compare what is open with what the decision knew to be open."""
        replaced = []
        for one in self._batch.calls:
            key = (one.wanted.call["netting_set_id"], one.wanted.call["margin_type"])
            if known.open_calls.get(key, "") != one.replaces:
                self.overtaken.append(key[0])
                continue
            self.going.append(one)
            replaced += [one.replaces] if one.replaces else []
        self._replaced = {row["call_id"]: row for row in self._rows(replaced)}
        ending = self._rows(sorted(self._batch.withdrawals))
        # Whatever ended meanwhile, or was acted upon, stays as it is.
        self.withdrawn = [
            row for row in ending if row["state"] == "issued" and row["n_events"] <= 2
        ]

    def record(self) -> None:
        """Insert calls, terms, figures and events; end what is replaced or taken back."""
        assert self._batch.decision is not None
        number = self._batch.decision.number
        self._link_to_replaced()
        events = self._ends()
        direct, run_id = self._direct, self._batch.run_id
        rows = [[one.wanted.call[name] for name in _CALL] for one in self.going]
        direct.insert(CallRow, _CALL, rows)
        terms = [one.wanted.terms for one in self.going if one.wanted.terms]
        direct.insert(CallTermsRow, _TERMS, [[one[name] for name in _TERMS] for one in terms])
        figures = [
            [
                one.wanted.call["call_id"], run_id, number, one.wanted.call["netting_set_id"],
                one.client_id, dict(one.figures),
            ]
            for one in self.going
        ]  # fmt: skip
        direct.insert(IntradayCallRow, _FIGURES, figures)
        for one in self.going:
            events.append(_event(one.wanted.call, 1, "computed", "", run_id))
            events.append(_event(one.wanted.call, 2, "issued", "", run_id))
        self._append_events(events)
        self._carry()
        if self.going or self.withdrawn:
            self._audit(number)

    def _rows(self, call_ids: Sequence[str]) -> list[dict[str, Any]]:
        if not call_ids:
            return []
        is_wanted = among(self._connection, CallRow.call_id, list(call_ids))
        return call_rows(self._connection, select(CallRow.__table__).where(is_wanted))

    def _link_to_replaced(self) -> None:
        for one in self.going:
            call, old = one.wanted.call, self._replaced.get(one.replaces)
            if old is None:
                continue
            call["supersedes"] = old["call_id"]
            if old["direction"] == call["direction"] == "call":
                call["first_due_at"] = min(old["first_due_at"], call["due_at"])

    def _ends(self) -> list[dict[str, Any]]:
        run_id, reasons = self._batch.run_id, self._batch.withdrawals
        events = []
        for one in self.going:
            old = self._replaced.get(one.replaces)
            if old is not None:
                why = f"replaced by {one.wanted.call['call_id']}"
                events.append(_event(old, old["n_events"] + 1, "superseded", why, run_id))
        for call in self.withdrawn:
            why = reasons[call["call_id"]]
            events.append(_event(call, call["n_events"] + 1, "withdrawn", why, run_id))
        _end(self._direct, list(self._replaced.values()), "superseded")
        _end(self._direct, self.withdrawn, "withdrawn")
        return events

    def _carry(self) -> None:
        replaced = list(self._replaced.values())
        if not any(old["n_events"] > 2 for old in replaced):
            return
        successors = {one.replaces: one.wanted.call for one in self.going if one.replaces}
        pairs = [(old, successors[old["call_id"]]["call_id"]) for old in replaced]
        made = {call["call_id"]: call for call in successors.values()}
        carry_pledges(self._database, self._connection, pairs, made)

    def _append_events(self, events: Sequence[dict[str, Any]]) -> None:
        position, digest = self._heads.call_events
        actor, at, hashed_at = self._database.actor, self._now, instant_text(self._now)
        rows = []
        for event in events:
            content = {**event, "actor": actor, "recorded_at": hashed_at}
            digest, position = link(digest, content), position + 1
            content["recorded_at"] = at
            rows.append([position, digest, *map(content.__getitem__, _EVENT)])
        self._heads.call_events = position, digest
        self._direct.insert(CallEventRow, ("position", "hash", *_EVENT), rows)

    def _audit(self, number: int) -> None:
        position, digest = self._heads.audit
        row = {
            "recorded_at": self._now,
            "actor": self._database.actor,
            "action": "calls issued within the day",
            "subject": self._batch.run_id,
            "details": {
                "decision": number,
                "n_calls": len(self.going),
                "n_superseded": len(self._replaced),
                "n_withdrawn": len(self.withdrawn),
            },
        }
        self._heads.audit = position, digest = position + 1, link(digest, row)
        self._direct.insert(
            AuditRow, ("position", "hash", *row), [[position, digest, *row.values()]]
        )


def _event(
    call: Mapping[str, Any], number: int, state: str, reason: str, run_id: str
) -> dict[str, Any]:
    if number > 2:
        require_step(call["call_id"], call["state"], state)
    return {
        "call_id": call["call_id"],
        "number": number,
        "state": state,
        "reason": reason,
        "run_id": run_id,
    }


def _end(direct: Direct, calls: Sequence[Mapping[str, Any]], state: str) -> None:
    if not calls:
        return
    condition, parameter = direct.among("call_id", [call["call_id"] for call in calls])
    direct.change(
        f"UPDATE calls SET state = ?, n_events = n_events + 1 WHERE {condition}",
        (state, parameter),
    )


def _keep_messages(direct: Direct, heads: Heads, batch: LoopBatch, known: Known) -> None:
    taken = set(known.messages)
    rows = []
    for message in batch.messages:
        key = (message.source, message.message_id)
        if key in taken:
            continue
        taken.add(key)
        heads.inbox += 1
        rows.append(
            [
                heads.inbox, batch.run_id, *key, message.kind, dict(message.body),
                message.received_at,
            ]
        )  # fmt: skip
    direct.insert(InboxRow, _INBOX, rows)


def _keep_events(
    direct: Direct, heads: Heads, events: Mapping[str, IntradayEvent], known: Known, now: datetime
) -> int:
    rows = []
    for event_id, event in events.items():
        if event_id in known.events:
            continue
        require_recordable(event)
        heads.events += 1
        rows.append(
            (
                heads.events, event_id, event.name, event.resource, event.occurred_at,
                event.payload, event.run_id, now,
            )
        )  # fmt: skip
    direct.insert(IntradayEventRow, _OUTBOX, rows)
    return len(rows)


def _insert_decision(
    direct: Direct, heads: Heads, batch: LoopBatch, n_calls: int, n_withdrawn: int
) -> None:
    decision = batch.decision
    assert decision is not None
    position, digest = heads.decisions
    row = {
        "run_id": decision.run_id,
        "number": decision.number,
        "epoch": batch.lead.epoch,
        "decided_at": decision.decided_at,
        "inbox_position": heads.inbox,
        "n_calls": n_calls,
        "n_withdrawn": n_withdrawn,
        "marks": decision.marks,
        "facts": dict(decision.facts),
    }
    heads.decisions = position, digest = position + 1, link(digest, row)
    values = [position, digest, *(row[name] for name in _DECISION)]
    direct.insert(DecisionRow, ("position", "hash", *_DECISION), [values])

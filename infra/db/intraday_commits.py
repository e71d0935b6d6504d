"""One durable commit for everything that the loop decided at one instant.

Calls and their histories, what is taken back, the decision with its marks, the reports that came
in, the events for others: all of it is recorded or nothing, under the epoch of the leader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from infra.db.canonical import GENESIS, instant_text, link
from infra.db.direct import Direct
from infra.db.intraday_batches import (
    Committed,
    InboxMessage,
    LoopBatch,
    LoopCall,
    LoopDecision,
)
from infra.db.intraday_events import IntradayEvent, require_recordable
from infra.db.intraday_tables import DecisionRow, InboxRow, IntradayCallRow
from infra.db.tables import OPEN_CALL, AuditRow, CallEventRow, CallRow

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
            found = [self._commit(connection, direct, batch) for batch in batches]
            crashpoint("loop:commit:before-commit")
        crashpoint("loop:commit:after-commit")
        return found

    def _commit(self, connection: Connection, direct: Direct, batch: LoopBatch) -> Committed:
        now = self._database.clock()
        inbox_position = _keep_messages(direct, batch)
        n_events = _keep_events(direct, batch.events, now)
        decision = batch.decision
        if decision is None:
            return Committed(inbox_position=inbox_position, n_events=n_events)
        known = _known_calls(direct, decision)
        if known is not None:
            return Committed(issued=known, inbox_position=inbox_position, n_events=n_events)
        work = _Decided(self._database, connection, direct, batch, now)
        work.find()
        _insert_decision(direct, batch, inbox_position, len(work.going), len(work.withdrawn))
        work.record(decision.number)
        return Committed(
            issued=tuple(one.wanted.call["call_id"] for one in work.going),
            withdrawn=tuple(call["call_id"] for call in work.withdrawn),
            overtaken=tuple(work.overtaken),
            inbox_position=inbox_position,
            n_events=n_events,
        )


class _Decided:
    """The calls of one decision, on their way into the tables."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        direct: Direct,
        batch: LoopBatch,
        now: datetime,
    ) -> None:
        self._database, self._connection, self._direct = database, connection, direct
        self._batch, self._now = batch, now
        self.going: list[LoopCall] = []
        self.overtaken: list[str] = []
        self.withdrawn: list[dict[str, Any]] = []
        self._replaced: dict[str, dict[str, Any]] = {}

    def find(self) -> None:
        """Compare what is open with what the decision knew to be open."""
        wanted = self._batch.calls
        names = [one.wanted.call["netting_set_id"] for one in wanted]
        found = _open_calls(self._direct, names) if names else {}
        replaced = []
        for one in wanted:
            key = (one.wanted.call["netting_set_id"], one.wanted.call["margin_type"])
            if found.get(key, "") != one.replaces:
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

    def record(self, number: int) -> None:
        """Insert calls, terms, figures and events; end what is replaced or taken back."""
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
        position, digest = _head(self._direct, "call_events")
        actor, at, hashed_at = self._database.actor, self._now, instant_text(self._now)
        rows = []
        for event in events:
            content = {**event, "actor": actor, "recorded_at": hashed_at}
            digest, position = link(digest, content), position + 1
            content["recorded_at"] = at
            rows.append([position, digest, *map(content.__getitem__, _EVENT)])
        self._direct.insert(CallEventRow, ("position", "hash", *_EVENT), rows)

    def _audit(self, number: int) -> None:
        position, digest = _head(self._direct, "audit")
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
        names = ("position", "hash", *row)
        self._direct.insert(AuditRow, names, [[position + 1, link(digest, row), *row.values()]])


def _open_calls(direct: Direct, netting_set_ids: Sequence[str]) -> dict[tuple[str, str], str]:
    condition, parameter = direct.among("netting_set_id", netting_set_ids)
    query = (
        f"SELECT netting_set_id, margin_type, call_id FROM calls WHERE {OPEN_CALL} AND {condition}"
    )
    return {(row[0], row[1]): row[2] for row in direct.rows(query, (parameter,))}


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


def _head(direct: Direct, chain: str) -> tuple[int, str]:
    found = direct.rows(f"SELECT position, hash FROM {chain} ORDER BY position DESC LIMIT 1")
    return (int(found[0][0]), str(found[0][1])) if found else (0, GENESIS)


def _known_calls(direct: Direct, decision: LoopDecision) -> tuple[str, ...] | None:
    """Return the calls of a decision that is recorded already; None if it is not."""
    key = (decision.run_id, decision.number)
    known = "SELECT 1 FROM intraday_decisions WHERE run_id = ? AND number = ?"
    if not direct.rows(known, key):
        return None
    calls = "SELECT call_id FROM intraday_calls WHERE run_id = ? AND number = ? ORDER BY call_id"
    return tuple(str(row[0]) for row in direct.rows(calls, key))


def _last(direct: Direct, table: str) -> int:
    found = direct.rows(f"SELECT max(position) FROM {table}")
    return int(found[0][0] or 0)


def _keep_messages(direct: Direct, batch: LoopBatch) -> int:
    position = _last(direct, "intraday_inbox")
    if not batch.messages:
        return position
    condition, parameter = direct.among(
        "message_id", [message.message_id for message in batch.messages]
    )
    known = set(
        direct.rows(
            f"SELECT source, message_id FROM intraday_inbox WHERE {condition}", (parameter,)
        )
    )
    rows = []
    for message in batch.messages:
        key = (message.source, message.message_id)
        if key in known:
            continue
        known.add(key)
        position += 1
        rows.append(
            [
                position, batch.run_id, *key, message.kind, dict(message.body), message.received_at,
            ]
        )  # fmt: skip
    direct.insert(InboxRow, _INBOX, rows)
    return position


def _keep_events(direct: Direct, events: Sequence[IntradayEvent], now: datetime) -> int:
    if not events:
        return 0
    named = {event.event_id: event for event in events}
    condition, parameter = direct.among("event_id", list(named))
    known = {
        row[0]
        for row in direct.rows(
            f"SELECT event_id FROM intraday_events WHERE {condition}", (parameter,)
        )
    }
    position = _last(direct, "intraday_events")
    rows = []
    for event_id, event in named.items():
        if event_id in known:
            continue
        require_recordable(event)
        position += 1
        rows.append(
            (
                position, event_id, event.name, event.resource, event.occurred_at, event.payload,
                event.run_id, now,
            )
        )  # fmt: skip
    direct.insert(IntradayEventRow, _OUTBOX, rows)
    return len(rows)


def _insert_decision(
    direct: Direct, batch: LoopBatch, inbox_position: int, n_calls: int, n_withdrawn: int
) -> None:
    decision = batch.decision
    assert decision is not None
    position, digest = _head(direct, "intraday_decisions")
    row = {
        "run_id": decision.run_id,
        "number": decision.number,
        "epoch": batch.lead.epoch,
        "decided_at": decision.decided_at,
        "inbox_position": inbox_position,
        "n_calls": n_calls,
        "n_withdrawn": n_withdrawn,
        "marks": decision.marks,
        "facts": dict(decision.facts),
    }
    hashed = link(digest, row)
    names = ("position", "hash", *_DECISION)
    values = [position + 1, hashed, *(row[name] for name in _DECISION)]
    direct.insert(DecisionRow, names, [values])

"""The record of transfers: intents, their states and events, approvals, and who may send.

Rules live in ``engine/transfers``, the work in ``infra/transfers``; here is what both leave behind.
Every change names the number of events that it was decided upon: whoever comes later is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select, update

from engine.errors import MissingDataError, ModelInputError, ParameterError, StateError
from engine.transfers.intent import TransferIntent
from engine.transfers.states import require_edge
from infra.db.audit import chain_head
from infra.db.canonical import link
from infra.db.transfer_tables import (
    TransferApprovalRow,
    TransferEventRow,
    TransferRow,
)

if TYPE_CHECKING:
    from infra.db.database import Database

_INTENT: Final = (
    "purpose", "leg", "source", "destination", "asset", "amount", "scale", "network", "address",
    "memo", "attempt_group",
)  # fmt: skip
_KEY_DIGITS_MIN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """A transfer as it stands."""

    intent: TransferIntent
    transfer_key: str
    payload_hash: str
    proposer: str
    reason: str
    business_date: date
    recorded_at: datetime
    state: str
    n_events: int
    attempts: int
    n_looks: int
    is_exposed: bool
    """An earlier sending may have worked, and that it did not is not proven."""
    first_sent_at: datetime | None
    sent_at: datetime | None
    accepted_at: datetime | None
    debited_at: datetime | None
    credited_at: datetime | None
    look_at: datetime | None
    not_before: datetime | None
    balance_before: Decimal | None
    fee: Decimal | None
    venue_transfer_id: str
    refusal: str | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event: a new state, or with ``fact`` something that became known in the same state."""

    state: str
    actor: str
    reason: str
    fact: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """What happened to a transfer, who did it and why."""

    number: int
    previous: str
    state: str
    fact: str
    actor: str
    reason: str
    details: Mapping[str, Any]
    recorded_at: datetime


class Transfers:
    """Transfers and their events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> TransferRecord:
        """Return a transfer by its key or the beginning of it, at least eight digits.

        Raises
        ------
        MissingDataError
            If there is none, or more than one begins so.
        """
        with self._database.reading() as connection:
            return find_transfer(connection, key)

    def events(self, key: str) -> list[TransferEvent]:
        """Return the events of a transfer in order."""
        names = (
            "number", "previous", "state", "fact", "actor", "reason", "details", "recorded_at",
        )  # fmt: skip
        query = (
            select(*(getattr(TransferEventRow, name) for name in names))
            .where(TransferEventRow.transfer_key == key)
            .order_by(TransferEventRow.number)
        )
        with self._database.reading() as connection:
            return [TransferEvent(*row) for row in connection.execute(query)]

    def list(self, states: Iterable[str] | None = None) -> list[TransferRecord]:
        """Return transfers, the earliest first; only those in ``states`` if given."""
        query = select(TransferRow.__table__)
        if states is not None:
            query = query.where(TransferRow.state.in_(sorted(states)))
        query = query.order_by(TransferRow.recorded_at, TransferRow.transfer_key)
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(query).mappings()]

    def approvals(self, key: str) -> dict[str, tuple[str, datetime]]:
        """Return by approver the payload hash that was approved, and when."""
        with self._database.reading() as connection:
            return approvals_within(connection, key)

    def record_within(
        self, connection: Connection, intent: TransferIntent, proposer: str, reason: str
    ) -> tuple[TransferRecord, bool]:
        """Return the transfer of an intent and whether it is new.

        Raises
        ------
        ParameterError
            If its key is recorded with another payload: one intent, one key, one payload (I-05).
        """
        found = known_transfer(connection, intent.key)
        if found is not None:
            if found.payload_hash != intent.payload_hash:
                raise ParameterError(
                    f"transfer {intent.key} is recorded with another payload, hash "
                    f"{found.payload_hash[:16]}: network, address, memo or scale differ; a new "
                    "movement takes the next attempt group",
                    identifier=intent.key,
                    value=intent.payload_hash,
                    limit=found.payload_hash,
                )
            return found, False
        now = self._database.clock()
        row = {
            **{name: getattr(intent, name) for name in _INTENT},
            "transfer_key": intent.key,
            "payload_hash": intent.payload_hash,
            "proposer": proposer,
            "reason": reason,
            "business_date": now.date(),
            "recorded_at": now,
            "state": "proposed",
            **dict.fromkeys(("attempts", "n_looks", "is_exposed"), 0),
            "n_events": 1,
            "venue_transfer_id": "",
            "note": "",
        }
        connection.execute(insert(TransferRow), row)
        first = Step(
            state="proposed", actor=proposer, reason=reason,
            details={"payload_hash": intent.payload_hash, "intent": intent.canonical},
        )  # fmt: skip
        self._append(connection, intent.key, "", 1, first)
        return require_transfer(connection, intent.key), True

    def move_within(
        self, connection: Connection, record: TransferRecord, step: Step
    ) -> TransferRecord:
        """Record a step and return the transfer after it.

        Raises
        ------
        StateError
            If the step is not allowed, or somebody else has moved the transfer since it was read.
        """
        if step.state != record.state:
            require_edge(record.transfer_key, record.state, step.state)
        values = {**step.changes, "state": step.state, "n_events": record.n_events + 1}
        changed = connection.execute(
            update(TransferRow)
            .where(
                TransferRow.transfer_key == record.transfer_key,
                TransferRow.n_events == record.n_events,
            )
            .values(values)
        )
        if changed.rowcount != 1:
            now = require_transfer(connection, record.transfer_key)
            raise StateError(
                f"transfer {record.transfer_key} is {now.state} since, no longer {record.state}: "
                "look at it again",
                identifier=record.transfer_key,
                value=now.state,
                limit=record.state,
            )
        self._append(connection, record.transfer_key, record.state, record.n_events + 1, step)
        return require_transfer(connection, record.transfer_key)

    def plan_within(self, connection: Connection, record: TransferRecord, **plans: Any) -> None:
        """Change when and why a transfer is looked at next; that is no event of its life."""
        unknown = set(plans) - {"look_at", "not_before", "note", "n_looks"}
        if unknown:
            raise ModelInputError(f"{', '.join(sorted(unknown))} cannot change without an event")
        connection.execute(
            update(TransferRow).where(TransferRow.transfer_key == record.transfer_key).values(plans)
        )

    def approve_within(self, connection: Connection, record: TransferRecord, approver: str) -> None:
        """Record an approval of the transfer's payload."""
        row = {
            "transfer_key": record.transfer_key,
            "approver": approver,
            "proposer": record.proposer,
            "payload_hash": record.payload_hash,
            "recorded_at": self._database.clock(),
        }
        connection.execute(insert(TransferApprovalRow), row)

    def _append(
        self, connection: Connection, key: str, previous: str, number: int, step: Step
    ) -> None:
        head = chain_head(connection, TransferEventRow.position, TransferEventRow.hash)
        row = {
            "transfer_key": key,
            "number": number,
            "previous": previous,
            "state": step.state,
            "fact": step.fact,
            "actor": step.actor,
            "reason": step.reason,
            "details": dict(step.details),
            "recorded_at": self._database.clock(),
        }
        digest = link(head.hash, row)
        connection.execute(
            insert(TransferEventRow), {"position": head.position + 1, "hash": digest, **row}
        )


def find_transfer(connection: Connection, key: str) -> TransferRecord:
    """Return a transfer by its key or the beginning of it; MissingDataError if it is not one."""
    query = select(TransferRow.__table__).where(TransferRow.transfer_key.startswith(key)).limit(2)
    found = (
        [record_of(row) for row in connection.execute(query).mappings()]
        if len(key) >= _KEY_DIGITS_MIN and key.isalnum()
        else []
    )
    if len(found) != 1:
        what = "more than one transfer begins with" if found else "there is no transfer"
        raise MissingDataError(f"{what} {key}: `plimsoll transfers list` has them", identifier=key)
    return found[0]


def require_transfer(connection: Connection, key: str) -> TransferRecord:
    """Return the transfer of a whole key, or raise MissingDataError."""
    found = known_transfer(connection, key)
    if found is None:
        raise MissingDataError(f"there is no transfer {key}", identifier=key)
    return found


def approvals_within(connection: Connection, key: str) -> dict[str, tuple[str, datetime]]:
    """Return by approver the payload hash that was approved, and when."""
    query = select(TransferApprovalRow.__table__).where(TransferApprovalRow.transfer_key == key)
    return {
        row["approver"]: (row["payload_hash"], row["recorded_at"])
        for row in connection.execute(query).mappings()
    }


def record_of(row: Mapping[Any, Any]) -> TransferRecord:
    """Return a row as a record, its intent built anew from the columns."""
    content = dict(row)
    intent = TransferIntent(**{name: content.pop(name) for name in _INTENT})
    content["is_exposed"] = bool(content["is_exposed"])
    return TransferRecord(intent=intent, **content)


def known_transfer(connection: Connection, key: str) -> TransferRecord | None:
    """Return the transfer of a whole key, or None."""
    query = select(TransferRow.__table__).where(TransferRow.transfer_key == key)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else record_of(row)

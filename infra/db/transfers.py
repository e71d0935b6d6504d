"""The record of transfers: intents, their states and events, approvals.

Rules live in ``engine/transfers``, the work in ``infra/transfers``; here is what both leave behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from engine.transfers.intent import TransferIntent
from engine.transfers.states import require_edge
from infra.db.desk_records import DeskRecords, DeskTables, Step
from infra.db.transfer_tables import TransferApprovalRow, TransferEventRow, TransferRow

if TYPE_CHECKING:
    from infra.db.database import Database

_INTENT: Final = (
    "purpose", "leg", "source", "destination", "asset", "amount", "scale", "network", "address",
    "memo", "attempt_group",
)  # fmt: skip


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

    @property
    def key(self) -> str:
        """Return the transfer's key."""
        return self.transfer_key


def record_of(row: Mapping[Any, Any]) -> TransferRecord:
    """Return a row as a record, its intent built anew from the columns."""
    content = dict(row)
    intent = TransferIntent(**{name: content.pop(name) for name in _INTENT})
    content["is_exposed"] = bool(content["is_exposed"])
    return TransferRecord(intent=intent, **content)


TRANSFERS: Final = DeskTables(
    noun="transfer",
    listing="plimsoll transfers list",
    key="transfer_key",
    rows=TransferRow,
    events=TransferEventRow,
    approvals=TransferApprovalRow,
    record_of=record_of,
    require_edge=require_edge,
)


class Transfers(DeskRecords[TransferRecord]):
    """Transfers and their events."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, TRANSFERS, ("look_at", "not_before", "note", "n_looks"))

    def record_within(
        self, connection: Connection, intent: TransferIntent, proposer: str, reason: str
    ) -> tuple[TransferRecord, bool]:
        """Return the transfer of an intent and whether it is new.

        Raises
        ------
        ParameterError
            If its key is recorded with another payload: one intent, one key, one payload (I-05).
        """
        advice = (
            "network, address, memo or scale differ; a new movement takes the next attempt group"
        )
        found = self._known_with(connection, intent.key, intent.payload_hash, advice)
        if found is not None:
            return found, False
        row = {
            **{name: getattr(intent, name) for name in _INTENT},
            "transfer_key": intent.key,
            "payload_hash": intent.payload_hash,
            "proposer": proposer,
            "reason": reason,
            **dict.fromkeys(("attempts", "n_looks", "is_exposed"), 0),
            "venue_transfer_id": "",
        }
        first = Step(
            state="proposed", actor=proposer, reason=reason,
            details={"payload_hash": intent.payload_hash, "intent": intent.canonical},
        )  # fmt: skip
        return self._begin(connection, row, first), True


known_transfer = TRANSFERS.known

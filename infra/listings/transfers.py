"""Transfers and whitelist entries: as they stand, and with everything that is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.transfers import WhitelistEntry
from engine.transfers.approvals import approvers_needed
from engine.transfers.policy import TransferPolicy

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.desk_records import DeskEvent
    from infra.db.transfers import TransferRecord


@dataclass(frozen=True, slots=True)
class Shown:
    """A transfer with its history and what it still needs."""

    record: TransferRecord
    events: Sequence[DeskEvent]
    approvers: Sequence[str]
    n_needed: int


def shown_transfer(database: Database, policy: TransferPolicy, key: str) -> Shown:
    """Return one transfer with everything known of it; MissingDataError if there is none."""
    record = database.transfers.get(key)
    return Shown(
        record,
        database.transfers.events(record.transfer_key),
        sorted(database.transfers.approvals(record.transfer_key)),
        approvers_needed(record.intent, policy, record.proposer),
    )


def record_as_json(record: TransferRecord) -> dict[str, Any]:
    """Return a transfer as JSON values; amounts are exact texts."""
    content = asdict(record)
    intent = content.pop("intent")
    return {
        "transfer_key": content.pop("transfer_key"),
        "state": content.pop("state"),
        **intent,
        "amount": str(intent["amount"]),
        "quantity": str(record.intent.quantity),
        **{name: _plain(value) for name, value in content.items()},
    }


def shown_as_json(found: Shown) -> dict[str, Any]:
    """Return a transfer with its history as JSON values."""
    return {
        **record_as_json(found.record),
        "payload": found.record.intent.canonical,
        "approvers": list(found.approvers),
        "approvers_needed": found.n_needed,
        "events": [
            {name: _plain(value) for name, value in asdict(event).items()} for event in found.events
        ],
    }


def entry_as_json(entry: WhitelistEntry) -> dict[str, Any]:
    """Return a whitelist entry as JSON values."""
    return {name: _plain(value) for name, value in asdict(entry).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value if isinstance(value, int | str | bool) or value is None else _text(value)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

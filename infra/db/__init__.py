"""The record of business facts on SQLite or PostgreSQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.db.audit import ChainReport
    from infra.db.call_actions import Act, Arrival, Done, PledgedCollateral
    from infra.db.call_ageing import Aged
    from infra.db.call_wanted import call_id
    from infra.db.calls import CallRecord
    from infra.db.database import Database, open_database
    from infra.db.intraday_events import IntradayEvent, RecordedEvent
    from infra.db.ledger import Attestation, Entry, HeldAmount, Hold, Posting, PostingSummary
    from infra.db.parameters import KnownSet, NewSet, Wanted
    from infra.db.proposals import Approval, Proposal
    from infra.db.records import KnownRuleBook, KnownSnapshot
    from infra.db.runs import RunHandle, StepResult
    from infra.db.settlements import collateral_account, margin_account, settlement_account

# Resolved on first use: SQLAlchemy stays out of the start of a command.
_HOMES = {
    "Act": "call_actions",
    "Aged": "call_ageing",
    "Arrival": "call_actions",
    "CallRecord": "calls",
    "Done": "call_actions",
    "PledgedCollateral": "call_actions",
    "Approval": "proposals",
    "Attestation": "ledger",
    "ChainReport": "audit",
    "Database": "database",
    "Entry": "ledger",
    "HeldAmount": "ledger",
    "Hold": "ledger",
    "IntradayEvent": "intraday_events",
    "KnownRuleBook": "records",
    "KnownSet": "parameters",
    "KnownSnapshot": "records",
    "NewSet": "parameters",
    "Posting": "ledger",
    "PostingSummary": "ledger",
    "Proposal": "proposals",
    "RecordedEvent": "intraday_events",
    "RunHandle": "runs",
    "StepResult": "runs",
    "Wanted": "parameters",
    "call_id": "call_wanted",
    "collateral_account": "settlements",
    "margin_account": "settlements",
    "open_database": "database",
    "settlement_account": "settlements",
}

__all__ = [
    "Act",
    "Aged",
    "Approval",
    "Arrival",
    "Attestation",
    "CallRecord",
    "ChainReport",
    "Database",
    "Done",
    "Entry",
    "HeldAmount",
    "Hold",
    "IntradayEvent",
    "KnownRuleBook",
    "KnownSet",
    "KnownSnapshot",
    "NewSet",
    "PledgedCollateral",
    "Posting",
    "PostingSummary",
    "Proposal",
    "RecordedEvent",
    "RunHandle",
    "StepResult",
    "Wanted",
    "call_id",
    "collateral_account",
    "margin_account",
    "open_database",
    "settlement_account",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.db.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

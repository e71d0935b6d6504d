"""What the loop hands to its commit, and what it hears back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from infra.db.call_wanted import WantedCall
from infra.db.intraday_events import IntradayEvent
from infra.db.loop_lease import Lead


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    """A report to keep: ``(source, message_id)`` names it for ever."""

    source: str
    message_id: str
    kind: str
    body: Mapping[str, object]
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCall:
    """A call of the loop.

    Attributes
    ----------
    wanted : WantedCall
        As a close would issue it.
    replaces : str
        The open call that the decision knew of; empty for none. If another one is open by now,
        the call is not issued: the caller decides anew.
    client_id : str
    figures : mapping
        What the amount follows from: exact decimals as text.
    """

    wanted: WantedCall
    replaces: str
    client_id: str
    figures: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopDecision:
    """The decision that the calls of a commit belong to; see ``DecisionRow``."""

    run_id: str
    number: int
    decided_at: datetime
    marks: bytes
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBatch:
    """Everything of one commit."""

    lead: Lead
    run_id: str
    decision: LoopDecision | None = None
    calls: Sequence[LoopCall] = ()
    withdrawals: Mapping[str, str] = field(default_factory=dict)
    """Open calls to take back, and why."""
    messages: Sequence[InboxMessage] = ()
    events: Sequence[IntradayEvent] = ()
    tag: int = 0
    """The caller's own mark, to know the batch again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What a commit recorded.

    Attributes
    ----------
    issued : tuple of str
        Calls that went out.
    overtaken : tuple of str
        Netting sets whose open call was another one than the decision knew: decide anew.
    inbox_position : int
        The last report that is recorded.
    """

    issued: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    overtaken: tuple[str, ...] = ()
    inbox_position: int = 0
    n_events: int = 0

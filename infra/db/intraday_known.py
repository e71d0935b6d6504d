"""What the tables hold already, read in one go before a commit of the loop writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from infra.db.canonical import GENESIS
from infra.db.direct import Direct
from infra.db.intraday_batches import LoopBatch
from infra.db.intraday_events import IntradayEvent
from infra.db.tables import OPEN_CALL

_Query: TypeAlias = tuple[str, tuple[Any, ...]]
_LISTS: Final = ("intraday_inbox", "intraday_events")
_CHAINS: Final = ("intraday_decisions", "call_events", "audit")


@dataclass(slots=True)
class Heads:
    """Ends of the lists and chains that a commit adds to, moved on as it adds.

    Attributes
    ----------
    inbox, events : int
        Last positions.
    decisions, call_events, audit : (int, str)
        Last position of a chain, and its hash.
    """

    inbox: int
    events: int
    decisions: tuple[int, str]
    call_events: tuple[int, str]
    audit: tuple[int, str]

    @classmethod
    def read(cls, direct: Direct) -> Heads:
        """Return the ends as they are, by one statement."""
        lists = [f"(SELECT max(position) FROM {name})" for name in _LISTS]
        chains = [
            f"(SELECT {column} FROM {name} ORDER BY position DESC LIMIT 1)"
            for name in _CHAINS
            for column in ("position", "hash")
        ]
        inbox, events, *found = direct.rows(f"SELECT {', '.join([*lists, *chains])}")[0]
        heads = [
            (0, GENESIS) if position is None else (int(position), str(digest))
            for position, digest in zip(found[::2], found[1::2], strict=True)
        ]
        return cls(int(inbox or 0), int(events or 0), *heads)


@dataclass(frozen=True, slots=True)
class Known:
    """What of a batch is recorded already, and which calls are open where it calls."""

    messages: frozenset[tuple[str, str]]
    events: frozenset[str]
    decided: tuple[str, ...] | None
    """Calls of the decision if it is recorded."""
    open_calls: Mapping[tuple[str, str], str]


def known_of(direct: Direct, batch: LoopBatch, events: Mapping[str, IntradayEvent]) -> Known:
    """Return what of a batch is known; on PostgreSQL for one way to the server and back."""
    queries: dict[str, _Query] = {}
    if batch.messages:
        condition, ids = direct.among("message_id", [one.message_id for one in batch.messages])
        queries["messages"] = (
            f"SELECT source, message_id FROM intraday_inbox WHERE {condition}", (ids,),
        )  # fmt: skip
    if events:
        condition, ids = direct.among("event_id", list(events))
        queries["events"] = f"SELECT event_id FROM intraday_events WHERE {condition}", (ids,)
    decision = batch.decision
    if decision is not None:
        key = (decision.run_id, decision.number)
        sql = "SELECT 1 FROM intraday_decisions WHERE run_id = ? AND number = ?"
        queries["decided"] = sql, key
    if batch.calls:
        names = [one.wanted.call["netting_set_id"] for one in batch.calls]
        condition, ids = direct.among("netting_set_id", names)
        queries["open_calls"] = (
            "SELECT netting_set_id, margin_type, call_id FROM calls "
            f"WHERE {OPEN_CALL} AND {condition}",
            (ids,),
        )
    found = dict(zip(queries, direct.rows_of_many(list(queries.values())), strict=True))
    decided: tuple[str, ...] | None = None
    if decision is not None and found["decided"]:
        sql = "SELECT call_id FROM intraday_calls WHERE run_id = ? AND number = ? ORDER BY call_id"
        decided = tuple(str(row[0]) for row in direct.rows(sql, key))
    return Known(
        messages=frozenset((row[0], row[1]) for row in found.get("messages", ())),
        events=frozenset(row[0] for row in found.get("events", ())),
        decided=decided,
        open_calls={(row[0], row[1]): row[2] for row in found.get("open_calls", ())},
    )

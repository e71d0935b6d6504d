"""What the loop hands to its commit, as small as it may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pandas as pd

from infra.db import Database, IntradayEvent
from infra.db.call_wanted import wanted_calls
from infra.db.intraday_commits import InboxMessage, LoopBatch, LoopCall, LoopDecision
from infra.db.loop_lease import Lead
from infra.db.runs import RunHandle
from tests.integration.db.call_facts import with_terms
from tests.integration.db.facts import CLOSE, DAY, calls

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def lead(database: Database, holder: str = "one") -> Lead:
    return database.loop_leases.take("loop", holder, database.loop_leases.look("loop"))


def session(database: Database) -> RunHandle:
    """Return the loop's run, bound to a snapshot and a rule book."""
    run = database.runs.begin("intraday", DAY, {"close": "eod-1"}, "1.0")
    database.records.record_snapshot(run.run_id, "snapshot", DAY, CLOSE, {"marks": "00"})
    database.records.record_rule_book(run.run_id, "rules-1", date(2019, 1, 1), "file", "text")
    return database.runs.get(run.run_id)


def batch(
    database: Database,
    leader: Lead,
    amounts: dict[str, str],
    number: int = 1,
    replaces: dict[str, str] | None = None,
) -> LoopBatch:
    run = replace(session(database), sequence=1_000_000 + number)
    rows = with_terms(calls(amounts)) if amounts else pd.DataFrame()
    wanted = wanted_calls(rows, run) if amounts else []
    return LoopBatch(
        lead=leader,
        run_id=run.run_id,
        decision=LoopDecision(
            run_id=run.run_id, number=number, decided_at=NOW, marks=b"\x01\x02", facts={}
        ),
        calls=[
            LoopCall(
                wanted=one,
                replaces=(replaces or {}).get(one.call["netting_set_id"], ""),
                client_id="C-1",
                figures={"owed": "100.25"},
            )
            for one in wanted
        ],
        events=[event(number, name) for name in amounts],
    )


def event(number: int, name: str) -> IntradayEvent:
    return IntradayEvent(
        kind="breach",
        resource=f"plimsoll.netting-set.{name}",
        subject=str(number),
        occurred_at=NOW,
    )


def message(number: int, source: str = "okx/a") -> InboxMessage:
    return InboxMessage(
        source=source,
        message_id=f"m-{number}",
        kind="position",
        body={"quantity": "1"},
        received_at=NOW,
    )

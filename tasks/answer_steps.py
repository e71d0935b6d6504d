"""Answer events of the loop: find done what is done, do what is missing, show all of it.

The loop has decided within milliseconds and does not wait for this. What a step achieves is in our
database; the same events again find the same run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from infra.intraday.restarting import open_amounts
from infra.report.amounts import exact
from tasks import artifacts
from tasks.answer_decisions import call_rows, decisions, still_missing
from tasks.answer_transfers import calls_of
from tasks.answering import (
    Moment,
    affected,
    base_of,
    book_now,
    events_of,
    grounds_of,
    moment_of,
    run_of,
)
from tasks.intraday import StoredBases
from tasks.records import facts_of, run_folder
from tasks.run_names import name_flow_run
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db.intraday_events import RecordedEvent
    from infra.intraday.base import Base

_ROWS_MAX: Final = 50
_ACTIONS: Final = {
    "none": "nothing is missing",
    "call": "call",
    "approval": "a person decides: the agreement says so",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The run that answers a moment, and the netting sets that it concerns."""

    run_id: str
    netting_sets: tuple[str, ...]
    is_finished: bool


@task(name="cause", cache_policy=NO_CACHE)
def begin_answer(event: Mapping[str, Any]) -> Answer:
    """Return the run that answers the events that ``event`` names, and show what they say."""
    place = workplace()
    moment = moment_of(event)
    events = events_of(place, moment)
    run = run_of(place, moment)
    netting_sets = affected(events, base_of(place, grounds_of(place, events)))
    name_flow_run(f"{moment.kind}: {_subjects(events)}")
    artifacts.show_markdown("cause", _cause(moment, events, run.run_id), "What happened")
    state = "answered before" if run.is_finished else "to be answered"
    get_run_logger().info(
        "%s: %d events, %d netting sets, %s", run.run_id, len(events), len(netting_sets), state
    )
    return Answer(run.run_id, tuple(netting_sets), run.is_finished)


@step("recompute")
def recompute(run_id: str) -> None:
    """Margin the affected netting sets on the present book, and decide what is to be called."""
    facts = achieve(run_id, "recompute", lambda place: _recompute(place, run_id))
    decided = workplace().store.read_frame(_path(run_id), content_hash=facts["hash"])
    artifacts.show_markdown(
        "snapshot",
        "| | |\n|---|---|\n"
        f"| snapshot | `{facts['snapshot_id']}` |\n"
        f"| loop | {facts['loop_run_id'] or 'none: the book of the close'} |\n"
        f"| as of | {facts['as_of']} |\n| state | `{facts['state_hash']}` |\n"
        f"| rule book | `{facts['rule_book_hash']}` |\n",
        "What the decision rests on",
    )
    artifacts.show_table(
        "decision",
        _shown(decided),
        f"{len(decided):,} netting sets margined again: {facts['called']:,} calls are missing, "
        f"{facts['waiting']:,} wait for a person by their agreement.",
        len(decided),
    )


@step("call")
def call_missing(run_id: str) -> None:
    """Issue what is missing; what the loop has called meanwhile is found done."""
    facts = achieve(run_id, "call", lambda place: _call(place, run_id))
    found = calls_of(run_id)
    artifacts.show_table(
        "call",
        [
            {
                "netting set": str(row["netting_set_id"]),
                "call": str(row["call_id"]),
                "amount": f"{exact(row['amount'])} {row['currency']}",
                "state": str(row["state"]),
                "due": f"{row['first_due_at']:%Y-%m-%d %H:%M}Z",
                "made by": "this run" if row["run_id"] == run_id else str(row["run_id"]),
            }
            for row in found[: artifacts.ROWS_MAX]
        ],
        f"{len(found):,} calls of the netting sets, open or paid since: {facts['issued']:,} issued "
        "by this run, "
        f"{facts['found_done']:,} called meanwhile by others.",
        len(found),
    )


@task(name="finish-answer", cache_policy=NO_CACHE)
def finish_answer(run_id: str) -> None:
    """Record that the moment is answered."""
    call, decided = facts_of(run_id, "call"), facts_of(run_id, "recompute")
    summary = {
        "netting_sets": len(decided["netting_sets"]),
        "issued": call["issued"],
        "found_done": call["found_done"],
        "waiting": decided["waiting"],
    }
    workplace().database.runs.finish(run_id, "completed", summary)


def _recompute(place: Workplace, run_id: str) -> Achievement:
    run = place.database.runs.get(run_id)
    moment = moment_of(run.inputs)
    events = events_of(place, moment)
    grounds = grounds_of(place, events)
    base = base_of(place, grounds)
    _bind(place, run_id, base)
    book = book_now(place.database, base, grounds.loop_run_id)
    open_now = open_amounts(place.database.intraday_journal.open_calls())
    frame = decisions(run, base, book, affected(events, base), open_now)
    written = place.store.write_frame(_path(run_id), frame)
    facts = {
        "netting_sets": list(frame["netting_set_id"]),
        "close_id": grounds.close_id,
        "loop_run_id": grounds.loop_run_id or "",
        "snapshot_id": str(base.snapshot.snapshot_id),
        "rule_book_hash": base.rules.rule_book_hash,
        "as_of": book.as_of.isoformat(),
        "state_hash": book.state_hash(),
        "called": int((frame["action"] == "call").sum()),
        "waiting": int((frame["action"] == "approval").sum()),
        "hash": written,
    }
    return Achievement(facts, written)


def _bind(place: Workplace, run_id: str, base: Base) -> None:
    """Bind the run to the close's snapshot and rules, on which the loop's prices come on top."""
    records, snapshot = place.database.records, base.snapshot
    records.record_snapshot(
        run_id, snapshot.snapshot_id, snapshot.business_date, snapshot.as_of, base.content_hashes
    )
    effective_date, source, content = base.rule_book
    records.record_rule_book(run_id, base.rules.rule_book_hash, effective_date, source, content)


def _call(place: Workplace, run_id: str) -> Achievement:
    facts = facts_of(run_id, "recompute")
    decided = place.store.read_frame(_path(run_id), content_hash=facts["hash"])
    missing = decided[decided["action"] == "call"]
    issued = place.database.calls.of_run(run_id)
    if issued.empty and len(missing):
        due = still_missing(missing, open_amounts(place.database.intraday_journal.open_calls()))
        if len(due):
            rules = StoredBases(place).load(facts["close_id"]).rules
            issued = place.database.calls.issue(run_id, call_rows(due, rules.agreements))
    result = {"issued": len(issued), "found_done": len(missing) - len(issued)}
    digest = hashlib.sha256("\0".join(sorted(issued["call_id"])).encode()).hexdigest()
    return Achievement(result, digest)


def _path(run_id: str) -> str:
    return f"{run_folder(run_id)}/decisions.parquet"


def _subjects(events: Sequence[RecordedEvent]) -> str:
    names = list(dict.fromkeys(event.resource.split(".", 2)[-1] for event in events))
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _cause(moment: Moment, events: Sequence[RecordedEvent], run_id: str) -> str:
    """Return the page of the cause; texts of others stand as code, so that they stay text."""
    lines = [
        f"# {moment.kind}: {len(events):,} events",
        "",
        f"Run `{run_id}` answers events {moment.first_position} to {moment.last_position} of our "
        "record.",
        "",
        "| when | about | level | cause | short | why |",
        "|---|---|---|---|---|---|",
    ]
    for event in events[:_ROWS_MAX]:
        said = event.payload
        short = f"{said.get('shortfall', '')} {said.get('currency', '')}".strip()
        cells = (
            f"{event.occurred_at:%Y-%m-%d %H:%M:%S}Z", event.resource, said.get("level", ""),
            said.get("cause", ""), short, said.get("reason", ""),
        )  # fmt: skip
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if len(events) > _ROWS_MAX:
        lines.append(f"\nand {len(events) - _ROWS_MAX:,} more; `plimsoll alerts list` has them.")
    return "\n".join(lines)


def _cell(text: str) -> str:
    plain = "".join(c if c.isprintable() and c not in "`|<>" else " " for c in text)
    return f"`{plain[:200]}`" if plain.strip() else ""


def _shown(decided: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "netting set": row["netting_set_id"],
            "client": row["client_id"],
            "owed": f"{row['owed']:,.2f} {row['currency']}",
            "cover": f"{row['cover']:,.2f}",
            "status": row["status"],
            "missing": f"{exact(Decimal(row['amount']))}" if row["amount"] else "",
            "what": _ACTIONS[row["action"]],
        }
        for row in decided.head(artifacts.ROWS_MAX).to_dict("records")
    ]

"""Runs and calls as people list them, and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.report.amounts import exact
from tasks.kinds import KIND
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {"completed": "green", "incomplete": "yellow", "failed": "bold red", "running": "cyan"}


def runs_as_json(limit: int) -> list[dict[str, Any]]:
    """Return the latest runs, newest first."""
    database = workplace().database
    database.check_schema()
    return [
        {
            "run_id": run.run_id,
            "business_date": run.business_date.isoformat(),
            "sequence": run.sequence,
            "status": run.status,
            "started_at": run.started_at.isoformat(),
            "finished_at": run.finished_at.isoformat() if run.finished_at else None,
            "supersedes": run.supersedes,
            "inputs": dict(run.inputs),
            "summary": dict(run.summary or {}),
        }
        for run in database.runs.list(limit=limit, kind=KIND)
    ]


def runs_table(runs: list[dict[str, Any]]) -> Table:
    """Return ``runs_as_json`` as a table."""
    table = _table("Runs", "Run", "Status", "Netting sets", "Failed", "Calls", "Finished, UTC", "")
    for run in runs:
        summary = run["summary"]
        style = _STYLES.get(run["status"], "")
        table.add_row(
            run["run_id"],
            f"[{style}]{run['status']}[/]" if style else run["status"],
            str(summary.get("netting_sets", "")),
            str(len(summary.get("failed", []))) if "failed" in summary else "",
            str(summary.get("calls", "")),
            (run["finished_at"] or "")[:16].replace("T", " "),
            str(summary.get("reason", "")),
        )
    return table


def calls_as_json() -> list[dict[str, Any]]:
    """Return all open calls, the one that is due first leading."""
    database = workplace().database
    database.check_schema()
    calls = database.calls.open_calls()
    return [{str(key): _plain(value) for key, value in row.items()} for row in _records(calls)]


def calls_table(calls: list[dict[str, Any]]) -> Table:
    """Return ``calls_as_json`` as a table."""
    heads = ("Netting set", "Direction", "Amount", "Currency", "State", "Due, UTC", "Call")
    table = _table("Open calls", *heads)
    from decimal import Decimal

    for call in calls:
        table.add_row(
            call["netting_set_id"],
            call["direction"],
            exact(Decimal(call["amount"])),
            call["currency"],
            call["state"],
            str(call["first_due_at"])[:16].replace("T", " "),
            call["call_id"],
        )
    return table


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        is_number = head in ("Amount", "Netting sets", "Failed", "Calls")
        table.add_column(head, justify="right" if is_number else "left")
    return table


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) else str(value)

"""Runs as people list them, and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        is_number = head in ("Netting sets", "Failed", "Calls")
        table.add_column(head, justify="right" if is_number else "left")
    return table

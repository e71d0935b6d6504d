"""Tables of the command line that belong to no run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.serving import NextRun

if TYPE_CHECKING:
    from rich.table import Table


def next_runs_table(runs: Sequence[NextRun]) -> Table:
    """Return the next run of every deployment."""
    table = _table("Next runs", "Deployment", "Starts, UTC")
    for run in runs:
        table.add_row(run.name, f"{run.expected_start:%Y-%m-%d %H:%M}")
    return table


def calculation_table(calculation: dict[str, Any]) -> Table:
    """Return the fields of one calculation."""
    heads = ("Field", "Type", "Default", "Limits", "Meaning")
    table = _table(f"{calculation['name']}: {calculation['summary']}", *heads)
    for field in calculation["fields"]:
        names = ("name", "type_name", "default", "limits", "meaning")
        table.add_row(*(str(field[name]) for name in names))
    return table


def scorecard_table(run_id: str, rows: Sequence[dict[str, str]]) -> Table:
    """Return the counts of a back-test, a row per book."""
    heads = [key.capitalize() for key in rows[0]] if rows else ["Book"]
    table = _table(f"{run_id}: losses against margin at 99 %", *heads)
    for row in rows:
        table.add_row(*row.values())
    return table


def alerts_table(found: Sequence[dict[str, Any]]) -> Table:
    """Return alerts, a row each."""
    table = _table("Alerts", "Alert", "Told, UTC", "Title", "Taken up by")
    for one in found:
        told = str(one["told_at"])[:16].replace("T", " ")
        table.add_row(one["alert_id"][:8], told, _literal(one["title"]), one["acknowledged_by"])
    return table


def plain_table(title: str, rows: Sequence[dict[str, str]]) -> Table:
    """Return rows that all have the same keys."""
    table = _table(title, *(key.capitalize() for key in rows[0]))
    for row in rows:
        table.add_row(*(_literal(value) for value in row.values()))
    return table


def _literal(text: str) -> str:
    """Return text of others as it is: what stands in brackets is no style."""
    from rich.markup import escape

    return escape(text)


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table

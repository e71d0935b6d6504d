"""Breaks for people: open ones, what was seen of one, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.db.bulk import as_text
from tasks.principals import principal
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType


def open_breaks() -> list[dict[str, Any]]:
    """Return open breaks, oldest first, with the facts as they were last seen."""
    database = workplace().database
    database.prepare()
    frame = database.breaks.open_breaks(database.clock().date())
    return [
        {
            str(name): value if isinstance(value, int) else as_text(value)
            for name, value in row.items()
        }
        for row in frame.to_dict(orient="records")
    ]


def breaks_view(rows: list[dict[str, Any]]) -> RenderableType:
    """Return the open breaks for people."""
    shown = [
        {
            "Break": row["break_id"],
            "Age": f"{row['age_days']} d",
            "Scope": row.get("scope", ""),
            "Kind": str(row.get("kind", "")).replace("_", " "),
            "Where": row.get("account_id", ""),
            "Item": row.get("item", ""),
            "Owner": row["owner"],
            "Why": row.get("why", ""),
        }
        for row in rows
    ]
    return _table(f"Open breaks: {len(rows):,}", shown) if shown else "No break is open."


def history(break_id: str) -> list[dict[str, str]]:
    """Return what was seen of a break, in order."""
    frame = workplace().database.breaks.history(break_id)
    return [
        {str(name): as_text(value) for name, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def history_view(break_id: str, rows: list[dict[str, str]]) -> RenderableType:
    """Return the history of a break for people."""
    return _table(break_id, rows)


def assign(break_id: str, owner: str) -> None:
    """Give an open break to another owner."""
    workplace().database.breaks.assign(break_id, owner)


def accept(break_id: str, reason: str) -> None:
    """Accept a difference as it is, in the name of whoever acts."""
    workplace().database.break_acceptances.accept(break_id, principal(), reason)


def _table(title: str, rows: list[dict[str, str]]) -> RenderableType:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table

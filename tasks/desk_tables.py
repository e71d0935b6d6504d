"""Tables of what both desks let leave, for people; whoever wants every field takes JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.table import Table

    from infra.outbound import Worked

_COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("proposed", "approved"), "yellow"),
    **dict.fromkeys(("new", "done", "open", "working"), "cyan"),
    **dict.fromkeys(("credited", "reconciled", "restored", "filled"), "green"),
    **dict.fromkeys(("rejected", "stopped", "refused"), "red"),
    **dict.fromkeys(("stuck", "insufficient"), "bold red"),
    **dict.fromkeys(("shadow", "expired", "not_sent", "not_executed"), "dim"),
    "unknown": "bold magenta",
    "stopping": "magenta",
}


def coloured(state: str, cancelled: str = "dim") -> str:
    """Return a state in its colour; a transfer that is cancelled did nothing, an order may have."""
    colour = cancelled if state == "cancelled" else _COLOURS[state]
    return f"[{colour}]{state}[/]"


def instant(moment: Any) -> str:
    """Return an instant to the second, nothing where there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def table(title: str, *heads: str) -> Table:
    """Return an empty table."""
    from rich import box
    from rich.table import Table

    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        found.add_column(head, overflow="fold")
    return found


def facts_table(title: str, rows: Iterable[tuple[str, object]]) -> Table:
    """Return what is known of one record; what is empty is left out."""
    facts = table(title, "Fact", "Value")
    for name, value in rows:
        if str(value).strip(" ·"):
            facts.add_row(name, str(value))
    return facts


def worked_table(title: str, found: Worked) -> Table:
    """Return what a round of a desk has done."""
    worked = table(title, "Key", "Result", "What")
    for result, rows in (("moved", found.moved), ("waits", found.waiting)):
        for key, sentence in rows.items():
            worked.add_row(key[:12], result, sentence)
    return worked

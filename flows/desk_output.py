"""What the commands of both desks show: records, lists and rounds, for people or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tasks.transfers import Worked

PANEL = "Transfers"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded with your name.")]
Compared = Annotated[str, typer.Option(help="What you have compared; recorded.")]
RestsOn = Annotated[str, typer.Option(help="What the decision rests on; recorded.")]


def group(help_text: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="markdown")


def show_list(
    found: Sequence[Any],
    as_json: bool,
    to_json: Callable[[Any], dict[str, Any]],
    table: Callable[[Any], RenderableType],
    empty: str,
) -> None:
    """Show records in a table, or say that there are none."""
    from flows.terminal import show, show_json, tell

    if as_json:
        show_json([to_json(one) for one in found])
    elif found:
        show(table(found))
    else:
        tell(empty)


def show_record(
    record: Any, as_json: bool, to_json: Callable[[Any], dict[str, Any]], group_name: str
) -> None:
    """Show where a record stands, and what somebody else does next."""
    from flows.terminal import show_json, tell

    if as_json:
        show_json(to_json(record))
        return
    note = f": {record.note}" if record.note else ""
    noun = "transfer" if group_name == "transfers" else "reduction"
    tell(f"{noun} {record.key} is {record.state}{note}")
    if record.state == "proposed":
        short, digest = record.key[:12], record.payload_hash[:16]
        tell(f"next, by somebody else: `plimsoll {group_name} approve {short} --hash {digest}`")


def show_worked(title: str, found: Worked, as_json: bool) -> None:
    """Show what a round has done."""
    from dataclasses import asdict

    from flows.terminal import show, show_json, tell
    from tasks.desk_tables import worked_table

    if as_json:
        show_json(asdict(found))
    elif found.moved or found.waiting:
        show(worked_table(title, found))
    else:
        tell("nothing is due")

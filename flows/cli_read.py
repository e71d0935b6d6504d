"""Commands that read: explain, runs."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Read"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(explain)
    app.command(rich_help_panel=_PANEL)(runs)


def explain(
    netting_set: Annotated[str, typer.Argument(help="Netting set to explain.")],
    run: Annotated[
        str | None, typer.Option(help="Run; the finished one of the latest date if empty.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why a netting set owes what it owes: components, scenarios, positions, parameters.

    Examples:

        plimsoll explain NS-0001

        plimsoll explain NS-0001 --run eod-2026-11-20-1 --json
    """
    from flows.terminal import show, show_json
    from tasks.overview import explained, explained_as_json

    if as_json:
        show_json(explained_as_json(netting_set, run))
    else:
        show(explained(netting_set, run))


def runs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List runs with their outcome, newest first.

    Examples:

        plimsoll runs --limit 5
    """
    from flows.terminal import show, show_json
    from tasks.listing import runs_as_json, runs_table

    found = runs_as_json(limit)
    show_json(found) if as_json else show(runs_table(found))

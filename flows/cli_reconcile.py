"""The command that compares the ledger with the connected venues."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exit_codes import ExitCode

_PANEL = "Transfers"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(rich_help_panel=_PANEL)(reconcile)


def reconcile(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Compare what the ledger says with what every connected venue holds, now.

    Venues' own lines (profit, funding, fees) are booked on the way, each once. Transfers under way
    explain what they explain to the last digit; everything else is a break with its owner. Ends
    with 9 if a break is open.

    Examples:

        plimsoll reconcile

        plimsoll reconcile --json
    """
    from flows.terminal import show, show_json
    from tasks.reconcile_now import reconcile_once, reconciled_json, reconciled_view

    found = reconcile_once()
    show_json(reconciled_json(found)) if as_json else show(reconciled_view(found))
    if found.n_open:
        raise typer.Exit(ExitCode.DIFFERENT)

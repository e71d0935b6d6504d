"""The command that plans a reduction."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exit_codes import ExitCode

_PANEL = "Compute"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(rich_help_panel=_PANEL)(reduce)


def reduce(
    netting_set: Annotated[str, typer.Argument(help="Netting set whose ratio is to be restored.")],
    ratio: Annotated[
        float | None,
        typer.Option(help="What is owed over collateral value to restore; 0.95 if empty."),
    ] = None,
    hedge: Annotated[
        list[str] | None,
        typer.Option(help="Instrument in which a hedge may be opened; may be repeated."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run; the finished one of the latest date if empty.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Plan reduce-only orders at least cost, and show what the venues would do if nobody acts.

    A shadow plan: nothing is sent. No order makes a position larger or turns it round; a hedge is
    opened only in instruments that you name. Ends with 6 if no plan restores the ratio.

    Examples:

        plimsoll reduce NS-0001

        plimsoll reduce NS-0001 --ratio 0.8 --hedge binance:BTCUSDT --json
    """
    from flows.terminal import progress_shown, show, show_json
    from tasks.reduction import planned, shown, shown_as_json

    if as_json:
        found = planned(netting_set, run, ratio, hedge or [])
        show_json(shown_as_json(found))
    else:
        with progress_shown():
            found = planned(netting_set, run, ratio, hedge or [])
        show(shown(found))
    if found.plan.status == "insufficient":
        raise typer.Exit(ExitCode.INCOMPLETE)

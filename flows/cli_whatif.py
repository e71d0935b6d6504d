"""The command that asks what an order or a transfer would do."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from flows.exit_codes import ExitCode

_PANEL = "Compute"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(rich_help_panel=_PANEL)(whatif)


def whatif(
    netting_set: Annotated[str, typer.Argument(help="Netting set that would trade.")],
    order: Annotated[
        list[str] | None,
        typer.Option(help="buy|sell QUANTITY INSTRUMENT [at PRICE] [in ACCOUNT]; may be repeated."),
    ] = None,
    transfer: Annotated[
        list[str] | None,
        typer.Option(
            help="QUANTITY ASSET in|out [at LOCATION], or QUANTITY ASSET from PLACE to PLACE; may "
            "be repeated."
        ),
    ] = None,
    candidates: Annotated[
        Path | None,
        typer.Option(help="CSV or JSON Lines of many: columns what and, for baskets, candidate."),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Ask orders and transfers one at a time, not together.")
    ] = False,
    run: Annotated[
        str | None, typer.Option(help="Run; the finished one of the latest date if empty.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Say what an order or a transfer would do: margin before and after, and the call to follow.

    Rests on the frozen snapshot of a closed run. Orders count as filled, transfers as settled.
    Figures are those of a full assessment with the candidate in the book. What rests on a stale
    price, a missing parameter or an open break is refused, never guessed.

    Ends with 3 if nothing could be answered, and 6 if some candidates were refused.

    Examples:

        plimsoll whatif NS-0001 --order "buy 10 deribit:BTC-27MAR26-60000-C at 0.05"

        plimsoll whatif NS-0001 --order "sell 2 binance:BTCUSDT" --transfer "500000 USDT in"

        plimsoll whatif NS-0001 --each --order "buy 2 okx:BTC-USDT" --order "buy 2 binance:BTCUSDT"

        plimsoll whatif NS-0001 --candidates ideas.csv --json
    """
    from flows.terminal import progress_shown, show, show_json
    from tasks.whatif import answered, answered_as_json, ask, candidates_from

    asked = candidates_from(order or [], transfer or [], candidates, each_alone=each)
    # One answer comes faster than a bar is read; many are told about as they come.
    with progress_shown() if candidates is not None else nullcontext():
        found = ask(netting_set, asked, run)
    show_json(answered_as_json(found)) if as_json else show(answered(found))
    if found.n_refused:
        is_whole = found.n_refused == len(found.candidates)
        raise typer.Exit(ExitCode.INPUT if is_whole else ExitCode.INCOMPLETE)

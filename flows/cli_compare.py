"""The command that margins one book by several rules: compare."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Study"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(rich_help_panel=_PANEL)(compare)


def compare(
    netting_set: Annotated[
        str | None, typer.Argument(help="Netting set of a run; a generated book if empty.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run; the finished one of the latest date if empty.")
    ] = None,
    venue: Annotated[
        list[str] | None,
        typer.Option(help="Venue whose rules are applied; deribit, okx and bybit if empty."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option(help="Folder or database URL of market data, for a generated book."),
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="UTC date of the generated book."),
    ] = None,
    positions: Annotated[
        int, typer.Option(min=1, max=20_000, help="Size of the generated book.")
    ] = 500,
    out: Annotated[
        Path | None, typer.Option(help="Page to write; below the home's comparisons if empty.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Margin the same book by the house's rules and by several venues', on one page.

    The book keeps its contracts and prices; each venue's margin modes are applied to it as if all
    of it were held there. The page shows the margins side by side, every scenario, what each
    margin is made of, and the parameters with their sources.

    Examples:

        plimsoll compare --market ../history --date 2026-02-05 --positions 500

        plimsoll compare NS-0001 --venue okx --venue bybit

        plimsoll compare NS-0001 --run eod-2026-11-20-1 --out page.html
    """
    from flows.terminal import progress_shown, show, show_json, tell
    from tasks.compare import (
        VENUES_DEFAULT,
        compare_generated,
        compare_netting_set,
        comparison_as_json,
        comparison_view,
        default_file,
        write_comparison,
    )

    if netting_set is None and run is not None:
        raise typer.BadParameter("--run needs a netting set")
    if netting_set is not None and (market is not None or date is not None):
        raise typer.BadParameter("a netting set brings its own market and date")
    venues = tuple(venue or VENUES_DEFAULT)
    with nullcontext() if as_json else progress_shown():
        if netting_set is not None:
            found = compare_netting_set(netting_set, run, venues)
        else:
            found = compare_generated(date.date() if date else None, market, venues, positions)
        file = out or default_file(found)
        write_comparison(found, file)
    if as_json:
        show_json(comparison_as_json(found))
    else:
        show(comparison_view(found))
        tell(f"page      {file.absolute().as_uri()}")

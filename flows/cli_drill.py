"""The command that plays a crash day again: with the platform at work, and without it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Study"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(rich_help_panel=_PANEL)(drill)


def drill(
    day: Annotated[
        str, typer.Argument(help="2025-10-10 or 2020-03-12; a crash that is made up without it.")
    ] = "",
    bars: Annotated[
        Path | None, typer.Option(help="Folder with bars of the day, Parquet or CSV.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Where the page is written; below the home without it.")
    ] = None,
    step: Annotated[
        float, typer.Option(help="Seconds of the day between two looks, 25 at most.")
    ] = 20.0,
    approval: Annotated[
        float, typer.Option(min=0.0, help="Minutes of the day until people approve a transfer.")
    ] = 2.0,
    confirmation: Annotated[
        float, typer.Option(min=0.0, help="Seconds of the day until the chain confirms.")
    ] = 300.0,
    minutes: Annotated[
        int, typer.Option(min=10, max=600, help="Length of a crash that is made up.")
    ] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Play a crash day through simulated venues: what is called, moved, and liquidated without.

    Five made-up clients hold leveraged positions at three venues that speak their real protocols on
    loopback. The loop follows them, calls, and collateral is paid through planner, approvals and
    transfer desk; a venue vanishes around the bottom and a stablecoin loses its peg. Then the same
    accounts live through the same prices with nobody calling. Prices are real where --bars has
    them; all else is made up, and said so on the page.

    Bars are files with the columns ts_utc, asset, open, high, low and close, from 00:00 UTC of the
    day on, of BTC and ETH at least; daily closes for the scenarios are in a price history beside
    them. Nothing leaves this machine, and no state but the drill's own folder below the home is
    touched. A day takes minutes.

    Examples:

        plimsoll drill

        plimsoll drill 2025-10-10 --bars /srv/history

        plimsoll drill 2020-03-12 --bars /srv/history --approval 10 --page crash.html
    """
    from flows.terminal import progress_shown, show, show_json, tell
    from tasks.drill import Wish, tables_shown
    from tasks.drill import as_json as drilled_json
    from tasks.drill import drill as work

    wish = Wish(
        day=day, bars=bars, page=page, step_seconds=step, approval_minutes=approval,
        confirmation_seconds=confirmation, minutes=minutes,
    )  # fmt: skip
    with progress_shown():
        drilled = work(wish)
    if as_json:
        show_json(drilled_json(drilled))
        return
    for shown in tables_shown(drilled.played):
        show(shown)
    tell(f"page  {drilled.page}")

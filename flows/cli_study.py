"""Commands that study the model: backtest."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from typing import Annotated

import typer

_PANEL = "Study"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(backtest)


def backtest(
    assets: Annotated[
        str,
        typer.Option(help="Assets of the books, separated by commas; a standard list if empty."),
    ] = "",
    market: Annotated[
        str | None, typer.Option(help="Folder or database URL with price_history.")
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First date; the first testable one if empty."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last date; the last one with data if empty."),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Look for a better filter on data up to end of 2023.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Local Dask workers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Margin books of every kind on every day of history and judge the model by what was lost.

    Each day sees prices up to its own close alone. Writes a scorecard: coverage by asset, portfolio
    and regime, a stress library, procyclicality with each tool on and off, and sensitivity to
    each parameter. Fifteen years of thirteen assets take some minutes on two cores.

    Examples:

        plimsoll backtest --market ../history

        plimsoll backtest --market ../history --assets BTC,ETH,SOL --first 2022-01-01 --json

        plimsoll backtest --market ../history --tune
    """
    from flows.tables import scorecard_table
    from flows.terminal import progress_shown, show, show_json, tell
    from tasks.scorecard import scorecard_figures, scorecard_places, scorecard_rows
    from tasks.session import prefect_session
    from tasks.workplace import use_workers, workplace

    use_workers(workers, None)
    with nullcontext() if as_json else progress_shown(), prefect_session(workplace().settings):
        from flows.backtest import backtest as backtest_flow

        run_id = backtest_flow(
            market,
            assets,
            first.date() if first else None,
            last.date() if last else None,
            tune,
        )
    if as_json:
        show_json(
            {
                "run_id": run_id,
                "figures": scorecard_figures(run_id),
                "places": scorecard_places(run_id),
            }
        )
        return
    show(scorecard_table(run_id, scorecard_rows(run_id)))
    for name, url in scorecard_places(run_id).items():
        tell(f"{name:<10}{url}")

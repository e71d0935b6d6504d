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
    assets: Annotated[str, typer.Option(help="Assets of the book, separated by commas.")] = (
        "BTC,ETH"
    ),
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
    workers: Annotated[int | None, typer.Option(min=1, help="Local Dask workers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Margin equal-notional books on every day of history and count the days that lost more.

    Each day sees prices up to its own close alone. Fifteen years of daily history take some
    minutes on two cores.

    Examples:

        plimsoll backtest --market ../history --assets BTC,ETH,SOL

        plimsoll backtest --first 2022-01-01 --last 2022-12-31 --json
    """
    from flows.tables import scorecard_table
    from flows.terminal import progress_shown, show, show_json, tell
    from tasks.scorecard import scorecard_places, scorecard_rows
    from tasks.session import prefect_session
    from tasks.workplace import use_workers, workplace

    use_workers(workers, None)
    with nullcontext() if as_json else progress_shown(), prefect_session(workplace().settings):
        from flows.backtest import backtest as backtest_flow

        run_id = backtest_flow(
            market, assets, first.date() if first else None, last.date() if last else None
        )
    if as_json:
        show_json(
            {
                "run_id": run_id,
                "books": scorecard_rows(run_id),
                "places": scorecard_places(run_id),
            }
        )
        return
    show(scorecard_table(run_id, scorecard_rows(run_id)))
    for name, url in scorecard_places(run_id).items():
        tell(f"{name:<10}{url}")

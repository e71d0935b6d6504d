"""Commands that keep the service alive: serve, doctor, deadman, db."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Operate"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(serve)
    app.command(rich_help_panel=_PANEL)(doctor)
    app.command(rich_help_panel=_PANEL)(deadman)
    database = typer.Typer(help="The database of business facts.", no_args_is_help=True)
    database.command("upgrade")(upgrade)
    database.command("backup")(backup)
    app.add_typer(database, name="db", rich_help_panel=_PANEL)


def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; others than loopback need PLIMSOLL_PREFECT_AUTH."),
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 4200 if empty, 0 for any.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Local Dask workers.")] = None,
    web_host: Annotated[
        str | None,
        typer.Option(help="Address of the dashboard; others than loopback need TLS."),
    ] = None,
    web_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the dashboard; 4280 if empty, 0 for any."),
    ] = None,
    web: Annotated[
        bool, typer.Option(help="The dashboard too; without it, `plimsoll web` serves it alone.")
    ] = True,
    intraday: Annotated[
        bool, typer.Option(help="The intraday loop too, where venues are connected.")
    ] = True,
) -> None:
    """Run the Prefect server, the scheduled closes, the loop and the dashboard until Ctrl-C.

    Schedules survive a restart. Dates that were due meanwhile are closed at the start.

    Examples:

        plimsoll serve

        PLIMSOLL_MARKET=/data/market plimsoll serve --port 4300 --workers 8
    """
    from flows.terminal import show, tell, tell_plainly
    from tasks.intraday import loop_beside
    from tasks.serving import run_deployments, served
    from tasks.web import web_beside
    from tasks.workplace import use_workers

    use_workers(workers)
    with served(host, port) as place:
        from flows.serve import Watch, deployments, missed
        from flows.tables import next_runs_table

        tell(f"pages     {place.ui_url}\napi       {place.api_url}\ndask      {place.dask_address}")
        pages = web_beside(web_host, web_port, tell_plainly) if web else nullcontext("elsewhere")
        loop = loop_beside(tell_plainly) if intraday else nullcontext()
        with pages as address, loop, Watch(tell_plainly).expecting() as watch:
            tell(f"dashboard {address}")
            run_deployments(
                deployments(),
                missed(tell),
                lambda found: show(next_runs_table(found)),
                watch.look,
            )


def doctor(as_json: Json = False) -> None:
    """Check versions, database, audit chain, Prefect, schedules and the last close.

    Examples:

        plimsoll doctor

        plimsoll doctor --json
    """
    from flows.exit_codes import exit_code_of
    from flows.terminal import show, show_json
    from tasks.doctor import examine, findings_table, worst_failure

    findings = examine()
    if as_json:
        show_json([found.as_json() for found in findings])
    else:
        show(findings_table(findings))
    worst = worst_failure(findings)
    if worst is not None:
        raise typer.Exit(exit_code_of(worst))


def deadman(
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Date that must be closed; the one due if empty."),
    ] = None,
    grace_minutes: Annotated[
        int, typer.Option(min=0, help="How long after midnight UTC a date may still be open.")
    ] = 60,
) -> None:
    """Complain loudly unless the date that is due has been closed. Asks our database alone.

    Put it into the cron of another machine: it fails with exit code 8 (missing, unfinished or
    failed) or 6 (netting sets failed). Without --date it records what it misses as events, and
    fails with 8 too if the service or one of its rounds has fallen silent.

    Examples:

        plimsoll deadman

        plimsoll deadman --date 2026-11-20
    """
    from flows.terminal import tell
    from tasks.deadman import due_date, require_closed, require_signs_of_life

    if date is None:
        require_signs_of_life()
    due = require_closed(date.date() if date else due_date(grace_minutes))
    tell(f"{due.business_date} is closed by {due.run.run_id}")


def upgrade() -> None:
    """Create the database, or run the migrations that it lacks.

    Examples:

        plimsoll db upgrade
    """
    from flows.terminal import tell
    from tasks.workplace import workplace

    database = workplace().database
    tell(f"{database.label} is at schema {database.upgrade()}")


def backup(
    target: Annotated[Path, typer.Argument(help="File to write; it must not be there yet.")],
) -> None:
    """Copy the embedded database as it is at one instant, while others go on working.

    Examples:

        plimsoll db backup /backup/plimsoll-2026-11-20.db
    """
    from flows.terminal import tell
    from tasks.workplace import back_up_database

    tell(f"{target}: {back_up_database(target):,} bytes, checked")

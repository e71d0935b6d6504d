"""The `plimsoll` command: one entry for people and schedulers. Heavy imports wait for a command."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from flows import (
    cli_alerts,
    cli_calls,
    cli_compare,
    cli_drill,
    cli_intraday,
    cli_kill,
    cli_ledger,
    cli_oms,
    cli_paying,
    cli_read,
    cli_reconcile,
    cli_reduce,
    cli_rules,
    cli_run,
    cli_service,
    cli_study,
    cli_transfers,
    cli_web,
    cli_whatif,
)
from flows.exit_codes import ExitCode, exit_code_of

_EPILOG = (
    "Exit codes: 0 done, 1 bug, 2 wrong command line, 3 bad input or parameter, 4 data missing, "
    "5 database or disk, 6 some netting sets failed or some candidates were refused, 7 Prefect or "
    "Dask unreachable, 8 overdue, 9 replay differs or a break is open."
)

_DEBUG = "PLIMSOLL_DEBUG"

app = typer.Typer(
    name="plimsoll",
    help="A cross-venue margin engine for crypto derivatives. Start with `plimsoll demo`.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli_run.register(app)
cli_intraday.register(app)
cli_study.register(app)
cli_drill.register(app)
cli_whatif.register(app)
cli_reduce.register(app)
cli_compare.register(app)
cli_read.register(app)
cli_ledger.register(app)
cli_calls.register(app)
cli_paying.register()
cli_rules.register(app)
cli_transfers.register(app)
cli_reconcile.register(app)
cli_oms.register(app)
cli_kill.register(app)
cli_alerts.register(app)
cli_service.register(app)
cli_web.register(app)


@app.callback()
def plimsoll(
    debug: Annotated[bool, typer.Option(help="Show the traceback of a failure.")] = False,
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of database, results and sample; PLIMSOLL_HOME otherwise."),
    ] = None,
) -> None:
    """Take the options that every command has."""
    if debug:
        os.environ[_DEBUG] = "1"
    if home is not None:
        os.environ["PLIMSOLL_HOME"] = str(home.expanduser().resolve())


def main() -> None:
    """Run the command line and end the process with a documented exit code."""
    _quieten_libraries()
    try:
        app()
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is left must not fail at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        _end(_fail(error))


def _quieten_libraries() -> None:
    """Keep what libraries log off the terminal: a failure is told in our own sentence."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.raiseExceptions = False


def _end(code: ExitCode) -> NoReturn:
    if code is not ExitCode.INFRASTRUCTURE:
        sys.exit(code)
    # Prefect's queues would try for minutes to reach the API that has just been given up; what
    # is of value is in our database, and child processes end with this one.
    from tasks.cluster import close_clusters

    close_clusters()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fail(error: Exception) -> ExitCode:
    from flows.terminal import show_failure
    from tasks.failures import describe_failure

    failure = describe_failure(error)
    show_failure(failure.sentence, failure.next_step)
    return exit_code_of(failure.kind)

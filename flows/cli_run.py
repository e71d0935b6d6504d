"""Commands that compute: demo, eod, sample, replay, compute."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.demo_life import Told

_PANEL = "Compute"


class Origin(StrEnum):
    """Where a close reads from."""

    FILES = "files"
    CONNECTIONS = "connections"


Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(demo)
    app.command(rich_help_panel=_PANEL)(eod)
    app.command(rich_help_panel=_PANEL)(sample)
    app.command(rich_help_panel=_PANEL)(replay)
    app.command(rich_help_panel=_PANEL)(compute)


def demo(
    netting_sets: Annotated[int, typer.Option(min=1, help="Size of the sample book.")] = 1000,
    workers: Annotated[int | None, typer.Option(min=1, help="Local Dask workers.")] = None,
    call: Annotated[
        bool, typer.Option("--call/--no-call", help="Follow one margin call on simulated venues.")
    ] = True,
) -> None:
    """Build a sample world, close its last two dates, follow one call to its end, run the loop.

    Takes about three minutes the first time; the second time it finds the finished runs. The venues
    are simulated on loopback, with real sockets and signatures, and are gone afterwards. The loop
    runs through half an hour that is made up: prices fall, it calls, collateral is paid.

    Examples:

        plimsoll demo

        plimsoll demo --netting-sets 200 --workers 4
    """
    from flows.closing import close_dates
    from flows.demo_life import follow_a_call, followed_before, prefect_at_hand, watch_the_loop
    from flows.terminal import progress_shown, show, tell
    from tasks.overview import owes, whereabouts
    from tasks.sample import make_sample, sample_dates
    from tasks.workplace import use_workers

    def hear(told: Told) -> None:
        tell(f"  [cyan]{told.who:<10}[/] {told.what}")

    use_workers(workers, None)
    before = followed_before()
    # One server for the closes and for what follows.
    with prefect_at_hand() if call and before is None else nullcontext():
        with progress_shown():
            market = make_sample(netting_sets=netting_sets)
            closed = close_dates(sample_dates(market), str(market))
        show(owes(closed.run_ids[-1]))
        tell(whereabouts(closed.run_ids[-1]))
        closed.raise_failure()
        if before is not None:
            tell(f"followed  plimsoll calls show {before}  (again: in another PLIMSOLL_HOME)")
        if not call or before is not None:
            return
        tell("\n[bold]the life of one margin call[/], on simulated venues")
        call_id = follow_a_call(closed.run_ids[-1], hear)
        tell(f"  [dim]all of it:  plimsoll calls show {call_id}[/]")
    tell("\n[bold]the loop between two closes[/], through a crash that is made up")
    tell(f"  [dim]all of it:  {watch_the_loop(hear)}[/]")


def eod(
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="UTC date to close; the last closed one if empty."),
    ] = None,
    origin: Annotated[
        Origin, typer.Option("--from", help="Files, or the connected venues over --market.")
    ] = Origin.FILES,
    market: Annotated[
        str | None, typer.Option(help="Folder or database URL of market data.")
    ] = None,
    book: Annotated[
        str | None, typer.Option(help="Folder or database URL of the book; the market's if empty.")
    ] = None,
    netting_sets: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Generate a book of this size instead.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Local Dask workers.")] = None,
    dask_address: Annotated[
        str | None, typer.Option(help="Dask scheduler, for example tcp://10.0.0.5:8786.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run a finished date again, as a new sequence.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Close a business date: requirement, calls, ledger and report of every netting set.

    The same date twice gives the first result. A run that was killed is resumed by the same
    command and gives the same bytes.

    Venues say what is now: with --from connections a date is read within half an hour of its
    close, once, and kept. What they do not say (histories, liquidity, agreements) is read from
    --market.

    Examples:

        plimsoll eod --date 2026-11-20

        plimsoll eod --from connections --market ../history --book ../book

        plimsoll eod --date 2022-11-09 --market ../history --netting-sets 500

        plimsoll eod --date 2022-11-09 --market DIR --book BOOK --workers 4

        plimsoll eod --date 2026-11-20 --force --json
    """
    from flows.closing import close_dates
    from flows.terminal import progress_shown, show, show_json, tell
    from tasks.workplace import use_workers

    if book is not None and netting_sets is not None:
        raise typer.BadParameter("give --book or --netting-sets, not both")
    use_workers(workers, dask_address)
    chosen = f"generated:{netting_sets}" if netting_sets is not None else book
    if origin is Origin.CONNECTIONS:
        market = f"connections:{market or ''}"
    dates = [date.date() if date else None]
    with nullcontext() if as_json else progress_shown():
        closed = close_dates(dates, market, chosen, force=force)
    from tasks.overview import overview, owes, whereabouts

    run_id = closed.run_ids[-1]
    if as_json:
        show_json(overview(run_id))
    else:
        show(owes(run_id))
        tell(whereabouts(run_id))
    closed.raise_failure()


def sample(
    out: Annotated[Path | None, typer.Option(help="Folder to write; the home's if empty.")] = None,
    netting_sets: Annotated[int, typer.Option(min=1, help="Size of the book.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal bytes.")] = 20261120,
    as_json: Json = False,
) -> None:
    """Write a sample world: a plausible cross-venue broker with four years of history.

    Examples:

        plimsoll sample

        plimsoll sample --out world --netting-sets 5000 --seed 7
    """
    from flows.terminal import progress_shown, show_json, tell
    from tasks.sample import make_sample, sample_facts

    with nullcontext() if as_json else progress_shown():
        folder = make_sample(out, netting_sets, seed)
    if as_json:
        show_json(sample_facts(folder))
    else:
        tell(f"sample world in {folder}; close it with `plimsoll eod --market {folder}`")


def replay(
    run: Annotated[str, typer.Argument(help="Run to recompute, for example eod-2026-11-20-1.")],
    as_json: Json = False,
) -> None:
    """Recompute a run from its snapshot and the rules as known then, and compare bit for bit.

    Examples:

        plimsoll replay eod-2026-11-20-1
    """
    from flows.terminal import show, show_json
    from tasks.replay import replay_run, replay_table

    verdict = replay_run(run)
    if as_json:
        show_json(verdict.as_json())
    else:
        show(replay_table(verdict))
    verdict.require_equal()


def compute(
    list_calculations: Annotated[
        bool, typer.Option("--list", help="Say what can be calculated, and with which fields.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer calculations: one JSON object per line in, one answer per line out, in order.

    Examples:

        echo '{"id": 1, "calculation": "margin_call", ...}' | plimsoll compute

        plimsoll compute --list --json
    """
    import sys

    from flows.tables import calculation_table
    from flows.terminal import show, show_json
    from tasks.compute import answer_lines, described_calculations

    if not list_calculations:
        answer_lines(sys.stdin.buffer, sys.stdout)
    elif as_json:
        show_json(described_calculations())
    else:
        for calculation in described_calculations():
            show(calculation_table(calculation))

"""Commands of order management: take its files, listen to it, look, decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

_PANEL = "Transfers"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]

oms = typer.Typer(
    help="Order management: executions by FIX drop copy, by file and by signed webhook.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(oms, name="oms", rich_help_panel=_PANEL)


@oms.command()
def take(as_json: Json = False) -> None:
    """Take the files that order management has dropped: each once, by its content.

    `executions*.csv` and `openings*.csv` are read by their data contracts; a bad row is kept apart
    with its reason and the rest is taken. The reconciliation round does this by itself.

    Examples:

        plimsoll oms take

        plimsoll oms take --json
    """
    from flows.terminal import show, show_json
    from tasks import oms as desk

    found = desk.take_now(desk.order_management())
    show_json(desk.files_as_json(found)) if as_json else show(desk.files_table(found))


@oms.command()
def listen() -> None:
    """Listen until interrupted: keep the FIX session, record what comes, take files as they fall.

    Sequence numbers that are too low stop the session until somebody decides; everything else
    heals by itself, and nothing is lost or counted twice. Needs the extra `fix` for a drop copy.

    Examples:

        plimsoll oms listen
    """
    import signal
    import threading

    from flows.terminal import tell
    from tasks import oms as desk

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    desk.listen(stop, tell)


@oms.command()
def status(as_json: Json = False) -> None:
    """Say how order management is heard, what its session went through, and what is odd.

    Examples:

        plimsoll oms status

        plimsoll oms status --json
    """
    from flows.terminal import show, show_json
    from tasks import oms as desk

    found = desk.status_as_json()
    show_json(found) if as_json else show(desk.status_view(found))


@oms.command()
def positions(
    at: Annotated[
        datetime | None,
        typer.Option(help="At this instant, UTC; now without it.", formats=["%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what order management holds: its opening and what it has reported since, exactly.

    Examples:

        plimsoll oms positions

        plimsoll oms positions --at 2026-11-20T16:00:00 --json
    """
    from datetime import UTC

    from flows.terminal import show, show_json
    from tasks import oms as desk

    rows = desk.positions_as_json(None if at is None else at.replace(tzinfo=UTC))
    show_json(rows) if as_json else show(desk.positions_table(rows))


@oms.command()
def sequence(
    reason: Annotated[str, typer.Option(help="Why; it is recorded with your name.")],
    next_sender: Annotated[
        int | None, typer.Option(min=1, help="Number of our next message: what they expect.")
    ] = None,
    next_target: Annotated[
        int | None, typer.Option(min=1, help="Number of their next message: what they send.")
    ] = None,
) -> None:
    """Decide with which sequence numbers the FIX session goes on; the listener applies it once.

    Ask the other side for its numbers first. What was sent under numbers that are passed over is
    not sent again: take it from a file of executions.

    Examples:

        plimsoll oms sequence --next-sender 15 --reason "our disk was lost, they expect 15"

        plimsoll oms sequence --next-target 1 --reason "they were set up anew" --next-sender 1
    """
    from flows.terminal import tell
    from tasks import oms as desk

    position = desk.order_sequence(next_sender, next_target, reason)
    tell(f"decision {position} is recorded; the listener goes on with it")

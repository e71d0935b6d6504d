"""Commands of the intraday loop: run it, ask how it is, recompute what it decided."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from flows.exit_codes import ExitCode

_PANEL = "Close the day"
_JSON = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
_NETTING_SET = Annotated[str, typer.Argument(help="The netting set that waits.")]
_REASON = Annotated[str, typer.Option(help="Why; recorded for good.")]
_RUNG = Annotated[str, typer.Option(help="Rung of the ladder: warn, call or restrict.")]
_RUN = Annotated[str | None, typer.Argument(help="A run of the loop; the last one without it.")]

intraday = typer.Typer(invoke_without_command=True, no_args_is_help=False)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(intraday, name="intraday", rich_help_panel=_PANEL)


@intraday.callback()
def run(
    context: typer.Context,
    relay: Annotated[
        list[str] | None,
        typer.Option(help="Address of one's own feed handler, ws://host:port/; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a line of JSON each second.")
    ] = False,
) -> None:
    """Watch margin between closes: prices in, calls out, in milliseconds.

    Runs until it is stopped, upon the last close, and follows what is connected. One
    process leads; a second one stands by and takes over when the first shows no life. Calls of the
    loop are durable before anybody is told. Ends with 5 if another process has taken over.

    Examples:

        plimsoll intraday

        plimsoll intraday --relay ws://127.0.0.1:9000/

        plimsoll intraday status

        plimsoll intraday verify
    """
    if context.invoked_subcommand is not None:
        return
    from tasks.intraday import run_loop, status_line

    def tell(told: Mapping[str, Any]) -> None:
        if as_json:
            sys.stdout.write(json.dumps(told, sort_keys=True) + "\n")
            sys.stdout.flush()
        elif sys.stderr.isatty():
            sys.stderr.write(f"\r\033[2K{status_line(told)}"[:400])
            sys.stderr.flush()

    run_loop(relay or (), tell)
    if not as_json and sys.stderr.isatty():
        sys.stderr.write("\n")


@intraday.command()
def warm() -> None:
    """Compile what the loop runs, and keep it on disk: a start finds it there.

    For images and set-up scripts; a loop does the same before it takes the lead. Kept in
    NUMBA_CACHE_DIR, else beside the code, else in the user's cache.

    Examples:

        plimsoll intraday warm
    """
    from flows.terminal import tell
    from tasks.intraday import warm_up

    tell(f"compiled code is ready after {warm_up():.1f} s")


@intraday.command()
def status(as_json: _JSON = False) -> None:
    """Say how the loop of this home is, also with the database down.

    Ends with 8 if it shows no life.

    Examples:

        plimsoll intraday status

        plimsoll intraday status --json
    """
    from flows.terminal import show, show_json
    from tasks.intraday import loop_status, payment_lines, status_line

    found = loop_status()
    if as_json:
        show_json(found)
    else:
        show(status_line(found))
        for row in found.get("health", []):
            show(f"  {row['scope']} {row['name']} is {row['state']}: {row['reason']}")
            show(f"    next: {row['next_action']}")
        for line in payment_lines(found):
            show(line)
    if not found["is_alive"]:
        if not as_json:
            show(f"no sign of life for {found['age_seconds']:,.0f} s: start `plimsoll intraday`")
        raise typer.Exit(ExitCode.OVERDUE)


@intraday.command()
def grant(netting_set: _NETTING_SET, reason: _REASON, rung: _RUNG = "call") -> None:
    """Let a rung that waits for a person be acted upon, in one's own name.

    The running loop hears of it within a second; a restart keeps it. It ends when the
    netting set has left the rung: the next time somebody is asked again.

    Examples:

        plimsoll intraday grant larch-lab-4 --reason "confirmed by the client, ticket 4711"
    """
    _decided(netting_set, rung, "granted", reason)


@intraday.command()
def refuse(netting_set: _NETTING_SET, reason: _REASON, rung: _RUNG = "call") -> None:
    """Refuse what a rung waits for, in one's own name; it is asked again when the level rises.

    Examples:

        plimsoll intraday refuse larch-lab-4 --reason "pays by wire today, see mail of 10:40"
    """
    _decided(netting_set, rung, "refused", reason)


def _decided(
    netting_set: str, rung: str, decision: Literal["granted", "refused"], reason: str
) -> None:
    from flows.terminal import show
    from tasks.intraday import decide_rung

    found = decide_rung(netting_set, rung, decision, reason)
    show(f"{found.rung} of {found.netting_set_id}: {found.decision} by {found.principal}")


@intraday.command(hidden=True)
def desk(
    epoch: Annotated[int, typer.Option(help="Epoch of the loop's lead.")],
    holder: Annotated[str, typer.Option(help="Name of the loop's process.")],
) -> None:
    """Pay calls for a loop, which starts this by itself and speaks to it over its pipes."""
    from tasks.payment_desk import run_desk

    run_desk(epoch, holder)


@intraday.command()
def decisions(run_id: _RUN = None, as_json: _JSON = False) -> None:
    """List what the loop decided: calls, what was taken back, what was not trusted.

    Examples:

        plimsoll intraday decisions

        plimsoll intraday decisions intraday-2026-11-21-1 --json
    """
    from flows.terminal import show, show_json
    from tasks.intraday import decisions_of

    found = decisions_of(run_id)
    if as_json:
        show_json(found)
        return
    for one in found:
        show(
            f"{one['number']:>6}  {one['decided_at']}  {one['calls']:,} calls, "
            f"{one['withdrawn']:,} taken back, {len(one['distrusted'])} not trusted"
        )
    if not found:
        show("no decision with calls so far")


@intraday.command()
def verify(
    run_id: _RUN = None,
    decision: Annotated[int | None, typer.Option(help="One decision; all without it.")] = None,
    as_json: _JSON = False,
) -> None:
    """Compute recorded amounts again from close, reports and prices, with the engine of the close.

    Ends with 9 if an amount does not follow from what its decision had.

    Examples:

        plimsoll intraday verify

        plimsoll intraday verify intraday-2026-11-21-1 --decision 3
    """
    from flows.terminal import show, show_json
    from tasks.intraday import verify_decisions

    found = verify_decisions(run_id, decision)
    if as_json:
        show_json([one.as_json() for one in found])
    else:
        for one in found:
            word = "sound" if one.is_sound else "NOT SOUND"
            show(f"decision {one.number} of {one.run_id}: {len(one.calls):,} calls, {word}")
            for call in one.calls:
                if call.verdict != "equal":
                    show(
                        f"  {call.call_id} of {call.netting_set_id}: called {call.called:,}, "
                        f"inputs give {call.recomputed:,} ({call.verdict})"
                    )
    if not all(one.is_sound for one in found):
        raise typer.Exit(ExitCode.DIFFERENT)

"""Commands of the kill switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.kill import KillReport

_PANEL = "Transfers"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded with your name.")]

kill = typer.Typer(
    help="Stop everything that leaves: one person arms, two disarm; works with the database down.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(kill, name="kill", rich_help_panel=_PANEL)


@kill.command()
def arm(reason: Reason, as_json: Json = False) -> None:
    """Stop everything that would leave, now; then list what is in flight.

    Examples:

        plimsoll kill arm --reason "the venue reports a breach"
    """
    from tasks import kill as switch

    _show_kill(switch.arm(reason), as_json)


@kill.command()
def disarm(reason: Reason, as_json: Json = False) -> None:
    """Ask to disarm, or confirm what another person has asked: it takes two.

    Examples:

        plimsoll kill disarm --reason "the venue has confirmed that all is well"
    """
    from tasks import kill as switch

    _show_kill(switch.disarm(reason), as_json)


@kill.command()
def status(as_json: Json = False) -> None:
    """Say whether the switch is armed, and what is in flight.

    Examples:

        plimsoll kill status --json
    """
    from tasks import kill as switch

    _show_kill(switch.status(), as_json)


def _show_kill(report: KillReport, as_json: bool) -> None:
    from flows.terminal import show, show_json, tell
    from tasks import transfers as desk
    from tasks.reduction_tables import orders_table
    from tasks.transfer_tables import transfers_table

    if as_json:
        show_json(
            {
                "is_armed": report.status.is_armed,
                "by": report.status.actor,
                "reason": report.status.reason,
                "since": report.status.since and report.status.since.isoformat(),
                "disarm_requested_by": report.status.disarm_requested_by,
                "in_flight": [desk.record_as_json(one) for one in report.in_flight],
                "orders": [one.order_key for one in report.orders],
                "obstacle": report.obstacle,
            }
        )
        return
    tell(report.status.sentence)
    if report.status.disarm_requested_by:
        tell(f"{report.status.disarm_requested_by} asks to disarm it: another person confirms with "
             "`plimsoll kill disarm --reason ...`")  # fmt: skip
    if report.obstacle:
        tell(f"what is in flight cannot be listed now: {report.obstacle}")
    elif report.in_flight or report.orders:
        show(transfers_table(report.in_flight))
        show(orders_table(report.orders))
    else:
        tell("nothing is in flight")

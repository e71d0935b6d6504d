"""Commands about alerts: what people were told, who has taken it up, and whether channels work."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Operate"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Alert = Annotated[str, typer.Argument(help="The alert, or the beginning of its name.")]

alerts = typer.Typer(
    help="Alerts: what people were told, who has taken it up, and whether channels work.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(alerts, name="alerts", rich_help_panel=_PANEL)


@alerts.command("list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that somebody has acknowledged.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List alerts that nobody has taken up, last told first.

    Examples:

        plimsoll alerts list

        plimsoll alerts list --all --json
    """
    from flows.tables import alerts_table
    from flows.terminal import show, show_json, tell
    from tasks import alerting

    found = alerting.alerts(limit, is_open=not everything)
    if as_json:
        show_json(alerting.as_json(found))
        return
    show(alerts_table(alerting.as_json(found)))
    counts = alerting.backlog()
    tell(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()))


@alerts.command("show")
def show_(alert: Alert, as_json: Json = False) -> None:
    """Show the last words about an alert.

    Examples:

        plimsoll alerts show 3f2a
    """
    from rich.text import Text

    from flows.terminal import show, show_json
    from tasks import alerting

    found = alerting.alert(alert)
    if as_json:
        show_json(alerting.as_json([found])[0])
        return
    taken = f"\ntaken up by {found.acknowledged_by}: {found.acknowledged_reason}"
    tail = taken if found.acknowledged_by else "\nnobody has taken it up"
    show(Text(f"{found.title}\n{found.alert_id}\n\n{found.body}\n{tail}"))


@alerts.command()
def ack(
    alert: Alert,
    reason: Annotated[str, typer.Option(help="What is done about it; recorded with your name.")],
    as_json: Json = False,
) -> None:
    """Take an alert up: everybody sees that somebody is at it, and why it needs no other.

    Examples:

        plimsoll alerts ack 3f2a --reason "the client wires by noon"
    """
    from flows.terminal import show_json, tell
    from tasks import alerting

    found, is_new = alerting.acknowledge(alert, reason)
    if as_json:
        show_json(alerting.as_json([found])[0])
        return
    said = "is taken up" if is_new else "was taken up by you before"
    tell(f"{found.alert_id[:8]} {said}: {found.title}")


@alerts.command()
def test(
    channel: Annotated[str | None, typer.Option(help="One channel; all if empty.")] = None,
    as_json: Json = False,
) -> None:
    """Send a test message to a channel, or to all, and say what came of it.

    Examples:

        plimsoll alerts test

        plimsoll alerts test --channel desk
    """
    from flows.exit_codes import ExitCode
    from flows.tables import plain_table
    from flows.terminal import show, show_json
    from tasks import alerting

    found = alerting.try_channels(channel)
    if as_json:
        show_json(found)
    else:
        rows = [{**one, "error": one["error"] or "taken"} for one in found]
        show(plain_table("Channels", rows))
    if any(one["error"] for one in found):
        raise typer.Exit(ExitCode.INFRASTRUCTURE)


@alerts.command()
def send(
    watch: Annotated[
        float | None,
        typer.Option(min=0.2, max=3600.0, help="Go on, with so many seconds between rounds."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take events in and send what is due: once, or until Ctrl-C. `plimsoll serve` does so too.

    Of several that run at once, one works and the others wait their turn.

    Examples:

        plimsoll alerts send

        plimsoll alerts send --watch 1
    """
    from dataclasses import asdict

    from flows.terminal import show_json, tell
    from tasks import alerting

    if watch is None:
        done = alerting.send_now()
        if as_json:
            show_json(asdict(done))
        else:
            tell(
                ", ".join(f"{name[2:].replace('_', ' ')} {n:,}" for name, n in asdict(done).items())
            )
        return
    alerting.keep_sending(watch, tell)

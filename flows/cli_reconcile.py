"""Commands of reconciliation: compare all books now, and what is done about breaks."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exit_codes import ExitCode

_PANEL = "Transfers"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Break = Annotated[str, typer.Argument(help="Name of the break: brk-...")]

breaks = typer.Typer(
    help="Differences between the books: their age, their owner, and how they end.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(rich_help_panel=_PANEL)(reconcile)
    app.add_typer(breaks, name="breaks", rich_help_panel=_PANEL)


def reconcile(as_json: Json = False) -> None:
    """Compare all books now: ledger, order management, venues, and our own models of them.

    Four scopes: balances (ledger and venues), positions (order management and venues), funding
    (rate × position × mark and the venues' lines), margin (our model and what venues report).
    Venues' own lines (profit, funding, fees) are booked on the way, each once; files of order
    management are taken. What is under way explains what it explains to the last digit;
    everything else is a break with its age and owner. Ends with 9 if a break is open.

    Examples:

        plimsoll reconcile

        plimsoll reconcile --json
    """
    from flows.terminal import show, show_json
    from tasks.reconcile_now import reconcile_once, reconciled_json, reconciled_view

    found = reconcile_once()
    show_json(reconciled_json(found)) if as_json else show(reconciled_view(found))
    if found.n_open:
        raise typer.Exit(ExitCode.DIFFERENT)


@breaks.command("list")
def list_breaks(as_json: Json = False) -> None:
    """List open breaks, oldest first.

    Examples:

        plimsoll breaks list

        plimsoll breaks list --json
    """
    from flows.terminal import show, show_json
    from tasks import break_views

    rows = break_views.open_breaks()
    show_json(rows) if as_json else show(break_views.breaks_view(rows))


@breaks.command()
def history(break_id: Break, as_json: Json = False) -> None:
    """Show what was seen of a break, run by run.

    Examples:

        plimsoll breaks history brk-0123456789abcdef
    """
    from flows.terminal import show, show_json
    from tasks import break_views

    rows = break_views.history(break_id)
    show_json(rows) if as_json else show(break_views.history_view(break_id, rows))


@breaks.command()
def assign(
    break_id: Break, owner: Annotated[str, typer.Option(help="Who explains it from now on.")]
) -> None:
    """Give an open break to another owner.

    Examples:

        plimsoll breaks assign brk-0123456789abcdef --owner "treasury operations"
    """
    from flows.terminal import tell
    from tasks import break_views

    break_views.assign(break_id, owner)
    tell(f"{break_id} belongs to {owner}")


@breaks.command()
def accept(
    break_id: Break,
    reason: Annotated[str, typer.Option(help="Why; it is recorded with your name.")],
) -> None:
    """Accept a difference in funding or in a report as it is; it ends with the next round.

    Positions and balances cannot be accepted: they close when executions and postings make the
    books agree. An acceptance is of what you see now, and void when that changes.

    Examples:

        plimsoll breaks accept brk-0123456789abcdef --reason "restated by the venue, ticket 7"
    """
    from flows.terminal import tell
    from tasks import break_views

    break_views.accept(break_id, reason)
    tell(f"{break_id} is accepted; the next round no longer counts it")

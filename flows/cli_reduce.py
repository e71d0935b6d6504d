"""Commands of reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.desk_output import (
    PANEL,
    Compared,
    Json,
    Reason,
    RestsOn,
    group,
    show_list,
    show_record,
    show_worked,
)
from flows.exit_codes import ExitCode

if TYPE_CHECKING:
    from tasks.reduction import ReductionRecord

Plan = Annotated[str, typer.Argument(help="Plan, or the beginning of its name.")]
Run = Annotated[str | None, typer.Option(help="Run; the finished one of the latest date if empty.")]

reduce = group("Reduce a book whose call has failed: plan, approve, send in slices, stop.")


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(reduce, name="reduce", rich_help_panel=PANEL)


@reduce.command()
def plan(
    netting_set: Annotated[str, typer.Argument(help="Netting set whose ratio is to be restored.")],
    ratio: Annotated[
        float | None,
        typer.Option(help="What is owed over collateral value to restore; the policy's if empty."),
    ] = None,
    hedge: Annotated[
        list[str] | None,
        typer.Option(help="Instrument in which a hedge may be opened; may be repeated."),
    ] = None,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Plan orders at least cost, and show what the venues would do if nobody acts.

    Nothing is recorded or sent. Where an account is margined by portfolio, a hedge may come first;
    the cheaper plan that restores the ratio is taken and both are shown. No order turns a position
    round. Ends with 6 if no plan restores the ratio.

    Examples:

        plimsoll reduce plan NS-0001

        plimsoll reduce plan NS-0001 --ratio 0.8 --hedge binance:BTCUSDT --json
    """
    from flows.terminal import progress_shown, show, show_json
    from tasks.reduction import planned, shown, shown_as_json

    if as_json:
        found = planned(netting_set, run, ratio, hedge or [])
        show_json(shown_as_json(found))
    else:
        with progress_shown():
            found = planned(netting_set, run, ratio, hedge or [])
        show(shown(found))
    if found.plan.status == "insufficient":
        raise typer.Exit(ExitCode.INCOMPLETE)


@reduce.command()
def propose(
    netting_set: Annotated[str, typer.Argument(help="Netting set to reduce.")],
    reason: Reason,
    run: Run = None,
    again: Annotated[
        bool, typer.Option("--again", help="Although a plan for it was refused or stopped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Propose a plan, for the netting set's open call where there is one; others approve it.

    Calls that are escalated to reduction are proposed by themselves.

    Examples:

        plimsoll reduce propose NS-0001 --reason "the client has told us that it cannot pay"
    """
    from flows.terminal import progress_shown, show_json, tell
    from tasks import reduction as desk

    with progress_shown():
        found = desk.propose(netting_set, reason, run, again=again)
    if found.record is None:
        tell(f"no plan for {netting_set}: {found.words}")
        raise typer.Exit(ExitCode.INCOMPLETE)
    if as_json:
        show_json(desk.record_as_json(found.record))
        return
    tell(found.words)
    _show_record(found.record, as_json=False)


@reduce.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Plans at their end too.")] = False,
    as_json: Json = False,
) -> None:
    """List plans that are not at their end.

    Examples:

        plimsoll reduce list

        plimsoll reduce list --state shadow --json
    """
    from tasks import reduction as desk
    from tasks.reduction_tables import reductions_table

    found = desk.reductions(state or (), only_open=not everything)
    empty = "no plan of reduction is open"
    show_list(found, as_json, desk.record_as_json, reductions_table, empty)


@reduce.command()
def show(plan: Plan, as_json: Json = False) -> None:
    """Show a plan: legs, orders, approvals, history, and what the venues would do.

    Examples:

        plimsoll reduce show 3f9a1c0d5b7e
    """
    from flows.terminal import show as show_page
    from flows.terminal import show_json
    from tasks import reduction as desk
    from tasks.reduction_tables import reduction_page

    found = desk.shown_reduction(plan)
    show_json(desk.reduction_as_json(found)) if as_json else show_page(reduction_page(found))


@reduce.command()
def approve(
    plan: Plan,
    payload_hash: Annotated[
        str, typer.Option("--hash", help="Payload hash as `reduce show` has shown it.")
    ],
    reason: Compared = "",
    as_json: Json = False,
) -> None:
    """Approve a plan: another person than its proposer, for the payload with this hash alone.

    Examples:

        plimsoll reduce approve 3f9a1c0d5b7e --hash 81c4e0b2a7d35f96
    """
    from tasks import reduction as desk

    _show_record(desk.approve(plan, payload_hash, reason), as_json)


@reduce.command()
def reject(plan: Plan, reason: Reason, as_json: Json = False) -> None:
    """Refuse a plan that is proposed.

    Examples:

        plimsoll reduce reject 3f9a1c0d5b7e --reason "the client pays within the hour"
    """
    from tasks import reduction as desk

    _show_record(desk.reject(plan, reason), as_json)


@reduce.command()
def stop(plan: Plan, reason: Reason, as_json: Json = False) -> None:
    """Stop a plan at work; what is on its way is seen to its end.

    Examples:

        plimsoll reduce stop 3f9a1c0d5b7e --reason "the market has calmed down"
    """
    from tasks import reduction as desk

    _show_record(desk.stop(plan, reason), as_json)


@reduce.command()
def send(as_json: Json = False) -> None:
    """Send the next slice of every plan at work, each once; all rules are checked right before.

    Examples:

        plimsoll reduce send
    """
    from tasks import reduction as desk

    show_worked("Sent", desk.send_due(), as_json)


@reduce.command()
def resolve(
    order: Annotated[str | None, typer.Argument(help="A stuck order to decide by hand.")] = None,
    filled_lots: Annotated[
        int | None, typer.Option(help="Lots that it has filled; 0 if it was not executed.")
    ] = None,
    reason: RestsOn = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Ask about all that may act, not only those due.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the venues about orders that may still act, or decide about a stuck one by hand.

    Examples:

        plimsoll reduce resolve --all

        plimsoll reduce resolve 0b33b6df0f2b5ef0b0d2a8d6b1f0d4b5 --filled-lots 0
        --reason "the venue's desk confirms in ticket 4711 that it was never received"
    """
    from flows.terminal import tell
    from tasks import reduction as desk

    if (order is None) != (filled_lots is None):
        raise typer.BadParameter("ORDER and --filled-lots go together")
    if order is not None and filled_lots is not None:
        found = desk.decide(order, filled_lots, reason)
        tell(f"order {found.order_key} is {found.state}, {found.filled_lots} lots filled")
        return
    show_worked("Resolved", desk.resolve_due(everything=everything), as_json)


def _show_record(record: ReductionRecord, as_json: bool) -> None:
    from tasks import reduction as desk

    show_record(record, as_json, desk.record_as_json, "reduce")

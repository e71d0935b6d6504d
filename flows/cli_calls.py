"""Commands of margin calls: list, show, and what people do to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.call_acts import Done, Order

_PANEL = "Calls"
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Call = Annotated[str, typer.Argument(help="Call, as `plimsoll calls` lists it.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded with your name.")]
Seen = Annotated[
    int | None,
    typer.Option(min=1, help="Act only if this is still the last event, see `calls show`."),
]
Key = Annotated[
    str | None, typer.Option(help="Name of this act: repeating it finds the first one.")
]
Pledge = Annotated[int, typer.Option(min=1, help="Number of the pledge, see `calls show`.")]
Asset = Annotated[str, typer.Option(help="Asset, for example BTC.")]
Quantity = Annotated[str, typer.Option(help="Units of the asset, exact.")]
Place = Annotated[str, typer.Option(help="Where it is sent: <venue>/<account> or a vault.")]
Value = Annotated[
    str | None,
    typer.Option(help="Value after haircut, where it is not to be computed from the close."),
]

calls = typer.Typer(
    help="Margin calls: who owes what, and what people do about it.\n\n"
    "Without a command, the open calls are listed.\n\n"
    "Examples:\n\n    plimsoll calls\n\n    plimsoll calls --json\n\n"
    "    plimsoll calls show CALL\n\n"
    "    plimsoll calls agree CALL --reason 'agreed by phone with J. Meyer'",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(calls, name="calls", rich_help_panel=_PANEL)


@calls.callback()
def every_call(context: typer.Context, as_json: Json = False) -> None:
    """List the open calls where no command is given."""
    if context.invoked_subcommand is None:
        _list(None, None, None, as_json)


@calls.command("list")
def list_(
    direction: Annotated[str | None, typer.Option(help="Only `call` or `return`.")] = None,
    state: Annotated[str | None, typer.Option(help="Only this state, for example failed.")] = None,
    netting_set: Annotated[str | None, typer.Option(help="Only this netting set.")] = None,
    as_json: Json = False,
) -> None:
    """List open calls with what is asked, open and settled; the one due first leads.

    Examples:

        plimsoll calls list --direction call

        plimsoll calls list --state failed --json
    """
    _list(direction, state, netting_set, as_json)


@calls.command()
def show(call: Call, as_json: Json = False) -> None:
    """Show everything about one call: amounts, dates, pledges, and who did what and why.

    Examples:

        plimsoll calls show call-2026-11-20-1-0a1b2c3d4e5f60718293

        plimsoll calls show call-2026-11-20-1-0a1b2c3d4e5f60718293 --json
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.call_views import call_as_json, call_page

    found = call_as_json(call)
    show_json(found) if as_json else print_out(call_page(found))


@calls.command()
def agree(
    call: Call, reason: Reason, seen: Seen = None, key: Key = None, as_json: Json = False
) -> None:
    """Record that the client agrees to a call in full.

    Examples:

        plimsoll calls agree CALL --reason "agreed by mail, ticket 4711"
    """
    from tasks.call_acts import agree as do

    _tell(do(_order(call, reason, seen, key)), as_json)


@calls.command()
def dispute(
    call: Call,
    contested: Annotated[
        str,
        typer.Option(
            help="Figure that is contested: collateral, exposure, threshold, "
            "minimum_transfer_amount, rounding, valuation_frequency or independent_amount."
        ),
    ],
    reason: Reason,
    agreed: Annotated[str, typer.Option(help="Amount that is not disputed.")] = "0",
    seen: Seen = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Record that the client disputes a call, wholly or but for an amount.

    Examples:

        plimsoll calls dispute CALL --contested exposure --reason "marks of our options differ"

        plimsoll calls dispute CALL --contested collateral --agreed 250000 --reason "ticket 4711"
    """
    from tasks.call_acts import dispute as do

    _tell(do(_order(call, reason, seen, key), contested, agreed), as_json)


@calls.command("withdraw-dispute")
def withdraw_dispute(
    call: Call, reason: Reason, seen: Seen = None, key: Key = None, as_json: Json = False
) -> None:
    """Record that the client disputes nothing any more; the call stands as issued.

    Examples:

        plimsoll calls withdraw-dispute CALL --reason "marks reconciled"
    """
    from tasks.call_acts import withdraw_dispute as do

    _tell(do(_order(call, reason, seen, key)), as_json)


@calls.command()
def pledge(
    call: Call,
    asset: Asset,
    quantity: Quantity,
    place: Place,
    reason: Reason,
    value: Value = None,
    seen: Seen = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Record what the client sends, at its value after haircut.

    Without --value that is what it adds to the client's collateral, at the prices and haircuts of
    the call's own close.

    Examples:

        plimsoll calls pledge CALL --asset BTC --quantity 1.5 --place deribit/main
        --reason "client's mail"

        plimsoll calls pledge CALL --asset USDC --quantity 250000 --place fireblocks/7
        --value 247500 --reason "valued by treasury"
    """
    from tasks.call_acts import Offer
    from tasks.call_acts import pledge as do

    offer = Offer(asset=asset, quantity=quantity, place=place, value=value)
    _tell(do(_order(call, reason, seen, key), offer), as_json)


@calls.command("reject-pledge")
def reject_pledge(
    call: Call,
    pledge: Pledge,
    reason: Reason,
    seen: Seen = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Turn down a pledge, or what is still on its way of it.

    Examples:

        plimsoll calls reject-pledge CALL --pledge 4 --reason "address is not the client's"
    """
    from tasks.call_acts import reject_pledge as do

    _tell(do(_order(call, reason, seen, key), pledge), as_json)


@calls.command()
def settle(
    call: Call,
    value: Annotated[str, typer.Option(help="Value after haircut of what has arrived.")],
    reason: Reason,
    pledge: Annotated[
        int | None, typer.Option(min=1, help="Of which pledge; none where it came without one.")
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Nothing more will come of the pledge.")
    ] = False,
    reference: Annotated[str, typer.Option(help="Transfer or payment that brought it.")] = "",
    seen: Seen = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Record what has arrived; it comes off the call to the last digit.

    Examples:

        plimsoll calls settle CALL --value 120000 --pledge 4 --reference tx-9f --reason "seen"

        plimsoll calls settle CALL --value 119990 --pledge 4 --last --reason "fee kept by the rail"
    """
    from tasks.call_acts import settle as do

    _tell(do(_order(call, reason, seen, key), value, pledge, last, reference), as_json)


@calls.command()
def request(
    call: Call, reason: Reason, seen: Seen = None, key: Key = None, as_json: Json = False
) -> None:
    """Ask for a return that waits for the client's request, where the agreement says so.

    It goes only if every input of its close was fresh, that close is the latest, and no call or
    break of the netting set is open.

    Examples:

        plimsoll calls request CALL --reason "client's mail"
    """
    from tasks.call_acts import request_return as do

    _tell(do(_order(call, reason, seen, key)), as_json)


@calls.command()
def substitute(
    call: Call,
    pledge: Pledge,
    out: Annotated[str, typer.Option(help="Value after haircut that is to leave.")],
    asset: Asset,
    quantity: Quantity,
    place: Place,
    reason: Reason,
    value: Value = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Propose other collateral for some that has settled: worth no less, new in before old out.

    Examples:

        plimsoll calls substitute CALL --pledge 4 --out 100000 --asset USDC --quantity 102000
        --place fireblocks/7 --reason "client wants its bitcoin back"
    """
    from tasks.call_acts import Offer
    from tasks.call_acts import substitute as do

    offer = Offer(asset=asset, quantity=quantity, place=place, value=value)
    _tell(do(_order(call, reason, None, key), pledge, out, offer), as_json)


@calls.command("substitution")
def substitution(
    call: Call,
    number: Annotated[int, typer.Argument(min=1, help="Substitution, see `calls show`.")],
    step: Annotated[str, typer.Argument(help="agreed, rejected, received or released.")],
    reason: Reason,
    seen: Seen = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Take the next step of a substitution; the old is released only after the new is received.

    Examples:

        plimsoll calls substitution CALL 7 agreed --reason "eligible, worth more"

        plimsoll calls substitution CALL 7 received --reason "credit seen in vault 7"
    """
    from tasks.call_acts import move_substitution, substitution_step

    found = substitution_step(step)
    _tell(move_substitution(_order(call, reason, seen, key), number, found), as_json)


@calls.command()
def age(
    netting_set: Annotated[
        list[str] | None, typer.Option(help="Only this netting set; give it once per set.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let what is past due fail and escalate, each level once, and tell subscribers.

    The flow `margin-call` does the same on a schedule, and shows it in the Prefect pages.

    Examples:

        plimsoll calls age

        plimsoll calls age --netting-set NS-0001 --json
    """
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.age_calls import aged, aged_as_json, told
    from tasks.call_views import aged_table

    steps = aged_as_json(aged(netting_set or None))
    messages = told()
    if as_json:
        show_json({"steps": steps, "messages": messages})
    else:
        print_out(aged_table(steps))


@calls.command()
def message(
    call: Call,
    out: Annotated[
        Path | None, typer.Option(help="File to write; standard output if empty.")
    ] = None,
) -> None:
    """Write the call as it stands as a message of ISO 20022, colr.003.001.05.

    Examples:

        plimsoll calls message CALL --out call.xml
    """
    from flows.terminal import tell
    from tasks.call_messages import request_as_iso

    raw = request_as_iso(call)
    if out is None:
        typer.echo(raw.decode())
    else:
        out.write_bytes(raw)
        tell(f"{out} holds {len(raw):,} bytes")


@calls.command()
def receive(
    file: Annotated[Path, typer.Argument(help="Message of ISO 20022, as XML.")],
    client: Annotated[str, typer.Option(help="Who has sent it, as the channel has shown.")],
    as_json: Json = False,
) -> None:
    """Do what a client's message says: response (004), proposal (007) or dispute (009).

    The same message twice is done once.

    Examples:

        plimsoll calls receive response.xml --client north-fund
    """
    from flows.terminal import show_json, tell
    from tasks.call_messages import receive_iso
    from tasks.call_views import done_as_json, done_in_words

    found = receive_iso(file, client)
    if as_json:
        show_json([done_as_json(one) for one in found])
    else:
        tell("\n".join(done_in_words(one) for one in found))


def _list(direction: str | None, state: str | None, netting_set: str | None, as_json: bool) -> None:
    from flows.terminal import show as print_out
    from flows.terminal import show_json
    from tasks.call_views import calls_as_json, calls_table

    found = calls_as_json(direction, state, netting_set)
    show_json(found) if as_json else print_out(calls_table(found))


def _order(call: str, reason: str, seen: int | None, key: str | None) -> Order:
    from tasks.call_acts import Order

    return Order(call_id=call, reason=reason, seen=seen, key=key)


def _tell(done: Done, as_json: bool) -> None:
    from flows.terminal import show_json, tell
    from tasks.call_views import done_as_json, done_in_words

    show_json(done_as_json(done)) if as_json else tell(done_in_words(done))

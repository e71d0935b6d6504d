"""Commands that pay a margin call: see the plan, then pledge and propose it."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli_calls import Call, Json, Reason, calls

To = Annotated[
    str | None,
    typer.Option(help="Where it is to arrive; the first place of the house if empty."),
]


def register() -> None:
    """Add the commands to `plimsoll calls`."""
    calls.command()(plan)
    calls.command()(pay)


def plan(call: Call, to: To = None, as_json: Json = False) -> None:
    """Show with what and from where a call is best paid; nothing is pledged and nothing moves.

    Considered is what is free at connected places of the client, over routes that could be used
    now: the destination is on the whitelist and past its cool-off.

    Examples:

        plimsoll calls plan CALL

        plimsoll calls plan CALL --to fireblocks/0 --json
    """
    from flows.terminal import show, show_json
    from tasks.paying import payment_as_json, payment_view, plan_call

    found = plan_call(call, to)
    show_json(payment_as_json(found)) if as_json else show(payment_view(found))


def pay(call: Call, reason: Reason, to: To = None, as_json: Json = False) -> None:
    """Pledge what the plan says and propose its transfers; they wait for approval as always.

    What arrives comes off the call by itself, with the next round of `settle`.

    Examples:

        plimsoll calls pay CALL --reason "instructed by the client, ticket 4711"
    """
    from flows.terminal import show, show_json, tell
    from tasks.paying import pay_call, payment_as_json, payment_view

    paid = pay_call(call, reason, to)
    keys = [leg.transfer.transfer_key for leg in paid.legs]
    if as_json:
        show_json({**payment_as_json(paid.payment), "transfers": keys})
        return
    show(payment_view(paid.payment))
    for leg in paid.legs:
        tell(f"pledge {leg.pledge} waits for transfer {leg.transfer.transfer_key[:12]}")

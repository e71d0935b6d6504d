"""Commands of the transfer desk."""

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

if TYPE_CHECKING:
    from tasks.transfers import TransferRecord, WhitelistEntry

Key = Annotated[str, typer.Argument(help="Transfer: its key, or the beginning of it.")]
Entry = Annotated[str, typer.Argument(help="Whitelist entry, or the beginning of it.")]
Asset = Annotated[str, typer.Option(help="Asset, for example BTC.")]
Network = Annotated[str, typer.Option(help="Network, where the rail needs one.")]
Address = Annotated[str, typer.Option(help="Address, where the rail needs one.")]
Memo = Annotated[str, typer.Option(help="Memo or tag, where the address needs one.")]

transfers = group("Move assets between places: proposed by one, approved by others, sent once.")
whitelist = group(
    "Where assets may go: proposed by one, approved by another, used after a cool-off."
)
transfers.add_typer(whitelist, name="whitelist")


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    app.add_typer(transfers, name="transfers", rich_help_panel=PANEL)


@transfers.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="Only this state; may be given twice.")
    ] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those not at their end.")] = False,
    as_json: Json = False,
) -> None:
    """List transfers, the earliest first.

    Examples:

        plimsoll transfers list --open

        plimsoll transfers list --state unknown --state stuck --json
    """
    from tasks import transfers as desk
    from tasks.transfer_tables import transfers_table

    found = desk.transfers(state or (), only_open=only_open)
    show_list(found, as_json, desk.record_as_json, transfers_table, "there is no such transfer")


@transfers.command("show")
def show_(key: Key, as_json: Json = False) -> None:
    """Show a transfer: what it says, the hash that approvers approve, and its history.

    Examples:

        plimsoll transfers show 3f9a1c0d5b7e
    """
    from flows.terminal import show, show_json
    from tasks import transfers as desk
    from tasks.transfer_tables import transfer_view

    found = desk.shown(key)
    show_json(desk.shown_as_json(found)) if as_json else show(transfer_view(found))


@transfers.command()
def propose(
    purpose: Annotated[str, typer.Option(help="Margin call that it covers, or another name.")],
    source: Annotated[str, typer.Option("--from", help="Place that pays: venue/account.")],
    destination: Annotated[str, typer.Option("--to", help="Place that receives.")],
    asset: Asset,
    quantity: Annotated[str, typer.Option(help="What leaves the source, fee included; exact.")],
    reason: Reason,
    leg: Annotated[int, typer.Option(min=1, help="Number among the purpose's movements.")] = 1,
    network: Network = "",
    address: Address = "",
    memo: Memo = "",
    attempt_group: Annotated[
        int, typer.Option(min=1, help="2 and up starts an ended movement anew.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Propose a transfer; another person approves it. The same proposal again finds the first.

    Examples:

        plimsoll transfers propose --purpose call-2026-11-20-1-9c2f --from fireblocks/7
        --to deribit/main --asset BTC --quantity 2.5 --network BTC --address bc1q...
        --reason "covers the call of NS-0001"
    """
    from tasks import transfers as desk

    wish = desk.Wish(
        purpose=purpose,
        source=source,
        destination=destination,
        asset=asset,
        quantity=quantity,
        reason=reason,
        leg=leg,
        network=network,
        address=address,
        memo=memo,
        attempt_group=attempt_group,
    )
    _show_record(desk.propose(wish), as_json)


@transfers.command()
def approve(
    key: Key,
    payload_hash: Annotated[
        str, typer.Option("--hash", help="Payload hash as `transfers show` has shown it.")
    ],
    reason: Compared = "",
    as_json: Json = False,
) -> None:
    """Approve a transfer: another person than its proposer, for the payload with this hash alone.

    Examples:

        plimsoll transfers approve 3f9a1c0d5b7e --hash 81c4e0b2a7d35f96
    """
    from tasks import transfers as desk

    _show_record(desk.approve(key, payload_hash, reason), as_json)


@transfers.command()
def reject(key: Key, reason: Reason, as_json: Json = False) -> None:
    """Refuse a transfer that was not sent, or take your own back.

    Examples:

        plimsoll transfers reject 3f9a1c0d5b7e --reason "the call was withdrawn"
    """
    from tasks import transfers as desk

    _show_record(desk.reject(key, reason), as_json)


@transfers.command()
def send(as_json: Json = False) -> None:
    """Send what is approved and reserved, each once; every rule is checked again right before.

    Examples:

        plimsoll transfers send
    """
    from tasks import transfers as desk

    show_worked("Sent", desk.send_due(), as_json)


@transfers.command()
def resolve(
    key: Annotated[str | None, typer.Argument(help="A stuck transfer to decide by hand.")] = None,
    outcome: Annotated[
        str | None, typer.Option("--as", help="done, credited, rejected or new (send again).")
    ] = None,
    reason: RestsOn = "",
    fee: Annotated[str, typer.Option(help="With --as credited: what was kept.")] = "0",
    everything: Annotated[
        bool, typer.Option("--all", help="Ask about all open ones, not only those due.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Ask the venues about open transfers, or decide about a stuck one by hand.

    Examples:

        plimsoll transfers resolve --all

        plimsoll transfers resolve 3f9a1c0d5b7e --as rejected
        --reason "the venue's desk confirms in ticket 4711 that it was never received"
    """
    from tasks import transfers as desk

    if (key is None) != (outcome is None):
        raise typer.BadParameter("KEY and --as go together")
    if key is not None and outcome is not None:
        _show_record(desk.decide(key, outcome, reason, fee), as_json)
        return
    show_worked("Resolved", desk.resolve_due(everything=everything), as_json)


@transfers.command()
def limits(as_json: Json = False) -> None:
    """Show the limits in force and what is used of them; what is unknown counts as sent.

    Examples:

        plimsoll transfers limits --json
    """
    from flows.terminal import show, show_json
    from tasks import transfers as desk
    from tasks.transfer_tables import limits_table

    _, rows = desk.limits()
    show_json(rows) if as_json else show(limits_table(rows))


@whitelist.command("list")
def whitelist_list(as_json: Json = False) -> None:
    """List destinations, and since when each may be used.

    Examples:

        plimsoll transfers whitelist list
    """
    from tasks import transfers as desk
    from tasks.transfer_tables import whitelist_table

    empty = "no destination is listed: `plimsoll transfers whitelist propose` begins"
    show_list(desk.whitelist(), as_json, desk.entry_as_json, whitelist_table, empty)


@whitelist.command("propose")
def whitelist_propose(
    destination: Annotated[str, typer.Option("--to", help="Place: venue/account.")],
    asset: Asset,
    reason: Reason,
    network: Network = "",
    address: Address = "",
    memo: Memo = "",
    as_json: Json = False,
) -> None:
    """Propose a destination; another person approves it.

    Examples:

        plimsoll transfers whitelist propose --to deribit/main --asset BTC --network BTC
        --address bc1q... --reason "deposit address of the main account"
    """
    from tasks import transfers as desk

    wanted = desk.WhitelistEntry(
        entry_id="", destination=destination, asset=asset, network=network, address=address,
        memo=memo,
    )  # fmt: skip
    _show_entry(desk.whitelist_propose(wanted, reason), as_json)


@whitelist.command("approve")
def whitelist_approve(entry: Entry, reason: Reason, as_json: Json = False) -> None:
    """Approve a destination that somebody else has proposed; it may be used after its cool-off.

    Examples:

        plimsoll transfers whitelist approve 5e1f08c2 --reason "compared with the venue's page"
    """
    from tasks import transfers as desk

    _show_entry(desk.whitelist_approve(entry, reason), as_json)


@whitelist.command("revoke")
def whitelist_revoke(entry: Entry, reason: Reason, as_json: Json = False) -> None:
    """Take a destination off the list at once.

    Examples:

        plimsoll transfers whitelist revoke 5e1f08c2 --reason "the account was closed"
    """
    from tasks import transfers as desk

    _show_entry(desk.whitelist_revoke(entry, reason), as_json)


def _show_record(record: TransferRecord, as_json: bool) -> None:
    from tasks import transfers as desk

    show_record(record, as_json, desk.record_as_json, "transfers")


def _show_entry(entry: WhitelistEntry, as_json: bool) -> None:
    from flows.terminal import show_json, tell
    from tasks import transfers as desk

    if as_json:
        show_json(desk.entry_as_json(entry))
    elif entry.revoked_at is not None:
        tell(f"{entry.destination} for {entry.asset} is off the list")
    elif entry.active_from is not None:
        tell(f"{entry.destination} for {entry.asset} may be used from "
             f"{entry.active_from:%Y-%m-%d %H:%M}Z")  # fmt: skip
    else:
        short = entry.entry_id[:12]
        tell(f"next, by somebody else: `plimsoll transfers whitelist approve {short} --reason ...`")

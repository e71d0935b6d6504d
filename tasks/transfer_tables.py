"""Tables of transfers for people; whoever wants every field takes JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.transfers import WhitelistEntry

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from infra.db.transfers import TransferRecord
    from infra.transfers import Worked
    from tasks.transfers import Shown

_COLOURS: Final = {
    "proposed": "yellow", "approved": "yellow", "new": "cyan", "unknown": "bold magenta",
    "done": "cyan", "credited": "green", "reconciled": "green", "stuck": "bold red",
    "rejected": "red", "cancelled": "dim",
}  # fmt: skip


def transfers_table(records: Sequence[TransferRecord]) -> Table:
    """Return transfers, a row each."""
    table = _table("Transfers", "Key", "State", "Quantity", "From", "To", "For", "Note")
    for one in records:
        intent = one.intent
        table.add_row(
            one.transfer_key[:12], _state(one.state), f"{intent.quantity} {intent.asset}",
            intent.source, intent.destination, f"{intent.purpose} leg {intent.leg}", one.note,
        )  # fmt: skip
    return table


def transfer_view(found: Shown) -> RenderableType:
    """Return one transfer: what it says, how it stands, and what happened to it."""
    from rich.console import Group

    record, intent = found.record, found.record.intent
    facts = _table(f"Transfer {record.transfer_key}", "Fact", "Value")
    approvers = ", ".join(found.approvers) or "nobody yet"
    rows: list[tuple[str, object]] = [
        ("state", _state(record.state)),
        ("quantity", f"{intent.quantity} {intent.asset}"),
        ("from, to", f"{intent.source} → {intent.destination}"),
        ("network, address, memo", " · ".join((intent.network, intent.address, intent.memo))),
        ("for", f"{intent.purpose}, leg {intent.leg}, attempt group {intent.attempt_group}"),
        ("proposed by", f"{record.proposer}: {record.reason}"),
        ("approved by", f"{approvers} ({len(found.approvers)} of {found.n_needed})"),
        ("payload hash", record.payload_hash),
        ("sent", _counted(record.attempts, record.sent_at)),
        ("at the venue", record.venue_transfer_id or "not known"),
        ("debited", _instant(record.debited_at)),
        ("credited", _instant(record.credited_at)),
        ("fee", "" if record.fee is None else f"{record.fee} {intent.asset}"),
        ("note", record.note),
    ]
    for name, value in rows:
        if str(value).strip(" ·"):
            facts.add_row(name, str(value))
    events = _table("History", "No", "At, UTC", "State", "Fact", "Who", "Why")
    for event in found.events:
        events.add_row(
            str(event.number), f"{event.recorded_at:%Y-%m-%d %H:%M:%S}", _state(event.state),
            event.fact, event.actor, event.reason,
        )  # fmt: skip
    return Group(facts, events)


def worked_table(title: str, found: Worked) -> Table:
    """Return what a round of the desk has done."""
    table = _table(title, "Key", "Result", "What")
    for result, rows in (("moved", found.moved), ("waits", found.waiting)):
        for key, sentence in rows.items():
            table.add_row(key[:12], result, sentence)
    return table


def limits_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return limits with what is used of them."""
    table = _table("Limits", "From", "To", "Asset", "Day", "of", "24 hours", "of")
    names = (
        "source", "destination", "asset", "day_used", "day_max", "rolling_used", "rolling_max",
    )  # fmt: skip
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    return table


def whitelist_table(entries: Sequence[WhitelistEntry]) -> Table:
    """Return destinations with since when they may be used."""
    heads = ("Entry", "Destination", "Asset", "Network", "Address", "Memo", "In use from, UTC")
    table = _table("Whitelist", *heads)
    for one in entries:
        since = _instant(one.active_from) or "[yellow]waits for a second person[/]"
        if one.revoked_at is not None:
            since = f"[red]revoked {_instant(one.revoked_at)}[/]"
        elif not one.is_sealed:
            since = "[red]approval without this installation's seal: revoke, propose anew[/]"
        table.add_row(
            one.entry_id[:12], one.destination, one.asset, one.network, one.address, one.memo, since
        )
    return table


def _counted(attempts: int, sent_at: Any) -> str:
    if not attempts:
        return "not yet"
    return f"{attempts} time{'s' if attempts > 1 else ''}, last {_instant(sent_at)}"


def _state(state: str) -> str:
    return f"[{_COLOURS[state]}]{state}[/]"


def _instant(moment: Any) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table

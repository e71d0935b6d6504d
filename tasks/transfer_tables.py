"""Tables of transfers for people; whoever wants every field takes JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.transfers import WhitelistEntry
from tasks.desk_tables import coloured, facts_table, instant
from tasks.desk_tables import table as new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from infra.db.transfers import TransferRecord
    from tasks.transfers import Shown


def transfers_table(records: Sequence[TransferRecord]) -> Table:
    """Return transfers, a row each."""
    table = new_table("Transfers", "Key", "State", "Quantity", "From", "To", "For", "Note")
    for one in records:
        intent = one.intent
        table.add_row(
            one.transfer_key[:12], coloured(one.state), f"{intent.quantity} {intent.asset}",
            intent.source, intent.destination, f"{intent.purpose} leg {intent.leg}", one.note,
        )  # fmt: skip
    return table


def transfer_view(found: Shown) -> RenderableType:
    """Return one transfer: what it says, how it stands, and what happened to it."""
    from rich.console import Group

    record, intent = found.record, found.record.intent
    approvers = ", ".join(found.approvers) or "nobody yet"
    rows: list[tuple[str, object]] = [
        ("state", coloured(record.state)),
        ("quantity", f"{intent.quantity} {intent.asset}"),
        ("from, to", f"{intent.source} → {intent.destination}"),
        ("network, address, memo", " · ".join((intent.network, intent.address, intent.memo))),
        ("for", f"{intent.purpose}, leg {intent.leg}, attempt group {intent.attempt_group}"),
        ("proposed by", f"{record.proposer}: {record.reason}"),
        ("approved by", f"{approvers} ({len(found.approvers)} of {found.n_needed})"),
        ("payload hash", record.payload_hash),
        ("sent", _counted(record.attempts, record.sent_at)),
        ("at the venue", record.venue_transfer_id or "not known"),
        ("debited", instant(record.debited_at)),
        ("credited", instant(record.credited_at)),
        ("fee", "" if record.fee is None else f"{record.fee} {intent.asset}"),
        ("note", record.note),
    ]
    facts = facts_table(f"Transfer {record.transfer_key}", rows)
    events = new_table("History", "No", "At, UTC", "State", "Fact", "Who", "Why")
    for event in found.events:
        events.add_row(
            str(event.number), instant(event.recorded_at), coloured(event.state),
            event.fact, event.actor, event.reason,
        )  # fmt: skip
    return Group(facts, events)


def limits_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return limits with what is used of them."""
    table = new_table("Limits", "From", "To", "Asset", "Day", "of", "24 hours", "of")
    names = (
        "source", "destination", "asset", "day_used", "day_max", "rolling_used", "rolling_max",
    )  # fmt: skip
    for row in rows:
        table.add_row(*(str(row[name]) for name in names))
    return table


def whitelist_table(entries: Sequence[WhitelistEntry]) -> Table:
    """Return destinations with since when they may be used."""
    heads = ("Entry", "Destination", "Asset", "Network", "Address", "Memo", "In use from, UTC")
    table = new_table("Whitelist", *heads)
    for one in entries:
        since = instant(one.active_from) or "[yellow]waits for a second person[/]"
        if one.revoked_at is not None:
            since = f"[red]revoked {instant(one.revoked_at)}[/]"
        elif not one.is_sealed:
            since = "[red]approval without this installation's seal: revoke, propose anew[/]"
        table.add_row(
            one.entry_id[:12], one.destination, one.asset, one.network, one.address, one.memo, since
        )
    return table


def _counted(attempts: int, sent_at: Any) -> str:
    if not attempts:
        return "not yet"
    return f"{attempts} time{'s' if attempts > 1 else ''}, last {instant(sent_at)}"

"""Tables of reductions for people; whoever wants every field takes JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infra.report.amounts import percent, short
from tasks.desk_tables import coloured, facts_table, instant
from tasks.desk_tables import table as new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from infra.db.reduction_records import OrderRecord, ReductionRecord
    from tasks.reduction import ShownReduction


def reductions_table(records: Sequence[ReductionRecord]) -> Table:
    """Return plans, a row each."""
    heads = ("Plan", "State", "Netting set", "Kind", "Notional USD", "Cost USD", "For", "Note")
    table = new_table("Reductions", *heads)
    for one in records:
        table.add_row(
            one.plan_id[:12], _coloured(one.state), one.intent.netting_set_id,
            one.intent.kind.replace("_", " "), short(float(one.notional)), short(float(one.cost)),
            one.intent.cause, one.note,
        )  # fmt: skip
    return table


def reduction_page(found: ShownReduction) -> RenderableType:
    """Return one plan: what it says, how it stands, its orders and what happened to it."""
    from rich.console import Group

    record = found.record
    approvers = ", ".join(found.approvers) or "nobody yet"
    rows: list[tuple[str, object]] = [
        ("state", _coloured(record.state)),
        ("netting set", record.intent.netting_set_id),
        ("for", f"{record.intent.cause}, attempt {record.intent.attempt}"),
        ("mode", record.mode),
        ("planned", f"{record.intent.kind.replace('_', ' ')}, {record.status}: "
                    f"{record.figures.get('choice', '')}"),
        ("notional, cost", f"{short(float(record.notional))}, {short(float(record.cost))} USD"),
        ("owed of collateral", _ratios(record.figures)),
        ("rests on", f"{record.intent.run_id}, of use until {instant(record.valid_until)}"),
        ("proposed by", f"{record.proposer}: {record.reason}"),
        ("approved by", f"{approvers} ({len(found.approvers)} of {found.n_needed})"),
        ("payload hash", record.payload_hash),
        ("note", record.note),
    ]  # fmt: skip
    facts = facts_table(f"Reduction {record.plan_id}", rows)
    parts: list[RenderableType] = [facts, _legs(found), orders_table(found.orders)]
    parts += [_waterfalls(record.figures), _events(found)]
    return Group(*parts)


def orders_table(orders: Sequence[OrderRecord]) -> Table:
    """Return orders, a row each."""
    heads = ("Order", "Leg", "Slice", "State", "Lots", "Filled", "Limit", "Average", "At", "Note")
    table = new_table("Orders", *heads)
    for one in orders:
        average = "" if one.average_price is None else f"{one.average_price:f}"
        table.add_row(
            one.order_key[:12], str(one.leg), str(one.slice), _coloured(one.state), str(one.lots),
            str(one.filled_lots), f"{one.limit_price:f}", average, one.place, one.note,
        )  # fmt: skip
    return table


def if_nothing_is_done(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what each venue would do by itself, as rows of words."""
    return [
        {
            "venue account": str(account["account_id"]),
            "maintenance USD": _figure(account["maintenance_margin_usd"]),
            "equity USD": _figure(account["equity_usd"]),
            "the venue would": _would(account),
        }
        for account in figures.get("venue_accounts", [])
    ]


def _would(account: Mapping[str, Any]) -> str:
    if account["standing"] == "covered":
        return "leave it alone"
    if "end" not in account:
        return f"not known: {account['reason']}"
    n = sum(step["action"] == "liquidate" for step in account["steps"])
    hedges = any(step["action"] == "hedge" for step in account["steps"])
    first = "open a hedge, then " if hedges else ""
    takes = f"{_figure(account['notional_usd'])} USD in {n} steps"
    return f"{first}take {takes}, fees {_figure(account['fees_usd'])} USD: {account['end']}"


def _legs(found: ShownReduction) -> Table:
    table = new_table("Legs", "No", "Account", "Instrument", "Order", "Quantity", "Filled", "USD")
    for leg in found.record.intent.legs:
        lots = sum(one.filled_lots for one in found.orders if one.leg == leg.number)
        kind = "reduce only" if leg.is_reduce_only else "hedge"
        table.add_row(
            str(leg.number), leg.account_id, leg.instrument_id, f"{leg.side}, {kind}",
            f"{leg.quantity:f}", f"{lots * leg.lot:f}", short(float(leg.lots * leg.lot_notional)),
        )  # fmt: skip
    return table


def _waterfalls(figures: Mapping[str, Any]) -> Table:
    heads = ("venue account", "maintenance USD", "equity USD", "the venue would")
    table = new_table("If nothing is done, at the marks of the plan", *heads)
    for row in if_nothing_is_done(figures):
        table.add_row(*row.values())
    return table


def _events(found: ShownReduction) -> Table:
    events = new_table("History", "No", "At, UTC", "Order", "State", "Fact", "Who", "Why")
    for event in found.events:
        events.add_row(
            str(event.number), instant(event.recorded_at), event.order_key[:8],
            _coloured(event.state), event.fact, event.actor, event.reason,
        )  # fmt: skip
    return events


def _ratios(figures: Mapping[str, Any]) -> str:
    before, after = figures.get("ratio_before"), figures.get("ratio_after")
    if before is None or after is None:
        return ""
    return f"{percent(before)} before, {percent(after)} after"


def _figure(value: float | None) -> str:
    return "not known" if value is None else short(value)


def _coloured(state: str) -> str:
    # An order that is cancelled may have filled in part.
    return coloured(state, cancelled="yellow")

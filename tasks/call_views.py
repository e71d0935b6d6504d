"""Calls as people list and read them, and as JSON values."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from infra import listings
from infra.clock import utc_now
from infra.db import Done
from infra.listings import done_as_json as done_as_json
from infra.report.amounts import exact
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_STYLES = {
    "issued": "cyan", "agreed": "green", "pledged": "green", "settled": "green",
    "partially_disputed": "yellow", "disputed": "yellow", "failed": "bold red",
    "escalated": "bold red", "reduction": "bold red", "computed": "dim",
}  # fmt: skip


def calls_as_json(
    direction: str | None = None, state: str | None = None, netting_set: str | None = None
) -> list[dict[str, Any]]:
    """Return open calls with their amounts, the one that is due first leading."""
    database = workplace().database
    database.check_schema()
    return listings.calls_as_json(
        database, utc_now(), direction=direction, state=state, netting_set=netting_set
    )


def calls_table(calls: list[dict[str, Any]]) -> Table:
    """Return ``calls_as_json`` as a table."""
    heads = (
        "Netting set", "Direction", "Asked", "Open", "Settled", "Currency", "State", "Due, UTC",
        "Call",
    )  # fmt: skip
    table = _table("Open calls", *heads)
    for call in calls:
        late = " [bold red]late[/]" if call["is_late"] else ""
        table.add_row(
            call["netting_set_id"],
            call["direction"],
            exact(Decimal(call["amount"])),
            exact(Decimal(call["outstanding"])),
            exact(Decimal(call["settled"])) if Decimal(call["settled"]) else "",
            call["currency"],
            _state(call["state"]),
            _minute(call["first_due_at"]) + late,
            call["call_id"],
        )
    return table


def call_as_json(call_id: str) -> dict[str, Any]:
    """Return everything that is known of one call."""
    database = workplace().database
    database.check_schema()
    return listings.call_as_json(database, call_id, utc_now())


def call_page(call: dict[str, Any]) -> RenderableType:
    """Return ``call_as_json`` as a page: what it asks for, what has come, what happened."""
    from rich.console import Group

    parts: list[RenderableType] = [_facts_table(call)]
    if call["pledges"]:
        parts.append(_pledges_table(call))
    if call["substitutions"]:
        parts.append(_substitutions_table(call))
    history = _table("History", "Event", "State", "By", "At, UTC", "Why")
    for event in call["history"]:
        history.add_row(
            str(event["number"]),
            _state(event["state"]),
            event["actor"],
            _minute(event["recorded_at"]),
            event["reason"],
        )
    parts.append(history)
    return Group(*parts)


def aged_table(steps: list[dict[str, Any]]) -> Table:
    """Return the steps that time has taken as a table."""
    table = _table("Past due", "Netting set", "Is now", "Told", "Due since, UTC", "Call")
    for step in steps:
        table.add_row(
            step["netting_set_id"],
            _state(step["state"]),
            step["told"],
            _minute(step["due_at"]),
            step["call_id"],
        )
    if not steps:
        table.caption = "nothing is due"
    return table


def done_in_words(done: Done) -> str:
    """Return what an act came to as a sentence, and what comes next."""
    standing = done.standing
    if done.is_repetition:
        return (
            f"this was recorded before, as event {done.number}; nothing was added. For another "
            "one alike, give it a --key of its own"
        )
    left = f"; {exact(standing.outstanding)} open" if standing.outstanding else ""
    return f"call {done.call_id} is {standing.state.replace('_', ' ')}{left} (event {done.number})"


def _facts_table(call: dict[str, Any]) -> Table:
    currency = call["currency"]
    table = _table(f"{call['direction'].capitalize()} {call['call_id']}", "", "")
    rows = {
        "Netting set": call["netting_set_id"],
        "State": _state(call["state"]),
        "Asked": f"{exact(Decimal(call['amount']))} {currency}",
        "Open": f"{exact(Decimal(call['outstanding']))} {currency}",
        "Agreed": exact(Decimal(call["agreed"])),
        "Disputed": exact(Decimal(call["disputed"])),
        "On its way": exact(Decimal(call["in_flight"])),
        "Settled": exact(Decimal(call["settled"])),
        "Issued, UTC": _minute(call["issued_at"]),
        "Notified, UTC": _minute(call["notified_at"]),
        "Due, UTC": _minute(call["due_at"]),
        "Something due since, UTC": _minute(call["first_due_at"]),
        "Run": call["run_id"],
        "Replaces": call["supersedes"] if call["supersedes"] not in (None, "None") else "",
        "Seen (for --seen)": str(call["n_events"]),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _pledges_table(call: dict[str, Any]) -> Table:
    heads = ("Pledge", "Asset", "Quantity", "Place", "Value", "Settled", "On its way")
    table = _table("Pledges", *heads)
    for one in call["pledges"]:
        table.add_row(
            str(one["pledge"]),
            one.get("asset", ""),
            one.get("quantity", ""),
            one.get("place", ""),
            *(exact(Decimal(one[name])) for name in ("value", "settled", "remaining")),
        )
    return table


def _substitutions_table(call: dict[str, Any]) -> Table:
    heads = ("Substitution", "State", "Of pledge", "Out", "In", "Asset", "Quantity", "Place")
    table = _table("Substitutions", *heads)
    for one in call["substitutions"]:
        table.add_row(
            str(one["substitution"]),
            one["state"],
            str(one["pledge"]),
            exact(Decimal(one["value_out"])),
            exact(Decimal(one["value_in"])),
            one.get("asset", ""),
            one.get("quantity", ""),
            one.get("place", ""),
        )
    return table


def _table(title: str, *heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=any(heads))
    numbers = {"Asked", "Open", "Settled", "Quantity", "Value", "On its way", "Out", "In"}
    for head in heads:
        # What has to be typed again is never cut; on a narrow terminal it goes on below.
        table.add_column(
            head,
            justify="right" if head in numbers else "left",
            no_wrap=head in ("Call", "Netting set", "Due, UTC"),
            overflow="fold",
        )
    return table


def _state(state: str) -> str:
    style = _STYLES.get(state)
    worded = state.replace("_", " ")
    return f"[{style}]{worded}[/]" if style else worded


def _minute(instant: str | None) -> str:
    return str(instant)[:16].replace("T", " ") if instant else ""

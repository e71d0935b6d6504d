"""Calls as people list and read them, and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.calls.standing import Standing
from engine.errors import ParameterError
from infra.clock import utc_now
from infra.db import Done
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
_AMOUNTS = ("outstanding", "agreed", "disputed", "in_flight", "settled")


def calls_as_json(
    direction: str | None = None, state: str | None = None, netting_set: str | None = None
) -> list[dict[str, Any]]:
    """Return open calls with their amounts, the one that is due first leading."""
    from engine.calls.states import STATES

    _require_word("--direction", direction, ("call", "return"))
    _require_word("--state", state, sorted(STATES))
    database = workplace().database
    database.check_schema()
    frame = database.calls.open_calls()
    for column, wanted in (
        ("direction", direction), ("state", state), ("netting_set_id", netting_set)
    ):  # fmt: skip
        if wanted is not None:
            frame = frame[frame[column] == wanted]
    standings = database.calls.standings([str(name) for name in frame["call_id"]])
    now = utc_now()
    return [_as_json(row, standings[str(row["call_id"])], now) for row in frame.to_dict("records")]


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
    found = database.calls.record(call_id)
    shown = _as_json(found.call, found.standing, utc_now())
    history = database.calls.history(call_id)
    terms = found.terms
    return {
        **shown,
        "issued_at": terms["issued_at"].isoformat() if terms else None,
        "notified_at": terms["notified_at"].isoformat() if terms else None,
        "terms": terms["terms"] if terms else None,
        "pledges": [
            {
                "pledge": pledge.number,
                "value": format(pledge.value, "f"),
                "settled": format(pledge.settled, "f"),
                "remaining": format(pledge.remaining, "f"),
                **_details(found.facts, pledge.number),
            }
            for pledge in found.standing.pledges
        ],
        "substitutions": [
            {
                "substitution": one.number,
                "pledge": one.pledge,
                "state": one.state,
                "value_out": format(one.value_out, "f"),
                "value_in": format(one.value_in, "f"),
                **_details(found.facts, one.number),
            }
            for one in found.substitutions.values()
        ],
        "history": [
            {str(name): _plain(value) for name, value in row.items()}
            for row in history.to_dict("records")
        ],
    }


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


def done_as_json(done: Done) -> dict[str, Any]:
    """Return what an act came to."""
    return {
        "call_id": done.call_id,
        "event": done.number,
        "is_repetition": done.is_repetition,
        "state": done.standing.state,
        **_amounts(done.standing),
    }


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


def _as_json(call: Mapping[Any, Any], standing: Standing, now: datetime) -> dict[str, Any]:
    is_late = (
        standing.direction == "call"
        and standing.state not in ("settled", "superseded", "withdrawn", "computed")
        and call["first_due_at"] <= now
    )
    plain = {str(name): _plain(value) for name, value in call.items()}
    return {**plain, **_amounts(standing), "is_late": is_late}


def _amounts(standing: Standing) -> dict[str, str]:
    return {name: format(getattr(standing, name), "f") for name in _AMOUNTS}


def _details(facts: tuple[Mapping[str, Any], ...], number: int) -> dict[str, Any]:
    return next((dict(row["details"]) for row in facts if row["number"] == number), {})


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


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return None
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) else str(value)


def _require_word(name: str, found: str | None, words: tuple[str, ...] | list[str]) -> None:
    if found is not None and found not in words:
        listed = ", ".join(words)
        raise ParameterError(
            f"{name} is {found!r}, limit: one of {listed}",
            identifier=name,
            value=found,
            limit=listed,
        )

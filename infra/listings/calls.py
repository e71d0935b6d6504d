"""Calls with their amounts, and everything that is known of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from engine.calls.standing import Standing
from engine.calls.states import STATES
from engine.errors import ParameterError

if TYPE_CHECKING:
    from infra.db import Database, Done

_AMOUNTS: Final = ("outstanding", "agreed", "disputed", "in_flight", "settled")


def calls_as_json(
    database: Database,
    now: datetime,
    *,
    direction: str | None = None,
    state: str | None = None,
    netting_set: str | None = None,
) -> list[dict[str, Any]]:
    """Return open calls with their amounts, the one that is due first leading.

    Raises
    ------
    ParameterError
        If direction or state is no such word.
    """
    _require_word("--direction", direction, ("call", "return"))
    _require_word("--state", state, sorted(STATES))
    frame = database.calls.open_calls()
    for column, wanted in (
        ("direction", direction), ("state", state), ("netting_set_id", netting_set)
    ):  # fmt: skip
        if wanted is not None:
            frame = frame[frame[column] == wanted]
    standings = database.calls.standings([str(name) for name in frame["call_id"]])
    return [_as_json(row, standings[str(row["call_id"])], now) for row in frame.to_dict("records")]


def call_as_json(database: Database, call_id: str, now: datetime) -> dict[str, Any]:
    """Return everything that is known of one call; MissingDataError if there is none."""
    found = database.calls.record(call_id)
    shown = _as_json(found.call, found.standing, now)
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


def done_as_json(done: Done) -> dict[str, Any]:
    """Return what an act came to."""
    return {
        "call_id": done.call_id,
        "event": done.number,
        "is_repetition": done.is_repetition,
        "state": done.standing.state,
        **_amounts(done.standing),
    }


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

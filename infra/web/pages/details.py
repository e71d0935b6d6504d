"""What the pages of one call, transfer or plan show, on the page and in its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.listings import call_as_json, shown_reduction, shown_transfer

if TYPE_CHECKING:
    from infra.db import RunHandle
    from infra.web.state import WebState

_RUNS_SHOWN: Final = 60


def call_of(web: WebState, call_id: str) -> dict[str, Any]:
    """Return a call with its life."""
    found = call_as_json(web.database, call_id, web.database.clock())
    return {"call": found, "client_id": web.database.calls.client_of(call_id) or ""}


def transfer_of(web: WebState, transfer_key: str) -> dict[str, Any]:
    """Return a transfer with its payload and life."""
    found = shown_transfer(web.database, web.services.policy(), transfer_key)
    return {"found": found, "record": found.record, "intent": found.record.intent}


def reduction_of(web: WebState, plan_id: str) -> dict[str, Any]:
    """Return a plan with its orders."""
    found = shown_reduction(web.database, web.services.reduction_desk().policy, plan_id)
    return {"found": found, "record": found.record, "intent": found.record.intent}


def runs_of(web: WebState) -> tuple[RunHandle, ...]:
    """Return the latest runs."""
    return web.database.runs.list(_RUNS_SHOWN)

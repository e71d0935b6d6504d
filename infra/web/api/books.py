"""Netting sets, requirements, the board, health, alerts and breaks."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from engine.errors import MissingDataError
from infra.report.json_twin import plain
from infra.web.api.models import REFUSALS, Alert, Board, Health, NettingSet
from infra.web.state import caller_of, web_of
from infra.web.views.book import Book, SetRow, book_of_close, history_of
from infra.web.views.lists import alerts_of, breaks_of

router = APIRouter(tags=["book"], responses=REFUSALS)
Identifier = Annotated[str, Path(max_length=200)]
RunId = Annotated[str | None, Query(max_length=120, description="a run; the last one if absent")]


@router.get("/v1/netting-sets", response_model=list[NettingSet])
def netting_sets(
    request: Request, client_id: Annotated[str | None, Query(max_length=200)] = None
) -> list[dict[str, Any]]:
    """All netting sets that the caller may see, as they stand."""
    rows = web_of(request).live.book().of(caller_of(request).clients)
    return [set_as_json(row) for row in rows if client_id in (None, row.client_id)]


@router.get("/v1/netting-sets/{netting_set_id}", response_model=NettingSet)
def netting_set(request: Request, netting_set_id: Identifier) -> dict[str, Any]:
    """One netting set as it stands."""
    row = web_of(request).live.book().find(netting_set_id)
    if row is None:
        raise MissingDataError(f"there is no netting set {netting_set_id}")
    return set_as_json(row)


@router.get("/v1/netting-sets/{netting_set_id}/explanation")
def explanation(request: Request, netting_set_id: Identifier, run: RunId = None) -> dict[str, Any]:
    """Why it owes what it owes: from the call back to scenarios, positions and parameters."""
    web = web_of(request)
    run_id = run or web.live.book().run_id
    with web.bench.place("explanation"):
        return web.services.explanation(netting_set_id, run_id)


@router.get("/v1/netting-sets/{netting_set_id}/history")
def history(request: Request, netting_set_id: Identifier) -> list[dict[str, Any]]:
    """The netting set at its last closes, newest first."""
    found = history_of(web_of(request).database, netting_set_id)
    return [{name: plain(value) for name, value in row.items()} for row in found]


@router.get("/v1/requirements", response_model=Board)
def requirements(request: Request, run: RunId = None) -> dict[str, Any]:
    """What netting sets owe after a close, as it was recorded."""
    web, who = web_of(request), caller_of(request)
    chosen = web.database.runs.get(run or web.live.book().run_id)
    return board_as_json(book_of_close(web.database, chosen), who.clients)


@router.get("/v1/board", response_model=Board)
def board(request: Request) -> dict[str, Any]:
    """All netting sets as they stand, and whether that is now."""
    return board_as_json(web_of(request).live.book(), caller_of(request).clients)


@router.get("/v1/health", response_model=list[Health])
def health(request: Request) -> list[dict[str, Any]]:
    """What is to be trusted, worst first."""
    web = web_of(request)
    now = web.database.clock()
    return [
        {
            "scope": row.scope,
            "name": row.name,
            "state": row.state,
            "since": row.since,
            "age_seconds": None if row.since is None else (now - row.since).total_seconds(),
            "reason": row.reason,
            "next_action": row.next_action,
        }
        for row in web.live.health()
        if caller_of(request).clients is None or row.scope != "account"
    ]


@router.get("/v1/alerts", response_model=list[Alert])
def alerts(
    request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[dict[str, Any]]:
    """What people have to hear of, newest first."""
    web, who = web_of(request), caller_of(request)
    return [
        {
            "position": one.position,
            "name": one.name,
            "resource": one.resource,
            "occurred_at": one.occurred_at,
            "payload": dict(one.payload),
        }
        for one in alerts_of(web, who, limit)
    ]


@router.get("/v1/breaks")
def breaks(request: Request) -> list[dict[str, Any]]:
    """Open differences between the books, oldest first."""
    found = breaks_of(web_of(request), caller_of(request))
    return [{name: plain(value) for name, value in row.items()} for row in found]


def board_as_json(book: Book, clients: frozenset[str] | None) -> dict[str, Any]:
    """Return a book as JSON values."""
    return {
        "source": book.source,
        "version": book.version,
        "as_of": book.as_of,
        "run_id": book.run_id,
        "snapshot_id": book.snapshot_id,
        "business_date": book.business_date,
        "rows": [set_as_json(row) for row in book.of(clients)],
    }


def set_as_json(row: SetRow) -> dict[str, Any]:
    """Return a netting set as JSON values: exact amounts as text, an endless ratio as null."""
    found: dict[str, Any] = {}
    for name in SetRow.__slots__:
        value = getattr(row, name)
        if isinstance(value, Decimal):
            value = format(value, "f")
        elif isinstance(value, float) and not math.isfinite(value):
            value = None
        found[name] = value
    return found

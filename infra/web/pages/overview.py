"""The overview, and the page of one netting set."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse

from engine.errors import MarginPlatformError, MissingDataError, StateError
from infra.web.pages import listed
from infra.web.pages.frame import page
from infra.web.state import caller_of, web_of
from infra.web.views.book import SetRow, history_of
from infra.web.views.lists import health_of
from infra.web.views.sets import STATUSES
from infra.web.views.totals import VenueRow, by_client, by_venue, headline

if TYPE_CHECKING:
    from infra.web.principals import Principal
    from infra.web.state import WebState

router = APIRouter(include_in_schema=False)
_CLIENTS_SHOWN: Final = 12
_CHART_POINTS_MIN: Final = 3


@router.get("/")
def overview(request: Request) -> HTMLResponse:
    """Return how the whole book stands."""
    web, who = web_of(request), caller_of(request)
    table = listed.sets(web, who, request.query_params)
    context = overview_context(web, who)
    return page(
        request, "overview.html", live="overview", table=table, statuses=STATUSES,
        venues=venues_of(web, who), troubles=health_of(web, who), **context,
    )  # fmt: skip


def venues_of(web: WebState, who: Principal) -> list[VenueRow] | None:
    """Return venues at the last close, None while the record cannot be read."""
    try:
        return by_venue(web.database, web.live.book().run_id, who.clients)
    except StateError:
        return None


@router.get("/netting-sets/{netting_set_id}")
def netting_set(
    request: Request, netting_set_id: Annotated[str, Path(max_length=200)]
) -> HTMLResponse:
    """Return one netting set: what it owes, why, how it was, and what more would do."""
    web = web_of(request)
    row = web.live.book().find(netting_set_id)
    if row is None:
        raise MissingDataError(f"there is no netting set {netting_set_id}")
    found, obstacle = _explained(web, row)
    history = history_of(web.database, netting_set_id)
    return page(
        request,
        "netting_set.html",
        live="set",
        subject=netting_set_id,
        row=row,
        found=found,
        obstacle=obstacle,
        history=history,
        trail=web.live.trail(netting_set_id),
        calls=_calls(web, netting_set_id),
        chart=chart_of(history),
    )


def chart_of(history: list[dict[str, Any]]) -> str:
    """Return the last closes as JSON for the page's chart; nothing for fewer than three."""
    rows = [row for row in reversed(history) if row["requirement_amount"] is not None]
    if len(rows) < _CHART_POINTS_MIN:
        return ""
    days = [datetime(row["business_date"].year, row["business_date"].month,
                     row["business_date"].day, tzinfo=UTC) for row in rows]  # fmt: skip
    series = [
        ("Owed", [row["owed_amount"] or row["requirement_amount"] for row in rows]),
        ("Collateral", [row["collateral_amount"] for row in rows]),
    ]
    return json.dumps(
        {
            "unit": rows[-1]["currency"],
            "x": [int(day.timestamp()) for day in days],
            "series": [
                {"label": label, "values": [None if one is None else float(one) for one in values]}
                for label, values in series
            ],
        }
    )


def overview_context(web: WebState, who: Principal) -> dict[str, Any]:
    """Return what the overview shows beside its table, on the page and in its stream."""
    book, rates, minimums = web.live.book(), web.live.rates(), web.live.minimums()
    sums = by_client(book, rates, who.clients)
    return {
        "clients": sums.fullest(_CLIENTS_SHOWN),
        "n_clients": int((sums.n_sets > 0).sum()),
        "headline": headline(book, rates, who.clients, minimums),
        "trail": web.live.trail,
        "calls_of_set": web.live.counts().calls,
        "minimums": minimums,
    }


def _explained(web: WebState, row: SetRow) -> tuple[dict[str, Any] | None, str]:
    try:
        with web.bench.place("explanation"):
            return web.services.explanation(row.netting_set_id, web.live.book().run_id), ""
    except MarginPlatformError as error:
        # The figures stand without it; why it is absent is said in its place.
        return None, str(error)


def _calls(web: WebState, netting_set_id: str) -> list[dict[str, Any]]:
    from infra.listings import calls_as_json

    return calls_as_json(web.database, web.database.clock(), netting_set=netting_set_id)

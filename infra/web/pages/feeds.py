"""Breaks, feeds and venues, alerts, runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from engine.errors import MissingDataError
from infra.web import acts
from infra.web.pages import details, listed
from infra.web.pages.fragments import ALERTS_SHOWN
from infra.web.pages.frame import back_to, page
from infra.web.pages.overview import venues_of
from infra.web.state import caller_of, form_of, web_of
from infra.web.views.lists import health_of, told_to

router = APIRouter(include_in_schema=False)
# In a sandbox without an origin its scripts reach neither cookies nor this server.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "sandbox allow-scripts allow-downloads; frame-ancestors 'none'"
)


@router.get("/breaks")
def breaks(request: Request) -> HTMLResponse:
    """Return open differences between the books."""
    table = listed.breaks(web_of(request), caller_of(request), request.query_params)
    return page(request, "breaks.html", live="breaks", table=table)


@router.get("/health")
def health(request: Request) -> HTMLResponse:
    """Return what is to be trusted and how old it is."""
    web, who = web_of(request), caller_of(request)
    table = listed.health(web, who, request.query_params)
    return page(
        request, "health.html", live="health", table=table, venues=venues_of(web, who),
        troubles=health_of(web, who),
    )  # fmt: skip


@router.get("/alerts")
def alerts(request: Request) -> HTMLResponse:
    """Return what people have to hear of, newest first."""
    web, who = web_of(request), caller_of(request)
    return page(
        request, "alerts.html", live="alerts",
        alerts=web.live.happenings(who.clients, ALERTS_SHOWN),
        told=told_to(web, who, ALERTS_SHOWN),
    )  # fmt: skip


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(
    request: Request, alert_id: Annotated[str, Path(max_length=80)]
) -> RedirectResponse:
    """Record that somebody has taken an alert up."""
    web, who = web_of(request), caller_of(request)
    found = acts.acknowledge(web, who, alert_id, form_of(request).get("reason", ""))
    return back_to(request, "/alerts", f"{found.title}: taken up by {who.name}.")


@router.get("/runs")
def runs(request: Request) -> HTMLResponse:
    """Return the latest runs, with links to their reports and to the orchestrator's pages."""
    return page(request, "runs.html", live="runs", runs=details.runs_of(web_of(request)))


@router.get("/runs/{run_id}/report")
def report(request: Request, run_id: Annotated[str, Path(max_length=120)]) -> HTMLResponse:
    """Return the report of a run: one file with scripts of its own, shut in a sandbox."""
    web = web_of(request)
    run = web.database.runs.get(run_id)
    found = web.services.report(run.run_id)
    if found is None:
        raise MissingDataError(f"{run.run_id} has no report", identifier=run.run_id)
    return HTMLResponse(found, headers={"Content-Security-Policy": _REPORT_POLICY})

"""Reductions: plans that make a book smaller, one of them with its orders, and decisions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from infra.web import acts
from infra.web.pages import details, listed
from infra.web.pages.frame import back_to, page
from infra.web.state import caller_of, form_of, web_of

router = APIRouter(include_in_schema=False)
PlanId = Annotated[str, Path(max_length=80)]


@router.get("/reductions")
def reductions(request: Request) -> HTMLResponse:
    """Return plans, newest first."""
    table = listed.reductions(web_of(request), caller_of(request), request.query_params)
    return page(request, "reductions.html", live="reductions", table=table)


@router.get("/reductions/{plan_id}")
def reduction(request: Request, plan_id: PlanId) -> HTMLResponse:
    """Return one plan: its legs, what is approved, its orders and what happened."""
    web, who = web_of(request), caller_of(request)
    now = web.database.clock()
    return page(
        request, "reduction.html", live="reduction", subject=plan_id,
        needs_confirmation=acts.needs_confirmation(web, who),
        waits_until=who.user.approves_from if now < who.user.approves_from else None,
        **details.reduction_of(web, plan_id),
    )  # fmt: skip


@router.post("/reductions/{plan_id}/approve")
def approve(request: Request, plan_id: PlanId) -> RedirectResponse:
    """Approve the payload that the page has shown."""
    form, web, who = form_of(request), web_of(request), caller_of(request)
    digest, reason = form.get("payload_hash", ""), form.get("reason", "")
    found = acts.approve_reduction(web, who, plan_id, digest, reason)
    return back_to(request, f"/reductions/{found.plan_id}", f"Approved; the plan is {found.state}.")


@router.post("/reductions/{plan_id}/reject")
def reject(request: Request, plan_id: PlanId) -> RedirectResponse:
    """Refuse a plan that is proposed."""
    reason = form_of(request).get("reason", "")
    found = acts.end_reduction(web_of(request), caller_of(request), plan_id, "reject", reason)
    return back_to(request, f"/reductions/{found.plan_id}", f"The plan is {found.state}.")


@router.post("/reductions/{plan_id}/stop")
def stop(request: Request, plan_id: PlanId) -> RedirectResponse:
    """Stop a plan at work."""
    reason = form_of(request).get("reason", "")
    found = acts.end_reduction(web_of(request), caller_of(request), plan_id, "stop", reason)
    return back_to(request, f"/reductions/{found.plan_id}", f"The plan is {found.state}.")

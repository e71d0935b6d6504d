"""Reductions: list, one, approve, reject, stop."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from infra.listings import plan_as_json, reduction_as_json, shown_reduction
from infra.web import acts
from infra.web.api.models import REFUSALS, Approved, Because, Reduction
from infra.web.state import caller_of, web_of
from infra.web.views.lists import reductions_of

router = APIRouter(tags=["reductions"], responses=REFUSALS)
PlanId = Annotated[str, Path(max_length=80)]


@router.get("/v1/reductions", response_model=list[Reduction])
def reductions(request: Request) -> list[dict[str, Any]]:
    """Plans, newest first."""
    return [plan_as_json(one) for one in reductions_of(web_of(request), caller_of(request))]


@router.get("/v1/reductions/{plan_id}", response_model=Reduction)
def reduction(request: Request, plan_id: PlanId) -> dict[str, Any]:
    """One plan with its legs, orders, approvals and events."""
    web = web_of(request)
    policy = web.services.reduction_desk().policy
    return reduction_as_json(shown_reduction(web.database, policy, plan_id))


@router.post("/v1/reductions/{plan_id}/approve", response_model=Reduction)
def approve(request: Request, plan_id: PlanId, body: Approved) -> dict[str, Any]:
    """Approve exactly the payload whose hash is given; never one's own proposal."""
    web, who = web_of(request), caller_of(request)
    found = acts.approve_reduction(web, who, plan_id, body.payload_hash, body.reason)
    return plan_as_json(found)


@router.post("/v1/reductions/{plan_id}/reject", response_model=Reduction)
def reject(request: Request, plan_id: PlanId, body: Because) -> dict[str, Any]:
    """Refuse a plan that is proposed."""
    web, who = web_of(request), caller_of(request)
    return plan_as_json(acts.end_reduction(web, who, plan_id, "reject", body.reason))


@router.post("/v1/reductions/{plan_id}/stop", response_model=Reduction)
def stop(request: Request, plan_id: PlanId, body: Because) -> dict[str, Any]:
    """Stop a plan at work: nothing of it leaves any more."""
    web, who = web_of(request), caller_of(request)
    return plan_as_json(acts.end_reduction(web, who, plan_id, "stop", body.reason))

"""Rungs of the ladder that wait for a person: list, grant, refuse."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from infra.listings import grant_as_json, waiting_as_json
from infra.web import acts
from infra.web.api.models import REFUSALS, Because, RungDecision, WaitingRung
from infra.web.state import caller_of, web_of
from infra.web.views.lists import rungs_of

router = APIRouter(tags=["rungs"], responses=REFUSALS)
NettingSetId = Annotated[str, Path(max_length=200)]
Rung = Annotated[str, Path(max_length=20, description="warn, call or restrict")]


@router.get("/v1/rungs", response_model=list[WaitingRung])
def rungs(request: Request) -> list[dict[str, Any]]:
    """Rungs that wait for a person, the longest waiting first."""
    return [waiting_as_json(one) for one in rungs_of(web_of(request), caller_of(request))]


@router.post("/v1/netting-sets/{netting_set_id}/rungs/{rung}/grant", response_model=RungDecision)
def grant(
    request: Request, netting_set_id: NettingSetId, rung: Rung, body: Because
) -> dict[str, Any]:
    """Let a rung that waits be acted upon, until the netting set has left it."""
    web, who = web_of(request), caller_of(request)
    asked = acts.RungAct(netting_set_id=netting_set_id, rung=rung, reason=body.reason)
    return grant_as_json(acts.decide_rung(web, who, asked, "granted"))


@router.post("/v1/netting-sets/{netting_set_id}/rungs/{rung}/refuse", response_model=RungDecision)
def refuse(
    request: Request, netting_set_id: NettingSetId, rung: Rung, body: Because
) -> dict[str, Any]:
    """Refuse what a rung asks for; it is asked again when the level rises."""
    web, who = web_of(request), caller_of(request)
    asked = acts.RungAct(netting_set_id=netting_set_id, rung=rung, reason=body.reason)
    return grant_as_json(acts.decide_rung(web, who, asked, "refused"))

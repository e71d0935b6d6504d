"""Rungs of the ladder that wait for a person: granted or refused where they are shown."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse

from infra.web import acts
from infra.web.pages.frame import back_to
from infra.web.state import caller_of, form_of, web_of

router = APIRouter(include_in_schema=False)
NettingSetId = Annotated[str, Path(max_length=200)]
Rung = Annotated[str, Path(max_length=20)]


@router.post("/netting-sets/{netting_set_id}/rungs/{rung}/grant")
def grant(request: Request, netting_set_id: NettingSetId, rung: Rung) -> RedirectResponse:
    """Let a rung that waits be acted upon."""
    return _decided(request, netting_set_id, rung, "granted")


@router.post("/netting-sets/{netting_set_id}/rungs/{rung}/refuse")
def refuse(request: Request, netting_set_id: NettingSetId, rung: Rung) -> RedirectResponse:
    """Refuse what a rung asks for."""
    return _decided(request, netting_set_id, rung, "refused")


def _decided(
    request: Request, netting_set_id: str, rung: str, decision: Literal["granted", "refused"]
) -> RedirectResponse:
    web, who = web_of(request), caller_of(request)
    reason = form_of(request).get("reason", "")
    asked = acts.RungAct(netting_set_id=netting_set_id, rung=rung, reason=reason)
    found = acts.decide_rung(web, who, asked, decision)
    then = "the loop acts on it now" if decision == "granted" else "it is asked again if it rises"
    sentence = f"{found.rung} of {netting_set_id} is {found.decision}: {then}."
    return back_to(request, "/calls", sentence[0].upper() + sentence[1:])

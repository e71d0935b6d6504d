"""Calls: list, one, agree, dispute, settle."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from infra.listings import call_as_json, done_as_json
from infra.web import acts
from infra.web.api.models import REFUSALS, Answered, Call, Disputed, Done, Settled
from infra.web.state import caller_of, web_of
from infra.web.views.lists import calls_of

router = APIRouter(tags=["calls"], responses=REFUSALS)
CallId = Annotated[str, Path(max_length=200)]


@router.get("/v1/calls", response_model=list[Call])
def calls(
    request: Request,
    netting_set_id: Annotated[str | None, Query(max_length=200)] = None,
    direction: Annotated[str | None, Query(pattern="^(call|return)$")] = None,
) -> list[dict[str, Any]]:
    """Open calls and returns, what is due first leading."""
    return [
        call
        for call in calls_of(web_of(request), caller_of(request))
        if netting_set_id in (None, call["netting_set_id"])
        and direction in (None, call["direction"])
    ]


@router.get("/v1/calls/{call_id}", response_model=Call)
def call(request: Request, call_id: CallId) -> dict[str, Any]:
    """Everything that is known of one call."""
    web = web_of(request)
    return call_as_json(web.database, call_id, web.database.clock())


@router.post("/v1/calls/{call_id}/agree", response_model=Done)
def agree(request: Request, call_id: CallId, body: Answered) -> dict[str, Any]:
    """Agree to a call in full, for the client."""
    done = acts.agree(web_of(request), caller_of(request), _asked(call_id, body))
    return done_as_json(done)


@router.post("/v1/calls/{call_id}/dispute", response_model=Done)
def dispute(request: Request, call_id: CallId, body: Disputed) -> dict[str, Any]:
    """Dispute a call but for the amount agreed, naming the figure that is contested."""
    asked = _asked(call_id, body)
    done = acts.dispute(web_of(request), caller_of(request), asked, body.contested, body.agreed)
    return done_as_json(done)


@router.post("/v1/calls/{call_id}/settle", response_model=Done)
def settle(request: Request, call_id: CallId, body: Settled) -> dict[str, Any]:
    """Record what has arrived for a call."""
    paid = acts.Paid(
        value=body.value, pledge=body.pledge, is_last=body.is_last, reference=body.reference
    )
    done = acts.settle(web_of(request), caller_of(request), _asked(call_id, body), paid)
    return done_as_json(done)


def _asked(call_id: str, body: Answered) -> acts.CallAct:
    return acts.CallAct(call_id=call_id, reason=body.reason, seen=body.seen, key=body.key)

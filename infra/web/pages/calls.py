"""Calls: what is open, one of them, and what people do to it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from engine.calls.disputes import DisputeReason
from infra.report.amounts import exact
from infra.web import acts
from infra.web.failures import Refused
from infra.web.pages import details, listed
from infra.web.pages.frame import back_to, page
from infra.web.state import caller_of, form_of, web_of
from infra.web.views.lists import calls_of, rungs_of

router = APIRouter(include_in_schema=False)
CallId = Annotated[str, Path(max_length=200)]


@router.get("/calls")
def calls(request: Request) -> HTMLResponse:
    """Return open calls and returns."""
    web, who = web_of(request), caller_of(request)
    table, found = listed.calls(web, who, request.query_params), calls_of(web, who)
    return page(
        request, "calls.html", live="calls", table=table,
        rungs=rungs_of(web, who), needs_confirmation=acts.needs_confirmation(web, who),
        n_late=sum(1 for call in found if call["is_late"]),
        n_calls=sum(1 for call in found if call["direction"] == "call"),
        n_returns=sum(1 for call in found if call["direction"] == "return"),
    )  # fmt: skip


@router.get("/calls/{call_id}")
def call(request: Request, call_id: CallId) -> HTMLResponse:
    """Return one call with its life and the forms that move it."""
    web = web_of(request)
    transfers = [one for one in web.database.transfers.list() if one.intent.purpose == call_id]
    return page(
        request, "call.html", live="call", subject=call_id, transfers=transfers,
        reasons=[reason.word for reason in DisputeReason], **details.call_of(web, call_id),
    )  # fmt: skip


@router.post("/calls/{call_id}/agree")
def agree(request: Request, call_id: CallId) -> RedirectResponse:
    """Agree to a call in full."""
    done = acts.agree(web_of(request), caller_of(request), _asked(request, call_id))
    return _told(request, call_id, done)


@router.post("/calls/{call_id}/dispute")
def dispute(request: Request, call_id: CallId) -> RedirectResponse:
    """Dispute a call but for the amount agreed."""
    form = form_of(request)
    asked, contested = _asked(request, call_id), form.get("contested", "")
    agreed = form.get("agreed", "") or "0"
    done = acts.dispute(web_of(request), caller_of(request), asked, contested, agreed)
    return _told(request, call_id, done)


@router.post("/calls/{call_id}/settle")
def settle(request: Request, call_id: CallId) -> RedirectResponse:
    """Record what has arrived."""
    form = form_of(request)
    pledge = form.get("pledge", "")
    paid = acts.Paid(
        value=form.get("value", ""),
        pledge=_number("pledge", pledge) if pledge else None,
        is_last=form.get("is_last") == "yes",
        reference=form.get("reference", "")[:200],
    )
    done = acts.settle(web_of(request), caller_of(request), _asked(request, call_id), paid)
    return _told(request, call_id, done)


def _asked(request: Request, call_id: str) -> acts.CallAct:
    form = form_of(request)
    return acts.CallAct(
        call_id=call_id,
        reason=form.get("reason", ""),
        seen=_number("seen", form.get("seen", "")),
    )


def _told(request: Request, call_id: str, done: Any) -> RedirectResponse:
    standing = done.standing
    if done.is_repetition:
        sentence = f"This was recorded before, as event {done.number}; nothing was added."
    else:
        left = f", {exact(standing.outstanding)} open" if standing.outstanding else ""
        sentence = f"Recorded: the call is {standing.state.replace('_', ' ')}{left}."
    return back_to(request, f"/calls/{call_id}", sentence)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Refused(422, f"{name} is {text[:20]!r}, limit: a whole number")
    return int(text)

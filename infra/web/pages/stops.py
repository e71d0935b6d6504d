"""The kill switch."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse

from engine.errors import StateError
from infra.web import acts
from infra.web.pages.frame import back_to, page
from infra.web.state import caller_of, form_of, web_of

router = APIRouter(include_in_schema=False)
_ENTRIES_SHOWN = 30


@router.get("/kill-switch")
def kill_switch(request: Request) -> HTMLResponse:
    """Return the switch, what is in flight, and what was done with it."""
    web, who = web_of(request), caller_of(request)
    switch = web.services.kill_switch()
    try:
        entries = list(reversed(switch.entries()))[:_ENTRIES_SHOWN]
    except StateError:
        # A file that cannot be read counts as armed, and the status says so.
        entries = []
    return page(
        request, "kill_switch.html", switch=switch.status(), entries=entries,
        in_flight=web.database.transfers.list(("unknown", "done", "stuck")),
        needs_confirmation=acts.needs_confirmation(web, who),
    )  # fmt: skip


@router.post("/kill-switch/arm")
def arm(request: Request) -> RedirectResponse:
    """Stop everything that leaves."""
    found = acts.arm(web_of(request), caller_of(request), form_of(request).get("reason", ""))
    return back_to(request, "/kill-switch", found.sentence[0].upper() + found.sentence[1:] + ".")


@router.post("/kill-switch/disarm")
def disarm(request: Request) -> RedirectResponse:
    """Ask to disarm, or confirm."""
    found = acts.disarm(web_of(request), caller_of(request), form_of(request).get("reason", ""))
    if found.is_armed:
        sentence = "Your request is recorded. Another person confirms it."
    else:
        sentence = "The kill switch is disarmed: transfers and orders may leave again."
    return back_to(request, "/kill-switch", sentence)

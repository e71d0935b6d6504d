"""Transfers: what moves, one of them with its payload, proposals and decisions; the whitelist."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from engine.transfers import WhitelistEntry
from infra.web import acts
from infra.web.pages import details, listed
from infra.web.pages.frame import back_to, page
from infra.web.state import caller_of, form_of, web_of
from infra.web.views.lists import transfers_of

router = APIRouter(include_in_schema=False)
Key = Annotated[str, Path(max_length=64)]
_FIELDS = ("purpose", "source", "destination", "asset", "quantity", "network", "address", "memo")
_PLACE_FIELDS = ("destination", "asset", "network", "address", "memo")


@router.get("/transfers")
def transfers(request: Request) -> HTMLResponse:
    """Return transfers, newest first, and the form that proposes one."""
    web, who = web_of(request), caller_of(request)
    table = listed.transfers(web, who, request.query_params)
    states = sorted({one.state for one in transfers_of(web, who)})
    return page(request, "transfers.html", live="transfers", table=table, states=states)


@router.get("/transfers/{transfer_key}")
def transfer(request: Request, transfer_key: Key) -> HTMLResponse:
    """Return one transfer: what is to be approved, by whom, and what happened to it."""
    web, who = web_of(request), caller_of(request)
    found = details.transfer_of(web, transfer_key)
    now = web.database.clock()
    return page(
        request, "transfer.html", live="transfer", subject=transfer_key,
        is_call=found["intent"].purpose.startswith("call-"),
        needs_confirmation=acts.needs_confirmation(web, who),
        waits_until=who.user.approves_from if now < who.user.approves_from else None, **found,
    )  # fmt: skip


@router.post("/transfers")
def propose(request: Request) -> RedirectResponse:
    """Propose a transfer."""
    form = form_of(request)
    given = {name: form.get(name, "").strip() for name in _FIELDS}
    wish = acts.Wish(
        purpose=given["purpose"],
        source=given["source"],
        destination=given["destination"],
        asset=given["asset"],
        quantity=given["quantity"],
        network=given["network"],
        address=given["address"],
        memo=given["memo"],
    )
    record = acts.propose(web_of(request), caller_of(request), wish, form.get("reason", ""))
    sentence = f"Transfer {record.transfer_key[:12]} is {record.state}."
    return back_to(request, f"/transfers/{record.transfer_key}", sentence)


@router.post("/transfers/{transfer_key}/approve")
def approve(request: Request, transfer_key: Key) -> RedirectResponse:
    """Approve the payload that the page has shown."""
    form = form_of(request)
    digest, reason = form.get("payload_hash", ""), form.get("reason", "")
    record, run = acts.approve(web_of(request), caller_of(request), transfer_key, digest, reason)
    sentence = f"Approved; transfer {record.transfer_key[:12]} is {record.state}. {run}".strip()
    return back_to(request, f"/transfers/{record.transfer_key}", sentence)


@router.post("/transfers/{transfer_key}/reject")
def reject(request: Request, transfer_key: Key) -> RedirectResponse:
    """Refuse a transfer that was not sent, or take one's own back."""
    reason = form_of(request).get("reason", "")
    record, run = acts.reject(web_of(request), caller_of(request), transfer_key, reason)
    sentence = f"Transfer {record.transfer_key[:12]} is {record.state}. {run}".strip()
    return back_to(request, f"/transfers/{record.transfer_key}", sentence)


@router.get("/whitelist")
def whitelist(request: Request) -> HTMLResponse:
    """Return destinations, and the form that proposes one."""
    web, who = web_of(request), caller_of(request)
    proposers = {
        one.entry_id: str(web.database.whitelist.history(one.entry_id)[-1]["proposer"])
        for one in web.database.whitelist.list()
        if one.active_from is None and one.revoked_at is None
    }
    return page(
        request, "whitelist.html", entries=web.database.whitelist.list(), proposers=proposers,
        needs_confirmation=acts.needs_confirmation(web, who),
    )  # fmt: skip


@router.post("/whitelist")
def list_destination(request: Request) -> RedirectResponse:
    """Propose a destination."""
    form = form_of(request)
    given = {name: form.get(name, "").strip() for name in _PLACE_FIELDS}
    content = WhitelistEntry(
        entry_id="",
        destination=given["destination"],
        asset=given["asset"],
        network=given["network"],
        address=given["address"],
        memo=given["memo"],
    )
    found = acts.list_destination(
        web_of(request), caller_of(request), content, form.get("reason", "")
    )
    sentence = f"Destination {found.entry_id[:12]} waits for another person."
    return back_to(request, "/whitelist", sentence)


@router.post("/whitelist/{entry_id}/approve")
def approve_destination(request: Request, entry_id: Key) -> RedirectResponse:
    """Approve a destination that another person has proposed."""
    reason = form_of(request).get("reason", "")
    found = acts.approve_destination(web_of(request), caller_of(request), entry_id, reason)
    since = f"{found.active_from:%Y-%m-%d %H:%M} UTC" if found.active_from else "now"
    return back_to(request, "/whitelist", f"Approved; it may be used from {since} on.")


@router.post("/whitelist/{entry_id}/revoke")
def revoke_destination(request: Request, entry_id: Key) -> RedirectResponse:
    """Take a destination off the list at once."""
    reason = form_of(request).get("reason", "")
    found = acts.revoke_destination(web_of(request), caller_of(request), entry_id, reason)
    return back_to(request, "/whitelist", f"Destination {found.entry_id[:12]} is revoked.")

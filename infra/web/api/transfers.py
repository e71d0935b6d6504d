"""Transfers and their destinations: list, one, propose, approve, reject."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from engine.transfers import WhitelistEntry as Entry
from infra.listings import entry_as_json, record_as_json, shown_as_json, shown_transfer
from infra.web import acts
from infra.web.api.models import (
    REFUSALS,
    Approved,
    Because,
    Decided,
    NewEntry,
    NewTransfer,
    Transfer,
    WhitelistEntry,
)
from infra.web.state import caller_of, web_of
from infra.web.views.lists import transfers_of

router = APIRouter(tags=["transfers"], responses=REFUSALS)
Key = Annotated[str, Path(max_length=64)]


@router.get("/v1/transfers", response_model=list[Transfer])
def transfers(
    request: Request, state: Annotated[str | None, Query(max_length=20)] = None
) -> list[dict[str, Any]]:
    """Transfers, newest first."""
    found = transfers_of(web_of(request), caller_of(request))
    return [record_as_json(one) for one in found if state in (None, one.state)]


@router.get("/v1/transfers/{transfer_key}", response_model=Transfer)
def transfer(request: Request, transfer_key: Key) -> dict[str, Any]:
    """One transfer with its payload, approvals and events."""
    web = web_of(request)
    return shown_as_json(shown_transfer(web.database, web.services.policy(), transfer_key))


@router.post("/v1/transfers", response_model=Transfer, status_code=201)
def propose(request: Request, body: NewTransfer) -> dict[str, Any]:
    """Propose a transfer; the same one again finds the first."""
    wish = acts.Wish(**body.model_dump(exclude={"reason"}))
    return record_as_json(acts.propose(web_of(request), caller_of(request), wish, body.reason))


@router.post("/v1/transfers/{transfer_key}/approve", response_model=Decided)
def approve(request: Request, transfer_key: Key, body: Approved) -> dict[str, Any]:
    """Approve exactly the payload whose hash is given; never one's own proposal."""
    web, who = web_of(request), caller_of(request)
    record, run = acts.approve(web, who, transfer_key, body.payload_hash, body.reason)
    return {**record_as_json(record), "run": run}


@router.post("/v1/transfers/{transfer_key}/reject", response_model=Decided)
def reject(request: Request, transfer_key: Key, body: Because) -> dict[str, Any]:
    """Refuse a transfer that was not sent, or take one's own back."""
    record, run = acts.reject(web_of(request), caller_of(request), transfer_key, body.reason)
    return {**record_as_json(record), "run": run}


@router.get("/v1/whitelist", response_model=list[WhitelistEntry])
def whitelist(request: Request) -> list[dict[str, Any]]:
    """Destinations, revoked ones too."""
    return [entry_as_json(one) for one in web_of(request).database.whitelist.list()]


@router.post("/v1/whitelist", response_model=WhitelistEntry, status_code=201)
def list_destination(request: Request, body: NewEntry) -> dict[str, Any]:
    """Propose a destination."""
    content = Entry(entry_id="", **body.model_dump(exclude={"reason"}))
    found = acts.list_destination(web_of(request), caller_of(request), content, body.reason)
    return entry_as_json(found)


@router.post("/v1/whitelist/{entry_id}/approve", response_model=WhitelistEntry)
def approve_destination(request: Request, entry_id: Key, body: Because) -> dict[str, Any]:
    """Approve a destination that another person has proposed."""
    found = acts.approve_destination(web_of(request), caller_of(request), entry_id, body.reason)
    return entry_as_json(found)


@router.post("/v1/whitelist/{entry_id}/revoke", response_model=WhitelistEntry)
def revoke_destination(request: Request, entry_id: Key, body: Because) -> dict[str, Any]:
    """Take a destination off the list at once."""
    found = acts.revoke_destination(web_of(request), caller_of(request), entry_id, body.reason)
    return entry_as_json(found)

"""One's own account: password and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from engine.errors import ParameterError
from infra.db.web_tables import SCOPES
from infra.web.acts import needs_confirmation, require_confirmed
from infra.web.pages.frame import back_to, page
from infra.web.passwords import hashed, is_password
from infra.web.state import caller_of, form_of, web_of

router = APIRouter(include_in_schema=False)
_DAYS = {"7": 7, "30": 30, "90": 90, "365": 365}


@router.get("/account")
def account(request: Request) -> HTMLResponse:
    """Return the account's tokens and the forms that change it."""
    return _page(request, "")


@router.post("/account/password")
def password(request: Request) -> RedirectResponse:
    """Set another password; all sessions end, this one too."""
    web, who, form = web_of(request), caller_of(request), form_of(request)
    known = web.database.users.credentials(who.name)
    if not is_password(form.get("old", ""), known[1] if known else None):
        raise ParameterError("the old password does not fit", identifier="password")
    if form.get("new", "") != form.get("again", ""):
        raise ParameterError("the two new passwords differ", identifier="password")
    digest = hashed(form.get("new", ""), who.name)
    web.database.users.set_password(
        who.name, digest, who.by("own password"), approver_cool_off=timedelta(0)
    )
    return RedirectResponse("/login", 303)


@router.post("/account/sessions/end")
def end_sessions(request: Request) -> RedirectResponse:
    """Log out everywhere, here too."""
    web, who = web_of(request), caller_of(request)
    web.database.web_sessions.end_all(who.name)
    return RedirectResponse("/login", 303)


@router.post("/account/tokens")
def issue(request: Request) -> HTMLResponse:
    """Make a token for a program; its secret is shown on this page once."""
    web, who, form = web_of(request), caller_of(request), form_of(request)
    # A token outlives the session that made it, and acts without a password.
    require_confirmed(web, who)
    scopes = [name for name in SCOPES if form.get(f"scope_{name}") == "yes"]
    days = _DAYS.get(form.get("days", ""), 30)
    _, secret = web.database.users.issue_token(
        who.name, form.get("name", ""), scopes, timedelta(days=days), who.by("own token")
    )
    return _page(request, secret)


@router.post("/account/tokens/{token_id}/revoke")
def revoke(request: Request, token_id: Annotated[str, Path(max_length=40)]) -> RedirectResponse:
    """Take a token back at once."""
    web, who = web_of(request), caller_of(request)
    found = web.database.users.revoke_token(token_id, who.by("own token"), owner=who.name)
    return back_to(request, "/account", f"Token {found.name} no longer counts.")


def _page(request: Request, secret: str) -> HTMLResponse:
    web, who = web_of(request), caller_of(request)
    tokens = web.database.users.tokens(who.name)
    return page(
        request, "account.html", tokens=tokens, secret=secret, scopes=SCOPES,
        needs_confirmation=needs_confirmation(web, who),
    )  # fmt: skip

"""Users: who may do what; for admins."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse

from infra.db.users import NewUser
from infra.db.web_tables import ROLES
from infra.web.acts import needs_confirmation, require_confirmed, stated
from infra.web.failures import Refused
from infra.web.pages.frame import back_to, page
from infra.web.passwords import hashed
from infra.web.state import caller_of, form_of, web_of

router = APIRouter(include_in_schema=False)
Username = Annotated[str, Path(max_length=64)]


@router.get("/users")
def users(request: Request) -> HTMLResponse:
    """Return users and the form that adds one."""
    web, who = web_of(request), caller_of(request)
    return page(
        request, "users.html", users=web.database.users.list(), roles=ROLES,
        needs_confirmation=needs_confirmation(web, who),
    )  # fmt: skip


@router.post("/users")
def add(request: Request) -> RedirectResponse:
    """Add a user."""
    web, who, form = web_of(request), caller_of(request), form_of(request)
    require_confirmed(web, who)
    username = form.get("username", "").strip()
    new = NewUser(
        username=username,
        role=form.get("role", ""),
        password_hash=hashed(form.get("password", ""), username),
        clients=[name for name in re.split(r"[,\s]+", form.get("clients", "")) if name],
    )
    found = web.database.users.add(
        new,
        who.by(stated(form.get("reason", ""))),
        approver_cool_off=web.settings.approver_cool_off,
    )
    return back_to(request, "/users", f"User {found.username} may log in as {found.role}.")


@router.post("/users/{username}/disable")
def disable(request: Request, username: Username) -> RedirectResponse:
    """Shut a user out at once."""
    web, who = web_of(request), caller_of(request)
    require_confirmed(web, who)
    if username == who.name:
        raise Refused(409, "nobody shuts themselves out: another admin does it")
    web.database.users.disable(username, who.by(stated(form_of(request).get("reason", ""))))
    return back_to(request, "/users", f"User {username} is shut out; sessions and tokens ended.")


@router.post("/users/{username}/enable")
def enable(request: Request, username: Username) -> RedirectResponse:
    """Let a user in again."""
    web, who = web_of(request), caller_of(request)
    require_confirmed(web, who)
    web.database.users.enable(username, who.by(stated(form_of(request).get("reason", ""))))
    return back_to(request, "/users", f"User {username} may log in again.")


@router.post("/users/{username}/password")
def password(request: Request, username: Username) -> RedirectResponse:
    """Set another person's password; their approvals then wait."""
    web, who, form = web_of(request), caller_of(request), form_of(request)
    require_confirmed(web, who)
    by = who.by(stated(form.get("reason", "")))
    digest = hashed(form.get("password", ""), username)
    web.database.users.set_password(
        username, digest, by, approver_cool_off=web.settings.approver_cool_off
    )
    return back_to(request, "/users", f"Password of {username} is set; their sessions ended.")

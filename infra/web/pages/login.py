"""Logging in and out, and giving the password again before money moves."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from infra.web.admission import SESSION_COOKIE
from infra.web.failures import Refused
from infra.web.pages.frame import page
from infra.web.passwords import is_password
from infra.web.rendering import span_of
from infra.web.state import caller_of, form_of, web_of

if TYPE_CHECKING:
    from infra.web.state import WebState

router = APIRouter(include_in_schema=False)
_FORM_COOKIE: Final = "plimsoll_login"
_FORM_SECONDS: Final = 3600
_UNKNOWN: Final = "Name and password do not fit, or the user is disabled."


@router.get("/login")
def login_form(request: Request) -> Response:
    """Return the form. It carries a token of its own: nobody is logged in by another site."""
    return _form_page(web_of(request), request, "", 200)


@router.post("/login")
def login(request: Request) -> Response:
    """Begin a session under a new secret, whatever the browser had before."""
    web, form = web_of(request), form_of(request)
    expected = request.cookies.get(_FORM_COOKIE, "")
    if not expected or not hmac.compare_digest(form.get("csrf", "").encode(), expected.encode()):
        return _form_page(web, request, "The form was too old; please try again.", 403)
    username, address = form.get("username", "").strip()[:64], _address(request)
    wait = web.database.web_sessions.blocked_for(username, address)
    if wait is not None:
        sentence = f"Too many failed logins. Try again in {span_of(wait.total_seconds() + 1)}."
        return _form_page(web, request, sentence, 429, int(wait.total_seconds()) + 1)
    known = web.database.users.credentials(username)
    fits = is_password(form.get("password", ""), known[1] if known else None)
    if known is None or not fits or known[0].is_disabled:
        web.database.web_sessions.failed(username, address)
        return _form_page(web, request, _UNKNOWN, 401)
    web.database.web_sessions.succeeded(username)
    previous = request.cookies.get(SESSION_COOKIE, "")
    secret = web.database.web_sessions.begin(username, address, web.settings.session, previous)
    answer = RedirectResponse(_own_address(request.query_params.get("next", "/")), 303)
    _set_cookie(
        web, answer, SESSION_COOKIE, secret, int(web.settings.session.absolute.total_seconds())
    )
    answer.delete_cookie(_FORM_COOKIE, path="/login")
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session."""
    web, who = web_of(request), caller_of(request)
    web.database.web_sessions.end(who.session_hash, who.name)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE, path="/")
    return answer


@router.get("/confirm")
def confirm_form(request: Request) -> HTMLResponse:
    """Ask for the password again."""
    return page(
        request, "confirm.html", fault="", next=_own_address(request.query_params.get("next", "/"))
    )


@router.post("/confirm")
def confirm(request: Request) -> Response:
    """Note that the person is there."""
    web, who, form = web_of(request), caller_of(request), form_of(request)
    address, sent_on = _address(request), _own_address(form.get("next", "/"))
    wait = web.database.web_sessions.blocked_for(who.name, address)
    if wait is not None:
        raise Refused(429, "too many failed passwords: wait", int(wait.total_seconds()) + 1)
    known = web.database.users.credentials(who.name)
    if not is_password(form.get("password", ""), known[1] if known else None):
        web.database.web_sessions.failed(who.name, address)
        return page(
            request, "confirm.html", status=422, fault="The password does not fit.", next=sent_on
        )
    web.database.web_sessions.succeeded(who.name)
    web.database.web_sessions.confirm(who.session_hash)
    return RedirectResponse(sent_on, 303)


def _form_page(
    web: WebState, request: Request, fault: str, status: int, wait_seconds: int = 0
) -> Response:
    token = secrets.token_urlsafe(24)
    body = web.pages.render(
        "login.html",
        fault=fault,
        csrf=token,
        next=_own_address(request.query_params.get("next", "/")),
        has_users=bool(web.database.users.list()),
    )
    headers = {"Retry-After": str(wait_seconds)} if wait_seconds else None
    answer = HTMLResponse(body, status, headers)
    _set_cookie(web, answer, _FORM_COOKIE, token, _FORM_SECONDS, path="/login")
    return answer


def _set_cookie(
    web: WebState, answer: Response, name: str, value: str, seconds: int, path: str = "/"
) -> None:
    answer.set_cookie(
        name, value, max_age=seconds, path=path, httponly=True, samesite="strict",
        secure=web.settings.is_secure,
    )  # fmt: skip


def _own_address(wanted: str) -> str:
    """Return a path of this server; what leads elsewhere becomes the first page."""
    is_own = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\\" not in wanted
    return wanted if is_own and len(wanted) <= 300 else "/"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"

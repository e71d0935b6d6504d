"""Admission: who calls, whether they may, and whether the object is theirs. Nothing passes it by.

It is a dependency of the whole application. The access table says what each route asks; a route
without an entry is refused.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from engine.errors import MissingDataError, StateError
from infra.db.web_tables import SCOPES
from infra.web.access import ACCESS, Access, Subject
from infra.web.failures import Refused
from infra.web.objects import client_of
from infra.web.principals import Principal
from infra.web.state import WebState, web_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.db.web_sessions import WebSession

SESSION_COOKIE: Final = "plimsoll_session"
_SAFE: Final = frozenset({"GET", "HEAD"})
_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS_MAX: Final = 60
_PARAMETERS: Final[Mapping[Subject, str]] = {
    "netting_set": "netting_set_id",
    "call": "call_id",
    "transfer": "transfer_key",
    "reduction": "plan_id",
}


async def admit(request: Request) -> None:
    """Put the caller and the posted form on the request, or refuse it.

    Raises
    ------
    Refused
        401 without a valid login or token, 403 without the role, scope or CSRF token.
    MissingDataError
        If the object is another client's, in the words for one that does not exist.
    """
    access = ACCESS.get((request.method, request.scope["route"].path))
    if access is None:
        raise Refused(403, "this route is not in the access table")
    request.state.form = await _form(request)
    if access.is_public:
        return
    web = web_of(request)
    request.state.principal = await run_in_threadpool(_admitted, request, web, access)


def csrf_of(secret: str) -> str:
    """Return the CSRF token of a session: whoever has it has read a page of the session."""
    return hmac.new(secret.encode(), b"plimsoll csrf", hashlib.sha256).hexdigest()


def _admitted(request: Request, web: WebState, access: Access) -> Principal:
    principal = _principal(request, web)
    if principal is None:
        raise Refused(401, "log in, or send `Authorization: Bearer <token>`")
    if principal.is_person and request.method not in _SAFE:
        _require_csrf(request, principal)
    if not principal.may(access):
        raise Refused(403, _why_not(principal, access))
    if access.subject:
        _require_own(request, web, principal, access.subject)
    return principal


def _principal(request: Request, web: WebState) -> Principal | None:
    given = request.headers.get("authorization", "")
    if given:
        kind, _, secret = given.partition(" ")
        found = web.database.users.holder_of(secret.strip()) if kind.lower() == "bearer" else None
        if found is None:
            raise Refused(401, "the token is unknown, revoked or past its time")
        return Principal(user=found[0], scopes=found[1].scopes)
    secret = request.cookies.get(SESSION_COOKIE, "")
    session = _session(request, web, secret) if secret else None
    if session is None:
        return None
    return Principal(
        user=session.user,
        scopes=frozenset({*SCOPES, "admin"}),
        session_hash=session.session_hash,
        csrf=csrf_of(secret),
        notice=session.notice,
        confirmed_at=session.confirmed_at,
    )


def _session(request: Request, web: WebState, secret: str) -> WebSession | None:
    """Return a session; while the record cannot be read, one that it has confirmed lately."""
    is_lost = web.live.fault() is not None
    if is_lost and request.method in _SAFE:
        session = web.remembered.find(secret, web.database.clock())
        if session is not None:
            return session
    try:
        session = web.database.web_sessions.find(secret, web.settings.session.idle)
    except StateError:
        session = web.remembered.find(secret, web.database.clock())
        if session is None or request.method not in _SAFE:
            raise
        return session
    web.remembered.note(secret, session)
    return session


def _require_csrf(request: Request, principal: Principal) -> None:
    given = request.headers.get("x-csrf-token") or request.state.form.get("csrf", "")
    if not hmac.compare_digest(given.encode(), principal.csrf.encode()):
        raise Refused(
            403, "the form has no valid CSRF token: load the page again and send the form from it"
        )


def _require_own(request: Request, web: WebState, principal: Principal, subject: Subject) -> None:
    if principal.clients is None:
        return
    identifier = request.path_params[_PARAMETERS[subject]]
    try:
        client = client_of(web.database, subject, identifier)
    except MissingDataError:
        client = None
    principal.require_sees(client, subject.replace("_", " "), identifier)


def _why_not(principal: Principal, access: Access) -> str:
    if principal.role not in access.roles:
        listed = ", ".join(sorted(access.roles))
        return f"the role {principal.role} may not do this, limit: {listed}"
    if access.scope not in principal.scopes:
        if access.scope == "admin":
            return "this is for people who have logged in, not for tokens"
        return (
            f"the token's scopes are {', '.join(sorted(principal.scopes))}, limit: {access.scope}"
        )
    return "this is of the whole house, and the user is bound to some of its clients"


async def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in _SAFE or kind != _FORM:
        return {}
    raw = await request.body()
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX
        )
    except ValueError as error:
        raise Refused(
            400, f"the form cannot be read, limit: {_FIELDS_MAX} fields of UTF-8"
        ) from error
    form: dict[str, str] = {}
    for name, value in pairs:
        if any(ord(sign) < 32 and sign not in "\r\n\t" for sign in value):
            raise Refused(400, f"field {name[:40]!r} holds control characters")
        # Boxes that are ticked together share a name.
        form[name] = f"{form[name]}\n{value}" if name in form else value
    return form

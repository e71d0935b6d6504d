"""How refusals and failures are answered: JSON for programs, a page for people, never a traceback.

Whoever asks under ``/v1`` or with a token gets JSON; a browser gets a page, or the login.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from engine.errors import MarginPlatformError, StateError
from infra.web.failures import Problem, Refused, problem, problem_of
from infra.web.state import web_of

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    from infra.web.principals import Principal
    from infra.web.views.signs import LoopWord

_LOG: Final = logging.getLogger(__name__)
_FAULTS_SHOWN: Final = 5
_RETRY_SECONDS: Final = "3"


def install_handlers(app: FastAPI) -> None:
    """Give the application its answers to what goes wrong."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(MarginPlatformError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def wants_json(request: Request) -> bool:
    """Return whether a program asks, or a part of a page that shows JSON to nobody."""
    path = request.url.path
    return path.startswith(("/v1/", "/webhooks/", "/metrics")) or bool(
        request.headers.get("authorization")
    )


def answered(request: Request, found: Problem, headers: dict[str, str] | None = None) -> Response:
    """Return a problem in the form that suits who asked."""
    if wants_json(request):
        content = {
            "error": {"status": found.status, "title": found.title, "message": found.sentence}
        }
        return JSONResponse(content, found.status, headers)
    web = web_of(request)
    is_part = bool(request.headers.get("hx-request"))
    page = web.pages.render(
        "parts/problem.html" if is_part else "problem.html",
        problem=found,
        word=_word(request, found),
        now=web.database.clock(),
        is_tried_again=found.status == 503 and request.method == "GET",
        back=_back(request),
    )
    return HTMLResponse(page, found.status, headers)


async def _refused(request: Request, error: Exception) -> Response:
    error = cast("Refused", error)
    if error.status == 401 and not wants_json(request):
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"HX-Redirect": "/login"})
        wanted = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(wanted)}", 303)
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds else None
    if error.status == 401:
        headers = {"WWW-Authenticate": 'Bearer realm="plimsoll"'}
    return answered(request, problem(error.status, error.sentence), headers)


async def _expected(request: Request, error: Exception) -> Response:
    error = cast("MarginPlatformError", error)
    found = problem_of(error)
    if isinstance(error, StateError) and error.identifier == web_of(request).database.label:
        # Whatever is wrong with the database itself passes, and asking again then helps.
        found = problem(503, found.sentence)
    headers = {"Retry-After": _RETRY_SECONDS} if found.status == 503 else None
    return answered(request, found, headers)


async def _invalid(request: Request, error: Exception) -> Response:
    error = cast("RequestValidationError", error)
    lines = []
    for fault in error.errors()[:_FAULTS_SHOWN]:
        place = ".".join(str(part) for part in fault["loc"])
        # What was sent is not repeated: it may hold anything, also what JSON cannot.
        lines.append(f"{place}: {fault['msg']}")
    more = len(error.errors()) - len(lines)
    sentence = "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
    return answered(request, problem(422, sentence.encode("utf-8", "replace").decode()))


async def _http(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    return answered(
        request, problem(error.status_code, str(error.detail)), dict(error.headers or {})
    )


async def _bug(request: Request, error: Exception) -> Response:
    name = secrets.token_hex(4)
    _LOG.error("failure %s of %s %s", name, request.method, request.url.path, exc_info=error)
    sentence = f"this is a bug; the server's log has it under {name}"
    return answered(request, problem(500, sentence))


def _word(request: Request, found: Problem) -> LoopWord | None:
    """Return what the loop says of itself, for people of the house who can be shown no record."""
    who: Principal | None = getattr(request.state, "principal", None)
    if found.status != 503 or who is None or who.clients is not None:
        return None
    return web_of(request).services.loop_word()


def _back(request: Request) -> str:
    came_from = request.headers.get("referer", "")
    own = f"{request.url.scheme}://{request.url.netloc}/"
    return came_from if came_from.startswith(own) else "/"

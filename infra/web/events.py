"""Live changes of a page: server-sent events with the rows that differ from what was sent last.

A connection begins with the newest state. Its first event has an id; a browser that comes back with
the id of the version it has seen is sent what differs since, or everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from engine.errors import MarginPlatformError
from infra.web.admission import SESSION_COOKIE
from infra.web.failures import Refused
from infra.web.pages.fragments import fragments_of
from infra.web.state import WebState, caller_of, web_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from infra.web.principals import Principal

router = APIRouter(include_in_schema=False)
_LOOK_SECONDS: Final = 1.0
_ASK_AGAIN_SECONDS: Final = 15.0
_FRAGMENTS_MAX: Final = 400
_RETRY_MS: Final = 2_000
_FRESH: Final = ' class="fresh"'
_SUBJECTS: Final = "^(overview|calls|transfers|breaks|health|alerts|set|none)$"


@dataclass(slots=True)
class _Streams:
    n_open: int = 0
    is_closing: asyncio.Event = field(default_factory=asyncio.Event)


@router.get("/events")
async def events(
    request: Request,
    page: Annotated[str, Query(pattern=_SUBJECTS)] = "none",
    subject: Annotated[str, Query(max_length=200)] = "",
) -> StreamingResponse:
    """Send what changes on a page until the browser leaves or the session ends."""
    web, streams = web_of(request), _streams_of(request.app)
    if streams.n_open >= web.settings.streams_max:
        raise Refused(503, f"{streams.n_open} pages are live, limit {web.settings.streams_max}", 10)

    async def stream() -> AsyncIterator[str]:
        streams.n_open += 1
        try:
            async for event in _changes(request, web, streams, page, subject):
                yield event
        finally:
            streams.n_open -= 1

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


def close(app: FastAPI) -> None:
    """End all streams, so that the server can stop."""
    _streams_of(app).is_closing.set()


async def _changes(
    request: Request, web: WebState, streams: _Streams, page: str, subject: str
) -> AsyncIterator[str]:
    who = caller_of(request)
    sent: dict[str, str] = {}
    seen = version = ""
    is_begun = False
    left = _ASK_AGAIN_SECONDS
    while not streams.is_closing.is_set() and not await request.is_disconnected():
        try:
            signature = await run_in_threadpool(web.live.signature)
            if signature != seen or left <= _LOOK_SECONDS:
                version, found = await run_in_threadpool(fragments_of, web, who, page, subject)
                seen = signature
            else:
                found = {}
        except MarginPlatformError:
            # The record cannot be read now: silence lets the page say that it is stale.
            version, found, seen = "", {}, ""
        changed = _changed(sent, found)
        now = web.database.clock()
        if changed:
            text = "".join(changed.values())
            # What a page begins with is no news: nothing lights up.
            yield _event("rows", text if is_begun else text.replace(_FRESH, ""), version)
            is_begun = True
        if version:
            yield _event("beat", f"{now:%Y-%m-%dT%H:%M:%S.%fZ}")
        left -= _LOOK_SECONDS
        if left <= 0.0:
            left = _ASK_AGAIN_SECONDS
            if not await run_in_threadpool(_is_welcome, request, web, who):
                yield _event("over", "the session has ended")
                return
        await asyncio.sleep(_LOOK_SECONDS)


def _event(name: str, data: str, identifier: str = "") -> str:
    # A line break would end the data.
    line = data.replace("\r", " ").replace("\n", " ")
    head = f"id: {identifier}\nretry: {_RETRY_MS}\n" if identifier else ""
    return f"{head}event: {name}\ndata: {line}\n\n"


def _changed(sent: dict[str, str], found: Mapping[str, str]) -> dict[str, str]:
    changed = {name: text for name, text in found.items() if sent.get(name) != text}
    # What is too much for one event comes with the next one.
    part = dict(list(changed.items())[:_FRAGMENTS_MAX])
    sent.update(part)
    return part


def _is_welcome(request: Request, web: WebState, who: Principal) -> bool:
    secret = request.cookies.get(SESSION_COOKIE, "")
    if not secret:
        return False
    # A page that is left open is no sign that anybody is there.
    session = web.database.web_sessions.find(secret, web.settings.session.idle, is_used=False)
    return session is not None and session.user == who.user


def _streams_of(app: FastAPI) -> _Streams:
    found: _Streams | None = getattr(app.state, "streams", None)
    if found is None:
        found = app.state.streams = _Streams()
    return found

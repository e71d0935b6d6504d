"""Live changes of a page: server-sent events with the parts that differ from what was sent last.

A connection names the page and what its address asks of its table, and begins with the newest
state. ``rows`` are parts that differ, ``order`` the rows that the table shows now, ``beat`` a sign
of life each second with the server's clock, ``over`` the end of the session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from engine.errors import MarginPlatformError
from infra.web.admission import SESSION_COOKIE
from infra.web.failures import Refused
from infra.web.pages.fragments import PAGES, Fragments, View, fragments_of
from infra.web.state import WebState, caller_of, web_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from infra.web.principals import Principal

router = APIRouter(include_in_schema=False)
_LOOK_SECONDS: Final = 1.0
_ASK_AGAIN_SECONDS: Final = 15.0
_RETRY_MS: Final = 2_000
_ASKED_MAX: Final = 20


@dataclass(slots=True)
class _Streams:
    n_open: int = 0
    is_closing: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Sent:
    """What a browser has been sent: only what differs goes to it again."""

    parts: dict[str, str] = field(default_factory=dict)
    order: tuple[str, ...] | None = None

    def changed(self, found: Fragments) -> str:
        """Return the parts that differ, and remember them; what left the page is forgotten."""
        changed = [text for name, text in found.parts.items() if self.parts.get(name) != text]
        self.parts = dict(found.parts)
        return "".join(changed)

    def moved(self, found: Fragments) -> bool:
        """Return whether the table shows other rows, or in another order."""
        before, self.order = self.order, found.order if found.order is not None else self.order
        return found.order is not None and before != found.order


@router.get("/events")
async def events(
    request: Request,
    page: Annotated[str, Query(max_length=40)] = "none",
    subject: Annotated[str, Query(max_length=200)] = "",
    asked: Annotated[str, Query(max_length=1_000)] = "",
) -> StreamingResponse:
    """Send what changes on a page until the browser leaves or the session ends."""
    web, who, streams = web_of(request), caller_of(request), _streams_of(request.app)
    if page not in PAGES:
        raise Refused(422, f"page {page[:40]!r}, limit: {', '.join(sorted(PAGES))}")
    view = View(page=page, subject=subject, asked=_asked(asked))
    # Nonsense is refused before anything is streamed.
    first = await run_in_threadpool(fragments_of, web, who, view)
    if streams.n_open >= web.settings.streams_max:
        raise Refused(503, f"{streams.n_open} pages are live, limit {web.settings.streams_max}", 10)

    async def stream() -> AsyncIterator[str]:
        streams.n_open += 1
        try:
            async for event in _changes(request, streams, view, first):
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
    request: Request, streams: _Streams, view: View, first: Fragments
) -> AsyncIterator[str]:
    web, who = web_of(request), caller_of(request)
    sent, seen, found = _Sent(), "", first
    left = _ASK_AGAIN_SECONDS
    yield f"retry: {_RETRY_MS}\n\n"
    while not streams.is_closing.is_set() and not await request.is_disconnected():
        for event in _told(sent, found):
            yield event
        yield _event("beat", f"{web.database.clock():%Y-%m-%dT%H:%M:%S.%fZ}")
        await asyncio.sleep(_LOOK_SECONDS)
        left -= _LOOK_SECONDS
        signature = await run_in_threadpool(web.live.signature)
        if signature != seen or left <= 0.0:
            found, seen = await run_in_threadpool(fragments_of, web, who, view), signature
        if left <= 0.0:
            left = _ASK_AGAIN_SECONDS
            if not await run_in_threadpool(_is_welcome, request, web, who):
                yield _event("over", "the session has ended")
                return


def _told(sent: _Sent, found: Fragments) -> list[str]:
    """Return the events that bring a browser to what was found."""
    events = []
    if changed := sent.changed(found):
        events.append(_event("rows", changed))
    if sent.moved(found):
        events.append(_event("order", json.dumps(found.order)))
    return events


def _event(name: str, data: str) -> str:
    # A line break would end the data.
    line = data.replace("\r", " ").replace("\n", " ")
    return f"event: {name}\ndata: {line}\n\n"


def _asked(text: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_ASKED_MAX))
    except ValueError as error:
        raise Refused(
            400, f"the table's address has too many fields, limit {_ASKED_MAX}"
        ) from error


def _is_welcome(request: Request, web: WebState, who: Principal) -> bool:
    secret = request.cookies.get(SESSION_COOKIE, "")
    if not secret:
        return False
    if web.live.fault() is not None:
        # Nothing can have ended it on record either.
        return True
    try:
        # A page that is left open is no sign that anybody is there.
        session = web.database.web_sessions.find(secret, web.settings.session.idle, is_used=False)
    except MarginPlatformError:
        return True
    return session is not None and session.user == who.user


def _streams_of(app: FastAPI) -> _Streams:
    found: _Streams | None = getattr(app.state, "streams", None)
    if found is None:
        found = app.state.streams = _Streams()
    return found

"""What stands before every request: host name, size, rate, and the headers of every answer.

It works on the bytes of the protocol, so that nothing has been read or parsed yet.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.web.configuration import WebSettings
from infra.web.limits import RateLimit

_STATIC: Final = "/static/"
# Asked by machines in short turns, and answered from little.
_FREE: Final = frozenset({"/healthz"})
_HEAVY: Final = {"/v1/whatif": 5.0, "/v1/stress": 10.0, "/v1/compute": 2.0, "/login": 3.0}
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app, self._settings = app, settings
        self._limit = RateLimit(settings.requests_per_second, settings.requests_burst)
        self._hosts = {"localhost", *(host.lower() for host in settings.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it before anything else looks at it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        sending = _with_headers(scope, send, is_tls=self._settings.is_secure)
        refused = self._refusal(scope, headers)
        if refused is not None:
            status, sentence, wait = refused
            await _refuse(sending, status, sentence, wait)
            return
        bounded = _Bounded(receive, self._settings.body_bytes_max)
        try:
            await self._app(scope, bounded, sending)
        except _TooLarge:
            await _refuse(sending, 413, self._too_large(), 0.0)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, float] | None:
        path = scope["path"]
        if not self._is_own(headers.get(b"host", b"")):
            return (
                400,
                "this server is not known by that name; PLIMSOLL_WEB_HOSTS lists its names",
                0.0,
            )
        text = path + unquote(scope.get("query_string", b"").decode("latin-1"))
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
            return 400, "the address holds control characters", 0.0
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._settings.body_bytes_max:
            return 413, self._too_large(), 0.0
        if path in _FREE or path.startswith(_STATIC):
            return None
        wait = self._limit.take(_caller(scope), _HEAVY.get(path, 1.0))
        return (429, "too many requests: wait as long as Retry-After says", wait) if wait else None

    def _is_own(self, host: bytes) -> bool:
        """Return whether a request names this server, and not a foreign name that points here."""
        name = host.decode("latin-1").lower()
        name = name[: name.rfind("]") + 1] if name.startswith("[") else name.partition(":")[0]
        if name in self._hosts or name == self._settings.host.lower():
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        # A bare address cannot be a name that somebody else has pointed here.
        return True

    def _too_large(self) -> str:
        return f"the body is larger than {self._settings.body_bytes_max} bytes"


class _TooLarge(HTTPException):
    """Of a kind that whoever reads the body lets pass."""


class _Bounded:
    """Counts what comes in, whatever length was announced."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._left = receive, limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _TooLarge(413, "the body is too large")
        return message


def _caller(scope: Scope) -> str:
    """Return whom a request counts for. A credential would be a new allowance for each guess."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _with_headers(scope: Scope, send: Send, *, is_tls: bool) -> Send:
    is_static = scope["path"].startswith(_STATIC)
    added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
    if is_tls:
        added.append((b"strict-transport-security", b"max-age=31536000"))
    cache = b"public, max-age=3600" if is_static else b"no-store"

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given: Iterable[tuple[bytes, bytes]] = message.get("headers", [])
            kept = [pair for pair in given if pair[0].lower() != b"cache-control"]
            # An answer with a stricter or another policy of its own keeps it.
            own = {name.lower() for name, _ in kept}
            more = [pair for pair in added if pair[0] not in own]
            message = {**message, "headers": [*kept, *more, (b"cache-control", cache)]}
        await send(message)

    return sending


async def _refuse(send: Send, status: int, sentence: str, wait: float) -> None:
    body = json.dumps({"error": {"status": status, "message": sentence}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if wait:
        headers.append((b"retry-after", str(max(1, math.ceil(wait))).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

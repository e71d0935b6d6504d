"""One HTTP request to a venue, sent at most once, and what its failure means.

Neither aiohttp nor this module repeats anything: aiohttp's silent replay of idempotent methods on a
dropped connection is off, and a write goes out on a connection of its own, since a kept one that
the venue has just closed could not be told from one that broke after the venue had acted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import aiohttp
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from yarl import URL

from engine.errors import BadPayload, NotSent, OutcomeUnknown, VenueError, VenueUnavailable
from infra.clock import Clock, utc_now
from infra.secrets import scrub
from infra.venues.limits import RequestLimiter

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
BREAKER_FAILURES: Final = 8
BREAKER_SECONDS: Final = 5.0
_BODY_BYTES_MAX: Final = 64 * 1024 * 1024
_SERVER_FAULT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent. ``path`` names it in errors; ``query`` goes out exactly as it was signed."""

    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_write: bool = False
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back, whole, and when."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime

    def seconds(self, header: str) -> float | None:
        """Return a header that counts seconds, None if it is absent or no number."""
        try:
            return max(float(self.headers[header]), 0.0)
        except (KeyError, ValueError):
            return None


class VenueHttp:
    """The door to one venue for one credential.

    Parameters
    ----------
    venue, base_url : str
        Our name of the venue; scheme and host.
    limiter : RequestLimiter
        Shared by everything that uses the credential.
    secrets : tuple of str
        What is taken out of every message.
    """

    def __init__(
        self,
        venue: str,
        base_url: str,
        limiter: RequestLimiter,
        secrets: tuple[str, ...] = (),
        clock: Clock = utc_now,
    ) -> None:
        self.venue, self.base_url = venue, base_url.rstrip("/")
        self.limiter, self.clock = limiter, clock
        self._secrets = secrets
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=BREAKER_FAILURES, default_ttl=BREAKER_SECONDS
        )
        self._reading: aiohttp.ClientSession | None = None
        self._writing: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Response:
        """Return the answer, whatever its status.

        Raises
        ------
        NotSent
            If no connection was made, or limiter or breaker said no.
        OutcomeUnknown, VenueUnavailable
            If the connection broke or the answer did not come whole in time: a write, a read.
        """
        name = self.name_of(request)
        await self.limiter.acquire(request.weight, name)
        try:
            # Writes and reads have breakers of their own: reading must go on while writes fail.
            breaker = await self._breakers.get_breaker("write" if request.is_write else "read")
            async with breaker:
                response = await self._attempt(request, name)
                if response.status >= _SERVER_FAULT:
                    raise _ServerFault(response)
        except OpenedState as error:
            raise NotSent(
                f"{name}: not sent, {BREAKER_FAILURES} requests in a row failed; "
                f"tried again after {BREAKER_SECONDS:.0f} s",
                identifier=name,
            ) from error
        except _ServerFault as fault:
            response = fault.response
        return response

    def name_of(self, request: Request) -> str:
        """Return how errors call a request: no query, since that is signed."""
        return f"{self.venue} {request.method} {request.path}"

    def scrubbed(self, text: str) -> str:
        """Return a text without secrets and signatures."""
        return scrub(text, self._secrets)

    async def close(self) -> None:
        """Close connections."""
        for session in (self._reading, self._writing):
            if session is not None:
                await session.close()
        self._reading = self._writing = None

    async def __aenter__(self) -> VenueHttp:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _attempt(self, request: Request, name: str) -> Response:
        url = f"{self.base_url}{request.path}" + (f"?{request.query}" if request.query else "")
        try:
            async with self._session(request.is_write).request(
                request.method,
                # Encoded already, and signed so: aiohttp must not quote it anew.
                URL(url, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
            ) as answer:
                body = await self._whole_body(answer, name)
                return Response(
                    status=answer.status,
                    headers={key.lower(): value for key, value in answer.headers.items()},
                    body=body,
                    received_at=self.clock(),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(
                self.scrubbed(f"{name}: not sent, no connection: {error}"), identifier=name
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The cause quotes the signed URL, so it is not chained.
            what = self.scrubbed(f"{type(error).__name__} {error}".strip())
            raise no_answer(name, what, is_write=request.is_write) from None

    async def _whole_body(self, answer: aiohttp.ClientResponse, name: str) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > _BODY_BYTES_MAX:
                raise BadPayload(f"{name}: answer above {_BODY_BYTES_MAX} bytes", identifier=name)
        return bytes(body)

    def _session(self, is_write: bool) -> aiohttp.ClientSession:
        if is_write:
            if self._writing is None:
                self._writing = _open_session(force_close=True)
            return self._writing
        if self._reading is None:
            self._reading = _open_session(force_close=False)
        return self._reading


class _ServerFault(Exception):
    # Carries a whole answer past the breaker, which counts it as a failure.
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def no_answer(name: str, what: str, *, is_write: bool) -> VenueError:
    """Return the error of a request that left and has no readable answer."""
    if is_write:
        return OutcomeUnknown(
            f"{name}: outcome unknown, {what}; look it up by its key, do not send it anew",
            identifier=name,
            value=what,
        )
    return VenueUnavailable(f"{name}: no answer, {what}", identifier=name, value=what)


def _open_session(*, force_close: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=32, force_close=force_close),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
        # Figures and signatures must leave as they are; nothing of the environment joins in.
        auto_decompress=True,
        trust_env=False,
    )
    # There is no public switch; without this a GET or DELETE is sent twice when a kept
    # connection drops before the answer (aio-libs/aiohttp#10790).
    session._retry_connection = False
    return session

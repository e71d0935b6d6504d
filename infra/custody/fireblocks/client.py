"""Signed requests to Fireblocks for one API key: reads tried twice, writes sent once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Generic, TypeVar

import msgspec

from engine.errors import BadPayload, ClockSkew, Throttled, Unsupported, VenueError
from infra.clock import Clock, utc_now
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN
from infra.custody.fireblocks.codes import verdict
from infra.custody.fireblocks.hosts import FireblocksHosts
from infra.custody.fireblocks.signing import Signer
from infra.secrets import Credential
from infra.venues.http import Request, Response, VenueHttp, no_answer
from infra.venues.limits import RequestLimiter
from infra.venues.payloads import decode
from infra.venues.reads import read_twice
from infra.venues.verdicts import Refusal, error_of

Content = TypeVar("Content")
# Its limits are per endpoint and workspace and not published as figures; this stays below what
# its support names for the smallest plan.
_REQUESTS_MINUTE: Final = 300.0
_PAUSE_SECONDS: Final = 10.0
_THROTTLED: Final = 429
_NOT_FOUND: Final = 404
_REFUSED_FROM: Final = 400
# The header Date has whole seconds; below this the clocks do not differ as far as it can say.
_CLOCK_GRAIN: Final = timedelta(seconds=2)
# A shorter rest of a line gives nothing away, and would be taken out of ordinary words.
_LINE_CHARACTERS_MIN: Final = 16
_REFUSAL: Final = msgspec.json.Decoder(wire.Refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request before it is signed; ``path`` with its query, ``key`` for a repeatable write."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answered(Generic[Content]):
    """Content of an answer and when it was complete."""

    content: Content
    received_at: datetime


class FireblocksClient:
    """The one client of a credential."""

    def __init__(
        self,
        hosts: FireblocksHosts,
        credential: Credential,
        *,
        limiter: RequestLimiter | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._signer, self._clock = Signer(credential), clock
        room = limiter or RequestLimiter(_REQUESTS_MINUTE, 60.0)
        # The text of the key by lines as well: whoever quotes it may break it anew.
        lines = credential.secret.get_secret_value().splitlines()
        parts = (line for line in lines if len(line) >= _LINE_CHARACTERS_MIN and line[0] != "-")
        secrets = (*credential.secrets, *parts)
        self._http = VenueHttp(CUSTODIAN, hosts.rest, room, secrets, clock)
        self._offset = timedelta(0)

    async def read(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Return the content of an answer, asking a second time where the first failed for now.

        Raises
        ------
        VenueError
            ``VenueUnavailable`` and below, ``BadPayload``, ``VenueAccessDenied``, ``ClockSkew`` if
            a time by the custodian's own date is refused, or ``Unsupported`` if there is no such
            vault or asset.
        """
        found = await self.look(call, decoder)
        if found is None:
            name = self._http.name_of(_request(call))
            raise Unsupported(
                f"{name}: {CUSTODIAN} knows no such vault or asset; absent is not zero",
                identifier=name,
            )
        return found

    async def look(
        self, call: Call, decoder: msgspec.json.Decoder[Content]
    ) -> Answered[Content] | None:
        """Return as ``read`` does; None where the custodian says that there is no such thing."""
        try:
            return await read_twice(lambda: self._look_once(call, decoder))
        except ClockSkew:
            # The refusal told the custodian's date.
            return await self._look_once(call, decoder)

    async def write(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Send once and return the content of the answer.

        Raises
        ------
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        request = self._signed(call, is_write=True)
        response = await self._http.send(request)
        self._raise_refusal(request, response)
        name = self._http.name_of(request)
        try:
            return Answered(decode(decoder, response.body, name), response.received_at)
        except BadPayload as error:
            raise no_answer(name, str(error), is_write=True) from error

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _look_once(
        self, call: Call, decoder: msgspec.json.Decoder[Content]
    ) -> Answered[Content] | None:
        request = self._signed(call, is_write=False)
        response = await self._http.send(request)
        name = self._http.name_of(request)
        if response.status == _NOT_FOUND and self._refusal(response, name) is not None:
            # A gateway's 404 has no code and is no answer of the custodian.
            return None
        self._raise_refusal(request, response)
        return Answered(decode(decoder, response.body, name), response.received_at)

    def _signed(self, call: Call, *, is_write: bool) -> Request:
        body = b"" if call.body is None else json.dumps(call.body).encode()
        token = self._signer.token(call.path, body, self._clock() + self._offset)
        headers = {"Authorization": f"Bearer {token}", "X-API-Key": self._signer.api_key}
        if body:
            headers["Content-Type"] = "application/json"
        if call.key:
            headers["Idempotency-Key"] = call.key
        return _request(call, body or None, headers, is_write=is_write)

    def _refusal(self, response: Response, name: str) -> wire.Refusal | None:
        try:
            return decode(_REFUSAL, response.body, name)
        except BadPayload:
            return None

    def _raise_refusal(self, request: Request, response: Response) -> None:
        if response.status < _REFUSED_FROM:
            return
        name = self._http.name_of(request)
        if response.status == _THROTTLED:
            wait = response.seconds("retry-after")
            pause = _PAUSE_SECONDS if wait is None else wait
            self._http.limiter.pause(pause)
            raise Throttled(
                f"{name}: HTTP {_THROTTLED}, nothing is sent for {pause:.0f} s",
                identifier=name,
                code=str(_THROTTLED),
                retry_after_seconds=pause,
            )
        said = self._refusal(response, name)
        refusal = Refusal(
            name=name,
            code=f"HTTP {response.status}" if said is None else str(said.code),
            message="" if said is None else self._http.scrubbed(said.message),
            is_write=request.is_write,
        )
        # Without a body of its own the answer is a gateway's, which knows nothing of the request.
        meaning = None if said is None else verdict(response.status, refusal.code, said.message)
        error: VenueError = error_of(refusal, meaning)
        if isinstance(error, ClockSkew):
            self._note_date(response)
        raise error

    def _note_date(self, response: Response) -> None:
        try:
            said = parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return
        offset = said - response.received_at
        self._offset = offset if abs(offset) >= _CLOCK_GRAIN else timedelta(0)


def _request(
    call: Call,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    is_write: bool = False,
) -> Request:
    path, _, query = call.path.partition("?")
    return Request(
        method=call.method, path=path, query=query, body=body, headers=headers or {},
        is_write=is_write,
    )  # fmt: skip

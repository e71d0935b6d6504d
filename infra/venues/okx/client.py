"""Signed requests to OKX for one credential: reads tried twice, writes sent once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec

from engine.errors import BadPayload, ClockSkew, NotSent, Throttled, VenueError
from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.http import Request, Response, VenueHttp, no_answer
from infra.venues.limits import EndpointLimiter
from infra.venues.networks import Network, require_address
from infra.venues.okx import wire
from infra.venues.okx.codes import verdict
from infra.venues.okx.signing import signed_headers
from infra.venues.payloads import decode, instant, to_milliseconds
from infra.venues.reads import read_twice
from infra.venues.venue_clock import VenueClock
from infra.venues.verdicts import Refusal, error_of

Row = TypeVar("Row")
Body: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
VENUE: Final = "okx"
# Limits are per endpoint and two seconds: 60 orders, 10 account reads, 4 transfers. A request
# weighs 60 by its endpoint's limit. Room for 30 that refills in two seconds never lets more than 60
# into any two.
WEIGHT: Final = 30.0
PERIOD_SECONDS: Final = 2.0
ORDER_LIFE: Final = timedelta(seconds=5)
# A signed request is refused 30 seconds after its timestamp.
WINDOW: Final = timedelta(seconds=30)
_PAUSE_SECONDS: Final = 2.0
_SUCCESS: Final = "0"
_BAD_REQUEST: Final = 400
_THROTTLED: Final = 429
_TIME: Final = msgspec.json.Decoder(list[wire.ServerTime])
_ENVELOPE: Final = msgspec.json.Decoder(wire.Envelope)
_ITEMS: Final = msgspec.json.Decoder(list[wire.RefusedItem])
HOSTS: Final[Mapping[Network, frozenset[str]]] = {
    "test": frozenset(("www.okx.com", "wspap.okx.com")),
    "live": frozenset(("www.okx.com", "ws.okx.com")),
}
_DEMO_HEADER: Final = {"x-simulated-trading": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxHosts:
    """Where OKX is; the network says which of its worlds that must be.

    ``stream`` is without ``/public`` and ``/private``. Demo trading is the live host of REST with
    a header, which is sent on the network ``test``.
    """

    rest: str
    stream: str
    network: Network = "sim"

    def __post_init__(self) -> None:
        for address in (self.rest, self.stream):
            require_address(self.network, address, HOSTS)


TEST: Final = OkxHosts(
    rest="https://www.okx.com", stream="wss://wspap.okx.com:8443/ws/v5", network="test"
)
LIVE: Final = OkxHosts(
    rest="https://www.okx.com", stream="wss://ws.okx.com:8443/ws/v5", network="live"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request before it is signed; ``weight`` of 60 in two seconds."""

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    weight: int = 6
    is_signed: bool = True
    has_expiry: bool = False


@dataclass(frozen=True, slots=True)
class Answered(Generic[Row]):
    """Rows of an answer and when it was complete."""

    rows: list[Row]
    received_at: datetime


class OkxClient:
    """The one client of a credential; without a credential only public reads work."""

    def __init__(
        self, hosts: OkxHosts, credential: Credential | None = None, clock: Clock = utc_now
    ) -> None:
        self.hosts, self.credential = hosts, credential
        held = () if credential is None else credential.secrets
        limiter = EndpointLimiter(WEIGHT, PERIOD_SECONDS)
        self.http = VenueHttp(VENUE, hosts.rest, limiter, held, clock)
        self.clock = VenueClock(self._server_time, clock)

    async def read(
        self,
        call: Call,
        decoder: msgspec.json.Decoder[list[Row]],
        check: Callable[[list[Row]], object] = len,
    ) -> Answered[Row]:
        """Return the rows of an answer, asking a second time where the first failed for now.

        ``check`` raises BadPayload for rows whose texts are no figures, which the contract of a
        text cannot see; that too is worth a second question.

        Raises
        ------
        VenueError
            ``VenueUnavailable`` and below, ``BadPayload``, ``VenueRejected``,
            ``VenueAccessDenied``, or ``ClockSkew`` if the venue refuses a time just measured.
        """

        async def once() -> Answered[Row]:
            answered = await self._once(call, decoder, is_write=False)
            check(answered.rows)
            return answered

        try:
            return await read_twice(once)
        except ClockSkew:
            await self.clock.measure()
            return await once()

    async def write(self, call: Call, decoder: msgspec.json.Decoder[list[Row]]) -> Answered[Row]:
        """Send once by POST and return the rows of the answer.

        Raises
        ------
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        try:
            return await self._once(call, decoder, is_write=True)
        except BadPayload as error:
            name = f"{VENUE} POST {call.path}"
            raise no_answer(name, str(error), is_write=True) from error

    async def close(self) -> None:
        """Close connections."""
        await self.http.close()

    async def _once(
        self, call: Call, decoder: msgspec.json.Decoder[list[Row]], *, is_write: bool
    ) -> Answered[Row]:
        request = await self._signed(call, is_write=is_write)
        response = await self.http.send(request)
        data = self._data(request, response)
        return Answered(decode(decoder, data, self.http.name_of(request)), response.received_at)

    async def _signed(self, call: Call, *, is_write: bool) -> Request:
        method = "GET" if call.body is None else "POST"
        query = urlencode(call.parameters)
        body = "" if call.body is None else msgspec.json.encode(call.body).decode()
        headers = dict(_DEMO_HEADER) if self.hosts.network == "test" else {}
        if call.is_signed:
            if self.credential is None:
                raise NotSent(f"{VENUE} {call.path}: not sent, there is no credential")
            moment = await self._venue_now(is_write=is_write)
            path = f"{call.path}?{query}" if query else call.path
            headers |= signed_headers(self.credential, moment, method, path, body)
            if call.has_expiry:
                headers["expTime"] = str(to_milliseconds(moment + ORDER_LIFE))
        return Request(
            method=method, path=call.path, query=query, body=body.encode() or None,
            headers=headers, is_write=is_write, weight=call.weight,
        )  # fmt: skip

    async def _venue_now(self, *, is_write: bool) -> datetime:
        if not is_write:
            # Part of a read that is tried twice itself.
            return await self.clock.now()
        try:
            return await read_twice(self.clock.now)
        except VenueError as error:
            raise NotSent(
                f"{VENUE}: not sent, the venue's time is not known: {error}", identifier=VENUE
            ) from error

    async def _server_time(self) -> datetime:
        call = Call(path="/api/v5/public/time", is_signed=False)
        answered = await self._once(call, _TIME, is_write=False)
        if not answered.rows:
            raise BadPayload(f"{VENUE} public/time: no time in the answer", identifier=VENUE)
        return instant(answered.rows[0].ts)

    def _data(self, request: Request, response: Response) -> bytes:
        name = self.http.name_of(request)
        try:
            said = decode(_ENVELOPE, response.body, name)
        except BadPayload:
            if response.status == _THROTTLED:
                raise self._throttled(name, response) from None
            if response.status >= _BAD_REQUEST:
                # A gateway's page, not the venue's word.
                raise no_answer(
                    name, f"HTTP {response.status}", is_write=request.is_write
                ) from None
            raise
        if said.code == _SUCCESS and response.status < _BAD_REQUEST:
            return bytes(said.data)
        code, message = self._refused_item(said, name)
        refusal = Refusal(
            name=name,
            code=code,
            message=self.http.scrubbed(message),
            is_write=request.is_write,
            retry_after_seconds=response.seconds("retry-after"),
        )
        error = error_of(refusal, verdict(code, response.status, message))
        if isinstance(error, ClockSkew):
            self.clock.forget()
        if isinstance(error, Throttled):
            error.retry_after_seconds = refusal.retry_after_seconds or _PAUSE_SECONDS
            self.http.limiter.pause(error.retry_after_seconds)
        raise error

    def _refused_item(self, said: wire.Envelope, name: str) -> tuple[str, str]:
        # "1" and "2" only say that items failed; the reason is with the item.
        try:
            items = decode(_ITEMS, bytes(said.data), name)
        except BadPayload:
            items = []
        for item in items:
            if item.s_code not in ("", _SUCCESS):
                return item.s_code, item.s_msg
        return said.code, said.msg

    def _throttled(self, name: str, response: Response) -> Throttled:
        wait = response.seconds("retry-after") or _PAUSE_SECONDS
        self.http.limiter.pause(wait)
        return Throttled(
            f"{name}: HTTP {response.status}, nothing is sent for {wait:.0f} s",
            identifier=name,
            retry_after_seconds=wait,
        )

"""Signed requests to Binance for one credential: reads tried twice, writes sent once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from engine.errors import BadPayload, ClockSkew, NotSent, Throttled, VenueError
from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.binance import wire
from infra.venues.binance.codes import verdict
from infra.venues.binance.signing import KEY_HEADER, signed_query
from infra.venues.http import Request, Response, VenueHttp, no_answer
from infra.venues.limits import RequestLimiter
from infra.venues.networks import Network, require_address
from infra.venues.payloads import decode, instant, to_milliseconds
from infra.venues.reads import read_twice
from infra.venues.venue_clock import VenueClock
from infra.venues.verdicts import Refusal, error_of

Content = TypeVar("Content")
VENUE: Final = "binance"
WINDOW: Final = timedelta(seconds=5)
FUTURES_WEIGHT_MINUTE: Final = 2400
# Counted by user; what the venue counts by address (12,000) is given in this unit, times 15.
WALLET_WEIGHT_MINUTE: Final = 180_000
_MINUTE_SECONDS: Final = 60.0
# A bucket of half that refills in a minute never lets more than the whole into any minute; what
# others spend under the same address shows in the venue's own count.
_SHARE_USED: Final = 0.5
_SHARE_STOP: Final = 0.95
_BANNED: Final = 418
_THROTTLED: Final = 429
_BAD_REQUEST: Final = 400
_REFUSAL: Final = msgspec.json.Decoder(wire.Refusal)
_TIME: Final = msgspec.json.Decoder(wire.ServerTime)
_FUTURES_PATH: Final = "/fapi/"
_FUTURES_USED: Final = "x-mbx-used-weight-1m"
_WALLET_USED: Final = "x-sapi-used-uid-weight-1m"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceHosts:
    """Where Binance is: futures (``/fapi``), wallet (``/sapi``, ``/api``), streams.

    The network says which of its worlds that must be.
    """

    futures: str
    wallet: str
    stream: str
    network: Network = "sim"

    def __post_init__(self) -> None:
        for address in (self.futures, self.wallet, self.stream):
            require_address(self.network, address, HOSTS)


HOSTS: Final[Mapping[Network, frozenset[str]]] = {
    "test": frozenset(
        ("demo-fapi.binance.com", "demo-api.binance.com", "fstream.binancefuture.com")
    ),
    "live": frozenset(("fapi.binance.com", "api.binance.com", "fstream.binance.com")),
}
TEST: Final = BinanceHosts(
    futures="https://demo-fapi.binance.com",
    wallet="https://demo-api.binance.com",
    stream="wss://fstream.binancefuture.com",
    network="test",
)
LIVE: Final = BinanceHosts(
    futures="https://fapi.binance.com",
    wallet="https://api.binance.com",
    stream="wss://fstream.binance.com",
    network="live",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request before it is signed; ``weight`` as the venue counts it."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    is_signed: bool = True


@dataclass(frozen=True, slots=True)
class Answered(Generic[Content]):
    """Content of an answer and when it was complete."""

    content: Content
    received_at: datetime


class BinanceClient:
    """The one client of a credential; without a credential only public reads work."""

    def __init__(
        self,
        hosts: BinanceHosts,
        credential: Credential | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.hosts = hosts
        self.credential, self._utc = credential, clock
        secrets = () if credential is None else credential.secrets
        self._futures = VenueHttp(
            VENUE, self.hosts.futures, _limiter(FUTURES_WEIGHT_MINUTE), secrets, clock
        )
        self._wallet = VenueHttp(
            VENUE, self.hosts.wallet, _limiter(WALLET_WEIGHT_MINUTE), secrets, clock
        )
        self.clock = VenueClock(self._server_time, clock)

    async def read(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Return the content of an answer, asking a second time where the first failed for now.

        Raises
        ------
        VenueError
            ``VenueUnavailable`` and below, ``BadPayload``, ``VenueRejected``,
            ``VenueAccessDenied``, or ``ClockSkew`` if the venue refuses a time just measured.
        """
        try:
            return await read_twice(lambda: self._read_once(call, decoder))
        except ClockSkew:
            await self.clock.measure()
            return await self._read_once(call, decoder)

    async def write(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Send once and return the content of the answer.

        Raises
        ------
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        request = await self._signed(call, is_write=True)
        response = await self._http(call.path).send(request)
        self._raise_refusal(request, response)
        name = self._futures.name_of(request)
        try:
            return Answered(decode(decoder, response.body, name), response.received_at)
        except BadPayload as error:
            raise no_answer(name, str(error), is_write=True) from error

    async def close(self) -> None:
        """Close connections."""
        await self._futures.close()
        await self._wallet.close()

    async def _read_once(
        self, call: Call, decoder: msgspec.json.Decoder[Content]
    ) -> Answered[Content]:
        request = await self._signed(call, is_write=False)
        response = await self._http(call.path).send(request)
        self._raise_refusal(request, response)
        name = self._futures.name_of(request)
        return Answered(decode(decoder, response.body, name), response.received_at)

    async def _signed(self, call: Call, *, is_write: bool) -> Request:
        headers: dict[str, str] = {}
        query = urlencode(call.parameters)
        if self.credential is not None:
            headers[KEY_HEADER] = self.credential.key.get_secret_value()
        if call.is_signed:
            if self.credential is None:
                raise NotSent(f"{VENUE} {call.path}: not sent, there is no credential")
            moment = to_milliseconds(await self._venue_now(is_write=is_write))
            query = signed_query(call.parameters, self.credential, moment, _window_ms())
        has_body = call.method in ("POST", "PUT")
        if has_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Request(
            method=call.method,
            path=call.path,
            query="" if has_body else query,
            body=query.encode() if has_body else None,
            headers=headers,
            is_write=is_write,
            weight=call.weight,
        )

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
        call = Call(method="GET", path="/fapi/v1/time", is_signed=False)
        answer = await self._read_once(call, _TIME)
        return instant(answer.content.server_time)

    def _http(self, path: str) -> VenueHttp:
        return self._futures if path.startswith(_FUTURES_PATH) else self._wallet

    def _raise_refusal(self, request: Request, response: Response) -> None:
        self._note_weight(request, response)
        if response.status < _BAD_REQUEST:
            return
        http = self._futures
        name = http.name_of(request)
        wait = response.seconds("retry-after")
        try:
            said = decode(_REFUSAL, response.body, name)
        except BadPayload:
            said = wire.Refusal(code=0, msg=f"HTTP {response.status}")
        if response.status in (_THROTTLED, _BANNED):
            pause = wait if wait is not None else _MINUTE_SECONDS
            self._http(request.path).limiter.pause(pause)
            raise Throttled(
                f"{name}: HTTP {response.status}, nothing is sent for {pause:.0f} s",
                identifier=name,
                code=str(said.code),
                retry_after_seconds=pause,
            )
        refusal = Refusal(
            name=name,
            code=str(said.code) if said.code else f"HTTP {response.status}",
            message=http.scrubbed(said.msg),
            is_write=request.is_write,
            retry_after_seconds=wait,
        )
        error = error_of(refusal, verdict(request.path, refusal.code, said.msg, response.status))
        if isinstance(error, ClockSkew):
            self.clock.forget()
        raise error

    def _note_weight(self, request: Request, response: Response) -> None:
        is_futures = request.path.startswith(_FUTURES_PATH)
        used = response.seconds(_FUTURES_USED if is_futures else _WALLET_USED)
        if used is None:
            return
        limiter = self._http(request.path).limiter
        limiter.venue_count = int(used)
        allowed = FUTURES_WEIGHT_MINUTE if is_futures else WALLET_WEIGHT_MINUTE
        if used >= allowed * _SHARE_STOP:
            limiter.pause(_MINUTE_SECONDS - response.received_at.second)


def _limiter(weight_minute: int) -> RequestLimiter:
    return RequestLimiter(weight_minute * _SHARE_USED, _MINUTE_SECONDS)


def _window_ms() -> int:
    return WINDOW // timedelta(milliseconds=1)

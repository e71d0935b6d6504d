"""Calls to Deribit for one credential: JSON-RPC by POST, reads tried twice, writes sent once.

Deribit takes everything by GET too, and ccxt sends it so; a POST is never replayed by anything on
the way. Tokens belong to a named session, since others are good for one connection only.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Final, Generic, TypeVar

import msgspec

from engine.errors import (
    BadPayload,
    ClockSkew,
    NotSent,
    Throttled,
    VenueAccessDenied,
    VenueError,
)
from infra.clock import Clock, utc_now
from infra.secrets import Credential
from infra.venues.deribit import wire
from infra.venues.deribit.codes import verdict
from infra.venues.deribit.hosts import DeribitHosts
from infra.venues.http import Request, Response, VenueHttp, no_answer
from infra.venues.limits import RequestLimiter
from infra.venues.payloads import decode, instant, to_milliseconds
from infra.venues.reads import read_twice
from infra.venues.venue_clock import VenueClock
from infra.venues.verdicts import Refusal, error_of

Content = TypeVar("Content")
VENUE: Final = "deribit"
# 10 000 credits a second at 500 a call, a pool of 50 000.
CALLS_SECOND: Final = 20.0
CALLS_BURST: Final = 100.0
MATCHING_WEIGHT: Final = 4
_SESSION: Final = "session:plimsoll"
_RENEW_SECONDS: Final = 60.0
_PATH: Final = "/api/v2"
_THROTTLED: Final = 429
_TOKEN_REFUSED: Final = "13009"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ENVELOPE: Final = msgspec.json.Decoder(wire.Envelope)
_TOKENS: Final = msgspec.json.Decoder(wire.Tokens)
_TIME: Final = msgspec.json.Decoder(int)


@dataclass(frozen=True, slots=True)
class Call:
    """A call before it is sent; ``account`` is whose token goes with it, empty for public ones."""

    method: str
    parameters: Mapping[str, object]
    account: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Answered(Generic[Content]):
    """Content of an answer and when it was complete."""

    content: Content
    received_at: datetime


class DeribitClient:
    """The one client of a credential; without a credential only public reads work.

    Parameters
    ----------
    main_account : str
        Account of the credential. For its sub-accounts the token is exchanged.
    limiter : RequestLimiter, optional
        Shared by everything that uses the credential.
    """

    def __init__(
        self,
        hosts: DeribitHosts,
        credential: Credential | None = None,
        main_account: str = "",
        *,
        limiter: RequestLimiter | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.hosts, self.credential, self.main_account = hosts, credential, main_account
        limiter = limiter or RequestLimiter(CALLS_BURST, CALLS_BURST / CALLS_SECOND)
        held = () if credential is None else credential.secrets
        self.http = VenueHttp(VENUE, hosts.rest, limiter, held, clock)
        self.clock = VenueClock(self._server_time, clock)
        self._ids = count(1)
        self._tokens: dict[str, tuple[str, float]] = {}
        self._renewing = asyncio.Lock()

    async def read(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Return the content of an answer, asking a second time where the first failed for now.

        A token that the venue no longer takes is renewed once.

        Raises
        ------
        VenueError
            ``VenueUnavailable`` and below, ``BadPayload``, ``VenueRejected``,
            ``VenueAccessDenied`` or ``ClockSkew``.
        """
        try:
            return await read_twice(lambda: self._once(call, decoder, is_write=False))
        except VenueAccessDenied as error:
            if error.code != _TOKEN_REFUSED or not call.account:
                raise
            return await self._once(call, decoder, is_write=False)

    async def write(self, call: Call, decoder: msgspec.json.Decoder[Content]) -> Answered[Content]:
        """Send once and return the content of the answer.

        Raises
        ------
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        try:
            # Whatever fails before the write itself has left nothing behind.
            token = await self.token(call.account)
        except VenueAccessDenied:
            raise
        except VenueError as error:
            raise NotSent(
                f"{VENUE} {call.method}: not sent, no token: {error}", identifier=call.method
            ) from error
        return await self._sent(call, decoder, token, is_write=True)

    async def token(self, account: str) -> str:
        """Return a token of an account that is good for a minute at least; empty for none."""
        if not account:
            return ""
        async with self._renewing:
            # Whoever waited finds the token that the first one has fetched.
            token, until = self._tokens.get(account, ("", 0.0))
            if until <= time.monotonic():
                token = await self._new_token(account)
        return token

    def forget_token(self, account: str) -> None:
        """Ask for a new token before the next use: the venue has refused this one."""
        self._tokens.pop(account, None)

    async def close(self) -> None:
        """Close connections."""
        await self.http.close()

    async def _once(
        self, call: Call, decoder: msgspec.json.Decoder[Content], *, is_write: bool
    ) -> Answered[Content]:
        return await self._sent(call, decoder, await self.token(call.account), is_write=is_write)

    async def _sent(
        self, call: Call, decoder: msgspec.json.Decoder[Content], token: str, *, is_write: bool
    ) -> Answered[Content]:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = _ENCODER.encode(
            {
                "jsonrpc": "2.0", "id": next(self._ids), "method": call.method,
                "params": dict(call.parameters),
            }
        )  # fmt: skip
        request = Request(
            method="POST", path=f"{_PATH}/{call.method}", body=body, headers=headers,
            is_write=is_write, weight=call.weight,
        )  # fmt: skip
        name = self.http.name_of(request)
        try:
            response = await self.http.send(request)
            result = self._result(call, request, response)
            return Answered(decode(decoder, result, name), response.received_at)
        except BadPayload as error:
            if not is_write:
                raise
            raise no_answer(name, str(error), is_write=True) from error

    def _result(self, call: Call, request: Request, response: Response) -> bytes:
        name = self.http.name_of(request)
        if response.status == _THROTTLED:
            self._pause(response)
        try:
            said = decode(_ENVELOPE, response.body, name)
        except BadPayload as error:
            if response.status == _THROTTLED:
                raise self._throttled(name, response) from error
            if response.status >= 400:
                # A gateway's page, not the venue's word.
                raise no_answer(
                    name, f"HTTP {response.status}", is_write=request.is_write
                ) from error
            raise
        if said.error is None:
            if response.status >= 400 or not bytes(said.result):
                raise no_answer(name, f"HTTP {response.status}", is_write=request.is_write)
            return bytes(said.result)
        raise self._refused(call, request, response, said.error)

    def _refused(
        self, call: Call, request: Request, response: Response, fault: wire.RpcFault
    ) -> VenueError:
        message = f"{fault.message} {_reason(fault)}".strip()
        refusal = Refusal(
            name=self.http.name_of(request),
            code=str(fault.code),
            message=self.http.scrubbed(message),
            is_write=request.is_write,
            retry_after_seconds=_wait(response, fault),
        )
        error = error_of(refusal, verdict(fault.code, message))
        if isinstance(error, Throttled):
            error.retry_after_seconds = refusal.retry_after_seconds or 1.0
            self.http.limiter.pause(error.retry_after_seconds)
        if error.code == _TOKEN_REFUSED:
            self.forget_token(call.account)
        return error

    def _pause(self, response: Response) -> None:
        self.http.limiter.pause(response.seconds("retry-after") or 1.0)

    def _throttled(self, name: str, response: Response) -> Throttled:
        wait = response.seconds("retry-after") or 1.0
        return Throttled(
            f"{name}: HTTP {response.status}, nothing is sent for {wait:.0f} s",
            identifier=name, retry_after_seconds=wait,
        )  # fmt: skip

    async def _new_token(self, account: str) -> str:
        granted = await self._authorised()
        if account != self.main_account:
            call = Call(
                "public/exchange_token",
                {"refresh_token": granted.refresh_token, "subject_id": _whole(account)},
            )
            granted = (await read_twice(lambda: self._once(call, _TOKENS, is_write=False))).content
        until = time.monotonic() + max(granted.expires_in - _RENEW_SECONDS, 1.0)
        self._tokens[account] = (granted.access_token, until)
        return granted.access_token

    async def _authorised(self) -> wire.Tokens:
        try:
            return await self._signed_in()
        except VenueAccessDenied as error:
            # A clock that is off looks like wrong credentials here: measure, then decide.
            before = self.clock.offset
            after = await self.clock.measure()
            if abs(after - before) < timedelta(seconds=1):
                raise
            try:
                return await self._signed_in()
            except VenueAccessDenied:
                raise ClockSkew(
                    f"{VENUE}: refused with our clock {-after.total_seconds():+.1f} s off",
                    identifier=VENUE, value=after, code=error.code,
                ) from error  # fmt: skip

    async def _signed_in(self) -> wire.Tokens:
        if self.credential is None:
            raise NotSent(f"{VENUE}: not sent, there is no credential", identifier=VENUE)
        moment, nonce = to_milliseconds(await self.clock.now()), secrets.token_hex(8)
        secret = self.credential.secret.get_secret_value().encode()
        text = f"{moment}\n{nonce}\n".encode()
        parameters = {
            "grant_type": "client_signature",
            "client_id": self.credential.key.get_secret_value(), "timestamp": moment,
            "nonce": nonce, "data": "", "scope": _SESSION,
            "signature": hmac.new(secret, text, hashlib.sha256).hexdigest(),
        }  # fmt: skip
        call = Call("public/auth", parameters)
        return (await read_twice(lambda: self._once(call, _TOKENS, is_write=False))).content

    async def _server_time(self) -> datetime:
        call = Call("public/get_time", {})
        answered = await read_twice(lambda: self._once(call, _TIME, is_write=False))
        return instant(answered.content)


def exact(figure: Decimal) -> Decimal:
    """Return a figure as JSON carries it: no exponent, no needless zeros."""
    text = format(figure.normalize(), "f")
    return Decimal(text)


def _whole(account: str) -> int:
    if not account.isdecimal():
        raise NotSent(f"{VENUE}: account {account!r} is no number", identifier=account)
    return int(account)


def _wait(response: Response, fault: wire.RpcFault) -> float | None:
    said = fault.data.get("wait") if isinstance(fault.data, dict) else None
    own = float(said) if isinstance(said, int | float) else None
    return own if own is not None else response.seconds("retry-after")


def _reason(fault: wire.RpcFault) -> str:
    if isinstance(fault.data, dict):
        return str(fault.data.get("reason", ""))
    return ""

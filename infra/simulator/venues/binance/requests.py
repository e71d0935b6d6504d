"""A request to the simulated Binance: who asks, what for, and the faults of its own form."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web

from infra.simulator.venues.binance.errors import (
    TOO_MANY,
    UNDER_MAINTENANCE,
    ApiError,
    api_error,
    missing,
)
from infra.simulator.venues.binance.identity import KEY_HEADER, WEIGHT_MINUTE, Identity
from infra.simulator.venues.core.accounts import Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind, Scope

Access: TypeAlias = Literal["public", "key", "signed"]
UNKNOWN_CODE: Final = -9999
_WALLET_WEIGHT_MINUTE: Final = 180_000
_REFUSED_BEFORE_BAN: Final = 20


@dataclass(frozen=True, slots=True)
class Call:
    """One call; ``account`` is who asks, absent for public endpoints."""

    path: str
    parameters: Mapping[str, str]
    account: Account | None

    @property
    def asker(self) -> Account:
        """Return the account that asks."""
        if self.account is None:
            raise missing("signature")
        return self.account

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter; raises ApiError -1102 if it is absent and has no default."""
        value = self.parameters.get(name, default)
        if value is None or (value == "" and default is None):
            raise missing(name)
        return value

    def number(self, name: str) -> Decimal:
        """Return a parameter as a decimal; raises ApiError -1102."""
        try:
            return Decimal(self.text(name))
        except InvalidOperation as error:
            raise missing(name) from error

    def whole(self, name: str, default: int) -> int:
        """Return a parameter as an integer; raises ApiError -1102."""
        text = self.text(name, str(default))
        if not text.lstrip("-").isdecimal():
            raise missing(name)
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a boolean parameter."""
        return self.text(name, "false").lower() == "true"


Answer: TypeAlias = Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and path, who may ask, its weight, and what answers."""

    method: str
    path: str
    access: Access
    weight: int
    answer: Answer


class Desk:
    """Checks requests and answers them."""

    def __init__(self, book: VenueBook, identity: Identity) -> None:
        self._book, self._identity = book, identity
        self._refused: dict[str, int] = {}

    def handler(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the aiohttp handler of an endpoint."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers: dict[str, str] = {}
            try:
                self._count(request, endpoint, headers)
                return _json(await self._answer(request, endpoint), 200, headers)
            except Refused as refused:
                error = api_error(refused, endpoint.path)
            except ApiError as raised:
                error = raised
            return _json({"code": error.code, "msg": error.message}, error.status, headers)

        return handle

    async def scope_of(self, request: web.Request) -> Scope:
        """Return where faults of a request are looked for."""
        account = self._identity.account_of(request.headers.get(KEY_HEADER, ""))
        return Scope(venue=self._book.venue, account=account, endpoint=request.path)

    async def _answer(self, request: web.Request, endpoint: Endpoint) -> object:
        api_key, body = request.headers.get(KEY_HEADER, ""), await request.text()
        query = request.rel_url.raw_query_string
        account = None
        parameters: Mapping[str, str] = dict(parse_qsl(f"{query}&{body}"))
        if endpoint.access != "public":
            key = self._identity.require_key(api_key)
            if endpoint.access == "signed":
                parameters = self._identity.require_signed(api_key, query, body)
            account = self._book.account(key.account_id)
        scope = await self.scope_of(request)
        if self._book.plan.draw(FaultKind.MAINTENANCE, scope):
            raise ApiError(*UNDER_MAINTENANCE)
        self._odd(scope, "before")
        result = endpoint.answer(Call(endpoint.path, parameters, account))
        self._odd(scope, "after")
        return result

    def _odd(self, scope: Scope, when: str) -> None:
        def is_now(fault: Fault) -> bool:
            return fault.text("when", "after") == when

        fault = self._book.plan.draw_if(FaultKind.UNKNOWN_CODE, scope, is_now)
        if fault is not None:
            code = int(fault.number("code", str(UNKNOWN_CODE)))
            status = int(fault.number("status", "400"))
            raise ApiError(code, "An unknown error occurred.", status)

    def _count(self, request: web.Request, endpoint: Endpoint, headers: dict[str, str]) -> None:
        is_futures = endpoint.path.startswith("/fapi/")
        who = request.headers.get(KEY_HEADER) or request.remote or ""
        family = "fapi" if is_futures else "sapi"
        used = self._identity.spend(f"{family}/{who}", endpoint.weight)
        name = "X-MBX-USED-WEIGHT-1M" if is_futures else "X-SAPI-USED-UID-WEIGHT-1M"
        headers[name] = str(used)
        limit = WEIGHT_MINUTE if is_futures else _WALLET_WEIGHT_MINUTE
        if used <= limit:
            self._refused.pop(who, None)
            return
        self._refused[who] = self._refused.get(who, 0) + 1
        left = 60 - self._book.clock.wall().second
        headers["Retry-After"] = str(left)
        # Whoever does not stop is banned: that is what 418 is for.
        status = 418 if self._refused[who] > _REFUSED_BEFORE_BAN else 429
        raise ApiError(TOO_MANY[0], TOO_MANY[1].format(limit=limit), status)


def _json(content: object, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        text=json.dumps(content, separators=(",", ":")),
        status=status,
        content_type="application/json",
        headers=dict(headers),
    )

"""A request to the simulated OKX: who asks, what for, and the faults of its own form."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from aiohttp import web

from infra.simulator.venues.core.accounts import Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind, Scope
from infra.simulator.venues.okx.errors import (
    EXPIRED,
    TOO_MANY,
    UNDER_MAINTENANCE,
    ApiError,
    api_error,
    invalid,
)
from infra.simulator.venues.okx.identity import Identity

UNKNOWN_CODE: Final = "59999"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: parameters of the query or of the body, the whole body, and who asks."""

    path: str
    parameters: Mapping[str, Any]
    body: Any
    account: Account | None

    @property
    def asker(self) -> Account:
        """Return the account that asks."""
        if self.account is None:
            raise invalid("account")
        return self.account

    def text(self, name: str, default: str | None = None) -> str:
        """Return a parameter; raises ApiError 51000 if it is absent and has no default."""
        value = self.parameters.get(name, default)
        if value is None or (value == "" and default is None):
            raise invalid(name)
        return str(value)

    def number(self, name: str) -> Decimal:
        """Return a parameter as a decimal; raises ApiError 51000."""
        return number(self.text(name), name)

    def whole(self, name: str, default: int) -> int:
        """Return a parameter as an integer; raises ApiError 51000."""
        text = self.text(name, str(default))
        if not text.isdecimal():
            raise invalid(name)
        return int(text)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and path, whether it is signed, requests in two seconds, and what answers.

    The answer is the list of rows.
    """

    method: str
    path: str
    is_signed: bool
    limit: int
    answer: Callable[[Call], list[Any]]


class Desk:
    """Checks requests and answers them."""

    def __init__(self, book: VenueBook, identity: Identity) -> None:
        self._book, self._identity = book, identity

    def handler(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the aiohttp handler of an endpoint."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                rows = await self._answer(request, endpoint)
            except Refused as refused:
                return _failure(api_error(refused, endpoint.path))
            except ApiError as error:
                return _failure(error)
            return _items(rows)

        return handle

    async def scope_of(self, request: web.Request) -> Scope:
        """Return where faults of a request are looked for."""
        account = self._identity.account_of(request.headers.get("OK-ACCESS-KEY", ""))
        return Scope(venue=self._book.venue, account=account, endpoint=request.path)

    async def _answer(self, request: web.Request, endpoint: Endpoint) -> list[Any]:
        text = await request.text()
        account = None
        who = request.headers.get("OK-ACCESS-KEY") or request.remote or ""
        if self._identity.count(who, endpoint.path) > endpoint.limit:
            raise ApiError(*TOO_MANY)
        if endpoint.is_signed:
            signed = f"{request.method}{request.rel_url.raw_path_qs}{text}"
            account_id = self._identity.require_signed(request.headers, signed)
            account = self._book.account(account_id)
        self._require_in_time(request)
        scope = await self.scope_of(request)
        if self._book.plan.draw(FaultKind.MAINTENANCE, scope):
            raise ApiError(*UNDER_MAINTENANCE)
        self._odd(scope, "before")
        body = _parsed(text)
        parameters = body if isinstance(body, dict) else dict(request.query)
        rows = endpoint.answer(Call(endpoint.path, parameters, body, account))
        self._odd(scope, "after")
        return rows

    def _require_in_time(self, request: web.Request) -> None:
        expiry = request.headers.get("expTime", "")
        if expiry and (not expiry.isdecimal() or int(expiry) < self._book.clock.wall_ms()):
            raise ApiError(*EXPIRED)

    def _odd(self, scope: Scope, when: str) -> None:
        def is_now(fault: Fault) -> bool:
            return fault.text("when", "after") == when

        fault = self._book.plan.draw_if(FaultKind.UNKNOWN_CODE, scope, is_now)
        if fault is not None:
            code, status = fault.text("code", UNKNOWN_CODE), int(fault.number("status", "200"))
            raise ApiError(code, "System error", status)


def number(text: str, name: str) -> Decimal:
    """Return a text as a decimal; raises ApiError 51000."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise invalid(name) from error


def item_failure(error: ApiError, **fields: str) -> dict[str, str]:
    """Return the row of an item that was refused in a request that was accepted."""
    return {**fields, "sCode": error.code, "sMsg": error.message}


def _parsed(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ApiError("50002", "Incorrect json data format") from error


def _items(rows: list[Any]) -> web.Response:
    refused = sum(isinstance(row, dict) and row.get("sCode", "0") != "0" for row in rows)
    code = "0" if not refused else "1" if refused == len(rows) else "2"
    told = "" if code == "0" else "All operations failed" if code == "1" else "Partly failed"
    return _json({"code": code, "msg": told, "data": rows}, 200)


def _failure(error: ApiError) -> web.Response:
    return _json({"code": error.code, "msg": error.message, "data": []}, error.status)


def _json(content: object, status: int) -> web.Response:
    text = json.dumps(content, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json")

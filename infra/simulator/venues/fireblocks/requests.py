"""Requests to the simulated Fireblocks: the token is checked, a repeated key gets its answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any, Final, TypeAlias

from aiohttp import web

from infra.simulator.venues.core.accounts import Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind, Scope
from infra.simulator.venues.fireblocks import errors
from infra.simulator.venues.fireblocks.errors import ApiError
from infra.simulator.venues.fireblocks.identity import KEY_HEADER, Asked, Identity

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
_KEY_CHARACTERS_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Call:
    """One call: parts of the path, query and body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a required text of the body; raises ApiError."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise ApiError(errors.BAD_REQUEST, f"{name} is missing")
        return value


Answer: TypeAlias = Callable[[Call], object]


class Desk:
    """Checks requests and answers them."""

    def __init__(self, book: VenueBook, identity: Identity) -> None:
        self._book, self._identity = book, identity
        self._answers: dict[str, tuple[int, object]] = {}
        self._spent: set[str] = set()

    def handler(self, answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the aiohttp handler of an endpoint."""

        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            try:
                await self._admit(request, body)
                status, content = self._once(request, await self.scope_of(request), answer, body)
            except ApiError as error:
                status, content = error.status, _told(error)
            return self._respond(status, content)

        return handle

    async def scope_of(self, request: web.Request) -> Scope:
        """Return where faults of a request are looked for."""
        account = request.match_info.get("vault", "")
        if request.method == "POST" and request.path == "/v1/transactions":
            source = _json_object(await request.read()).get("source")
            account = str(source.get("id", "")) if isinstance(source, dict) else ""
        return Scope(venue=self._book.venue, account=account, endpoint=request.path)

    async def _admit(self, request: web.Request, body: bytes) -> None:
        scope = await self.scope_of(request)
        if self._book.plan.draw(FaultKind.KEY_REVOKED, scope):
            raise ApiError(errors.NOT_ACCEPTED)
        if self._book.plan.draw(FaultKind.SUSPENDED, scope):
            raise ApiError(errors.NO_PERMISSION)
        asked = Asked(
            api_key=request.headers.get(KEY_HEADER, ""),
            authorization=request.headers.get("Authorization", ""),
            uri=request.raw_path, body=body,
        )  # fmt: skip
        self._identity.require(asked)

    def _once(
        self, request: web.Request, scope: Scope, answer: Answer, body: bytes
    ) -> tuple[int, object]:
        """Carry a request out, or return what its key got the first time."""
        call = Call(dict(request.match_info), dict(request.query), _json_object(body))
        key = request.headers.get(IDEMPOTENCY_HEADER, "")
        if request.method != "POST" or not key:
            return self._carried_out(scope, answer, call)
        if len(key) > _KEY_CHARACTERS_MAX:
            raise ApiError(errors.LONG_KEY)
        if key in self._spent:
            raise ApiError(errors.SPENT_KEY)
        if key in self._answers:
            return self._answers[key]
        self._fail(key, scope, "before")
        try:
            result = self._carried_out(scope, answer, call)
        except ApiError as error:
            result = error.status, _told(error)
        self._fail(key, scope, "after")
        self._answers[key] = result
        return result

    def _carried_out(self, scope: Scope, answer: Answer, call: Call) -> tuple[int, object]:
        self._odd(scope, "before")
        try:
            content = answer(call)
        except Refused as refused:
            raise ApiError(errors.BAD_REQUEST, str(refused)) from refused
        self._odd(scope, "after")
        return 200, content

    def _fail(self, key: str, scope: Scope, when: str) -> None:
        fault = self._draw(FaultKind.KEY_SPENT_BY_ERROR, scope, when)
        if fault is not None:
            self._spent.add(key)
            raise ApiError(errors.INTERNAL)

    def _odd(self, scope: Scope, when: str) -> None:
        fault = self._draw(FaultKind.UNKNOWN_CODE, scope, when)
        if fault is not None:
            code, status = int(fault.number("code", "9999")), int(fault.number("status", "400"))
            raise ApiError((status, code, "An unknown error occurred"))

    def _draw(self, kind: FaultKind, scope: Scope, when: str) -> Fault | None:
        return self._book.plan.draw_if(
            kind, scope, lambda fault: fault.text("when", "after") == when
        )

    def _respond(self, status: int, content: object) -> web.Response:
        # The date is the custodian's own clock, which may differ from this machine's.
        date = format_datetime(self._book.clock.wall(), usegmt=True)
        return web.Response(
            text=json.dumps(content), status=status, content_type="application/json",
            headers={"Date": date},
        )  # fmt: skip


def _told(error: ApiError) -> dict[str, object]:
    return {"message": error.message, "code": error.code}


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}

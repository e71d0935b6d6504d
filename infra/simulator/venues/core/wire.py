"""Faults of HTTP that look the same at every venue, as an aiohttp middleware."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

from infra.simulator.venues.core.faults import Fault, FaultKind, FaultPlan, Scope

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
ScopeOf: TypeAlias = Callable[[web.Request], Awaitable[Scope]]

HTML: Final = "<html><head><title>{status}</title></head><body>cloud gateway</body></html>"
_FOREVER_SECONDS: Final = 3600.0


def fault_middleware(plan: FaultPlan, scope_of: ScopeOf) -> Middleware:
    """Return the middleware that applies transport and HTTP faults around a venue's handlers.

    ``scope_of`` names venue, account and endpoint of a request, from the path or the body.
    WebSocket upgrades pass; ``sockets.py`` has their faults.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)
        scope = await scope_of(request)
        answer = await _before(plan, scope, request)
        if answer is not None:
            return answer
        response = await handler(request)
        return await _after(plan, scope, request, response)

    return middleware


def cut(request: web.Request) -> web.Response:
    """Reset the connection of a request; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def mangle(plan: FaultPlan, scope: Scope, text: str) -> str:
    """Return a JSON text with a number of ``field`` put into an odd form, if the fault strikes."""
    fault = plan.draw(FaultKind.ODD_NUMBER, scope)
    if fault is None:
        return text
    name, form = fault.text("field", "mark_price"), fault.text("form", "nan")
    pattern = re.compile(rf'("{re.escape(name)}"\s*:\s*)("?)(-?[0-9][0-9.eE+-]*)("?)')
    return pattern.sub(lambda found: found.group(1) + _odd(found, form), text, count=1)


def _odd(found: re.Match[str], form: str) -> str:
    quote, number = found.group(2), found.group(3)
    if form == "nan":
        return f"{quote}NaN{quote}"
    if form == "exponent":
        return f"{quote}{float(number):.15e}{quote}"
    if form == "tail":
        body = number if "." in number else number + ".0"
        return f"{quote}{body}00000000000000001{quote}"
    if form == "null":
        return "null"
    return number if quote else f'"{number}"'


async def _before(plan: FaultPlan, scope: Scope, request: web.Request) -> web.Response | None:
    if plan.draw(FaultKind.REFUSE, scope) or plan.draw(FaultKind.RESET_BEFORE, scope):
        return cut(request)
    latency = plan.draw(FaultKind.LATENCY, scope)
    if latency is not None:
        spread = latency.seconds("jitter", 0.0) * random.Random(plan.struck.total()).random()
        await asyncio.sleep(latency.seconds("seconds", 0.1) + spread)
    late = plan.draw(FaultKind.LATE_COMMIT, scope)
    if late is not None:
        await asyncio.sleep(late.seconds("seconds", 1.0))
    answer = _refusal(plan, scope)
    if answer is not None:
        return answer
    return _damage(plan, scope, "before", b"{}")


def _refusal(plan: FaultPlan, scope: Scope) -> web.Response | None:
    limited = plan.draw(FaultKind.TOO_MANY_REQUESTS, scope)
    if limited is not None:
        wait = limited.parameters.get("retry_after")
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return web.Response(status=429, text="Too Many Requests", headers=headers)
    banned = plan.draw(FaultKind.BANNED, scope)
    if banned is not None:
        seconds = int(banned.seconds("seconds", 60.0))
        text = f'{{"code":-1003,"msg":"Way too many requests; IP banned for {seconds} s."}}'
        return web.Response(status=418, text=text, content_type="application/json",
                            headers={"Retry-After": str(seconds)})  # fmt: skip
    if plan.draw(FaultKind.FORBIDDEN, scope) is not None:
        return web.Response(status=403, text=HTML.format(status=403), content_type="text/html")
    return None


async def _after(
    plan: FaultPlan, scope: Scope, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse:
    if not isinstance(response, web.Response) or response.prepared:
        return response
    if plan.draw(FaultKind.RESET_AFTER, scope):
        return cut(request)
    if plan.draw(FaultKind.HALF_OPEN, scope):
        await asyncio.sleep(_FOREVER_SECONDS)
    late = plan.draw(FaultKind.LATE_REPLY, scope)
    if late is not None:
        await asyncio.sleep(late.seconds("seconds", 1.0))
    if isinstance(response.body, bytes) and response.content_type == "application/json":
        text = response.body.decode()
        changed = mangle(plan, scope, text)
        if changed != text:
            response.text = changed
        damaged = _damage(plan, scope, "after", response.body)
        if damaged is not None:
            return damaged
    drip = plan.draw(FaultKind.DRIP, scope)
    if drip is not None and isinstance(response.body, bytes):
        return await _drip(request, response, response.body, drip)
    return response


def _damage(plan: FaultPlan, scope: Scope, when: str, body: bytes) -> web.Response | None:
    for kind in (FaultKind.BAD_GATEWAY, FaultKind.BROKEN_BODY):
        # The moment is part of the scope of these two, so that one plan can hold both.
        fault = plan.draw_if(kind, scope, lambda found: found.text("when", "after") == when)
        if fault is None:
            continue
        if kind is FaultKind.BAD_GATEWAY:
            status = int(fault.number("status", "502"))
            return web.Response(status=status, text=HTML.format(status=status),
                                content_type="text/html")  # fmt: skip
        form = fault.text("form", "html")
        broken = {"html": HTML.format(status=200).encode(), "empty": b""}
        return web.Response(
            body=broken.get(form, body[: len(body) // 2]),
            content_type="text/html" if form == "html" else "application/json",
        )
    return None


async def _drip(
    request: web.Request, response: web.Response, body: bytes, fault: Fault
) -> web.StreamResponse:
    slow = web.StreamResponse(status=response.status)
    slow.content_type = response.content_type
    slow.content_length = len(body)
    await slow.prepare(request)
    pause = fault.seconds("seconds", 1.0) / max(len(body), 1)
    for start in range(len(body)):
        await slow.write(body[start : start + 1])
        await asyncio.sleep(pause)
    return slow

"""The admin endpoint: state, clock, prices, faults, unilateral acts, and what was executed."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from infra.simulator.venues.core.accounts import Refused
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.paths import Move
from infra.simulator.venues.core.trading import claw_back, deleverage, liquidate

if TYPE_CHECKING:
    from infra.simulator.venues.core.town import VenueTown

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FAULT_FIELDS = frozenset(
    ("venue", "account", "endpoint", "channel", "probability", "times", "after_seconds",
     "duration_seconds", "parameters")
)  # fmt: skip


def admin_application(town: VenueTown, token: str) -> web.Application:
    """Return the admin server of a town; every request needs ``Authorization: Bearer <token>``.

    ``GET /state``, ``/executed?key=``, ``/faults``; ``POST /step {seconds}``, ``/speed {speed}``,
    ``/skew {seconds}``, ``/price {asset, price}``, ``/move {asset, fraction, over_seconds,
    in_seconds}``, ``/funding {symbol, rate}``, ``/faults {kind, ...}``,
    ``/act {venue, account, act, ...}`` (acts: liquidate, deleverage, claw_back, credit),
    ``/reorganise {tx_hash, is_dropped}``; ``DELETE /faults``, ``/faults/{number}``.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _json({"error": "unauthorised"}, 401)
        try:
            return await handler(request)
        except (KeyError, ValueError, TypeError, ArithmeticError, Refused) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    desk = _Desk(town)
    application = web.Application(middlewares=[guard])
    application.add_routes(
        [
            web.get("/state", desk.state),
            web.get("/executed", desk.executed),
            web.get("/faults", desk.faults),
            web.post("/faults", desk.inject),
            web.delete("/faults", desk.clear),
            web.delete("/faults/{number}", desk.withdraw),
            web.post("/act", desk.act),
            *(web.post(f"/{name}", desk.command) for name in _COMMANDS),
        ]
    )
    return application


class _Desk:
    def __init__(self, town: VenueTown) -> None:
        self._town = town

    async def state(self, _: web.Request) -> web.Response:
        town = self._town
        transfers = [
            {
                "tx_hash": t.tx_hash, "source": t.source, "destination": t.destination,
                "asset": t.asset, "quantity": t.quantity, "state": t.state, "key": t.key,
            }
            for t in town.chain.transfers.values()
        ]  # fmt: skip
        return _json(
            {
                "elapsed_seconds": town.clock.elapsed(),
                "prices": {asset: town.market.usd_price(asset) for asset in town.market.assets},
                "chain": transfers,
                "venues": {
                    name: {a.account_id: _account(a) for a in venue.book.accounts.values()}
                    for name, venue in town.venues.items()
                },
            }
        )

    async def executed(self, request: web.Request) -> web.Response:
        key = request.query.get("key")
        done = [
            {"venue": name, "key": e.key, "kind": e.kind, "account": e.account_id, **e.details}
            for name, venue in self._town.venues.items()
            for e in venue.book.executed
            if key is None or e.key == key
        ]
        return _json({"executed": done})

    async def faults(self, _: web.Request) -> web.Response:
        plan = self._town.plan
        listed = [
            {"number": number, "kind": fault.kind, "struck": struck}
            for number, fault, struck in plan.in_force()
        ]
        return _json({"in_force": listed, "struck": {k.value: n for k, n in plan.struck.items()}})

    async def inject(self, request: web.Request) -> web.Response:
        body = dict(await request.json())
        kind = FaultKind(body.pop("kind"))
        unknown = set(body) - _FAULT_FIELDS
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        return _json({"number": self._town.plan.inject(Fault(kind=kind, **body))})

    async def clear(self, _: web.Request) -> web.Response:
        self._town.plan.clear()
        return _json({})

    async def withdraw(self, request: web.Request) -> web.Response:
        self._town.plan.withdraw(int(request.match_info["number"]))
        return _json({})

    async def command(self, request: web.Request) -> web.Response:
        body = dict(await request.json())
        await _COMMANDS[request.path.strip("/")](self._town, body)
        return _json({"elapsed_seconds": self._town.clock.elapsed()})

    async def act(self, request: web.Request) -> web.Response:
        body = dict(await request.json())
        book = self._town.venues[body["venue"]].book
        account = book.accounts[body["account"]]
        quantity = Decimal(str(body.get("quantity", body.get("share", 1))))
        if body["act"] == "liquidate":
            return _json({"closed": liquidate(book, account, body["symbol"], quantity)})
        if body["act"] == "deleverage":
            return _json({"closed": deleverage(book, account, body["symbol"], quantity)})
        if body["act"] == "claw_back":
            claw_back(book, account, body["asset"], quantity)
        elif body["act"] == "credit":
            book.adjust(account, body["asset"], quantity, "deposit", reference="admin")
        else:
            raise ValueError(f"no act {body['act']!r}")
        return _json({})


async def _step(town: VenueTown, body: dict[str, Any]) -> None:
    await town.step(float(body["seconds"]))


async def _speed(town: VenueTown, body: dict[str, Any]) -> None:
    town.clock.set_speed(float(body["speed"]))


async def _skew(town: VenueTown, body: dict[str, Any]) -> None:
    town.clock.set_skew(float(body["seconds"]))


async def _price(town: VenueTown, body: dict[str, Any]) -> None:
    wanted = Decimal(str(body["price"]))
    town.market.paths[body["asset"]].set_price(wanted, town.clock.elapsed())


async def _move(town: VenueTown, body: dict[str, Any]) -> None:
    at = town.clock.elapsed() + float(body.get("in_seconds", 0.0))
    move = Move(at, float(body["fraction"]), float(body.get("over_seconds", 0.0)))
    town.market.paths[body["asset"]].add(move)


async def _funding(town: VenueTown, body: dict[str, Any]) -> None:
    town.market.funding[body["symbol"]] = Decimal(str(body["rate"]))


async def _reorganise(town: VenueTown, body: dict[str, Any]) -> None:
    town.chain.reorganise(body["tx_hash"], is_dropped=bool(body.get("is_dropped", False)))


_COMMANDS: dict[str, Callable[[VenueTown, dict[str, Any]], Awaitable[None]]] = {
    "step": _step,
    "speed": _speed,
    "skew": _skew,
    "price": _price,
    "move": _move,
    "funding": _funding,
    "reorganise": _reorganise,
}


def _account(account: Any) -> dict[str, object]:
    return {
        "balances": {f"{w}/{asset}": q for (w, asset), q in sorted(account.balances.items())},
        "positions": {p.symbol: p.quantity for p in account.open_positions()},
        "open_orders": len(account.open_orders()),
        "lines": len(account.lines),
    }


def _json(value: object, status: int = 200) -> web.Response:
    # Decimals travel as strings: exact, and no number of a client's JSON library.
    return web.json_response(text=json.dumps(value, default=str), status=status)

"""Streams of the simulated OKX: public marks and tickers, private account and positions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from aiohttp import web

from infra.simulator.venues.core.accounts import TRADING, ZERO, Account, LedgerLine, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.sockets import FaultySocket, StreamClosed
from infra.simulator.venues.okx.contracts import family, plain
from infra.simulator.venues.okx.errors import ApiError
from infra.simulator.venues.okx.holdings import order_payload
from infra.simulator.venues.okx.identity import Identity
from infra.simulator.venues.okx.public import Public
from infra.simulator.venues.okx.trading import Trading

_PRIVATE: Final = ("account", "positions", "balance_and_position", "orders")
_EVENTS: Final = {
    "trade": "filled", "transfer": "transferred", "deposit": "transferred",
    "funding": "funding_fee", "liquidation": "liquidation", "adl": "adl",
    "socialized_fund": "claw_back",
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Session:
    """One connection: who it is, its channels, and what it was told."""

    socket: FaultySocket
    is_private: bool
    account: Account | None = None
    channels: dict[str, dict[str, str]] = field(default_factory=dict)
    n_lines: int = 0
    shown: dict[str, Decimal] = field(default_factory=dict)
    shown_orders: dict[str, str] = field(default_factory=dict)
    pushed_ms: int = 0

    def push_time(self, now_ms: int) -> str:
        """Return the time of the next push, after that of the last one."""
        self.pushed_ms = max(now_ms, self.pushed_ms + 1)
        return str(self.pushed_ms)


class Streams:
    """All connections of the venue."""

    def __init__(
        self, book: VenueBook, identity: Identity, public: Public, trading: Trading
    ) -> None:
        self._book, self._identity = book, identity
        self._public, self._trading = public, trading
        self._rows: dict[str, Callable[[Listing], dict[str, str]]] = {
            "mark-price": public.mark, "tickers": public.ticker, "funding-rate": public.funding,
            "index-tickers": public.index,
        }  # fmt: skip
        self.sessions: list[Session] = []

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of streams."""
        return [web.get(f"/ws/v5/{kind}", self.serve) for kind in ("public", "private", "business")]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Hold one connection until it ends."""
        scope = Scope(venue=self._book.venue, endpoint="stream")
        cap = self._book.plan.draw(FaultKind.CONNECTION_CAP, scope)
        if cap is not None and len(self.sessions) >= int(cap.number("limit", "0")):
            return web.Response(status=429, text="too many connections")
        raw = web.WebSocketResponse(max_msg_size=1 << 22, autoping=False)
        await raw.prepare(request)
        socket = FaultySocket(raw, request, self._book.plan, scope)
        session = Session(socket, is_private=request.path.endswith("private"))
        self.sessions.append(session)
        try:
            while True:
                await self._answer(session, await socket.receive())
        except (StreamClosed, ConnectionError):
            pass
        finally:
            self.sessions.remove(session)
        return raw

    async def publish(self) -> None:
        """Send what the connections follow."""
        for session in list(self.sessions):
            try:
                await self._publish(session)
            except (StreamClosed, ConnectionError):
                continue

    async def _answer(self, session: Session, text: str) -> None:
        if text == "ping":
            await session.socket.heartbeat("pong")
            return
        try:
            frame = json.loads(text)
            operation, arguments = frame["op"], frame["args"]
        except (ValueError, KeyError, TypeError):
            await self._error(session, ApiError("60012", f"Illegal request: {text}"))
            return
        try:
            for argument in arguments:
                await self._operate(session, operation, argument)
        except ApiError as error:
            await self._error(session, error)

    async def _operate(self, session: Session, operation: str, argument: Mapping[str, str]) -> None:
        if operation == "login":
            account_id = self._identity.require_login(argument)
            session.account = self._book.accounts[account_id]
            session.socket.scope = Scope(
                venue=self._book.venue, account=account_id, endpoint="stream"
            )
            await self._reply(session, {"event": "login", "code": "0", "msg": "", "connId": "sim"})
            return
        if operation not in ("subscribe", "unsubscribe"):
            raise ApiError("60012", f"Illegal request: {operation}")
        told = dict(argument)
        name = json.dumps(told, sort_keys=True)
        if operation == "unsubscribe":
            session.channels.pop(name, None)
        else:
            self._require_channel(session, told)
            session.channels[name] = told
        await self._reply(session, {"event": operation, "arg": told, "connId": "sim"})
        if operation == "subscribe" and session.account is not None:
            await self._snapshot(session, session.account, told)

    def _require_channel(self, session: Session, told: Mapping[str, str]) -> None:
        channel = told.get("channel", "")
        if channel in _PRIVATE:
            if session.account is None:
                raise ApiError("60011", "Please log in")
            return
        if channel not in self._rows:
            raise ApiError("60018", f"Invalid request: channel:{channel} doesn't exist")
        if self._listing(told) is None:
            raise ApiError("60018", f"Invalid request: {json.dumps(told)} doesn't exist")

    def _listing(self, told: Mapping[str, str]) -> Listing | None:
        wanted = told.get("instId", "")
        if told.get("channel") == "index-tickers":
            for listing in self._book.listings.values():
                if family(listing) == wanted:
                    return listing
            return None
        return self._book.listings.get(wanted)

    async def _publish(self, session: Session) -> None:
        plan, scope = self._book.plan, session.socket.scope
        if plan.draw(FaultKind.ERROR_FRAME, scope):
            await self._error(session, ApiError("60012", "Illegal request"))
        if plan.draw(FaultKind.TOKEN_EXPIRED, scope):
            words = "The connection will soon be closed for a service upgrade. Please reconnect."
            await self._reply(session, {"event": "notice", "code": "64008", "msg": words})
        for told in list(session.channels.values()):
            listing = self._listing(told)
            if told["channel"] in self._rows and listing is not None:
                await self._push(session, told, [self._rows[told["channel"]](listing)])
        if session.account is not None:
            await self._publish_account(session, session.account)

    async def _snapshot(self, session: Session, account: Account, told: dict[str, str]) -> None:
        session.n_lines = len(account.lines)
        if told["channel"] == "account":
            await self._push(session, told, [self._trading.balance(account)])
        elif told["channel"] == "positions":
            await self._push_positions(session, account, told)
        elif told["channel"] == "balance_and_position":
            await self._push(session, told, [self._both(session, account, [], "snapshot")])
        elif told["channel"] == "orders":
            session.shown_orders = {one.order_id: _state(one) for one in account.orders.values()}

    async def _publish_account(self, session: Session, account: Account) -> None:
        lines = [line for line in account.lines[session.n_lines :] if line.wallet == TRADING]
        session.n_lines = len(account.lines)
        for told in list(session.channels.values()):
            channel = told["channel"]
            if channel == "account":
                await self._push(session, told, [self._trading.balance(account)])
            elif channel == "positions":
                await self._push_positions(session, account, told)
            elif channel == "balance_and_position":
                for line in lines:
                    event = _EVENTS.get(line.kind, "transferred")
                    await self._push(session, told, [self._both(session, account, [line], event)])
            elif channel == "orders":
                await self._push_orders(session, account, told)

    async def _push_positions(
        self, session: Session, account: Account, told: dict[str, str]
    ) -> None:
        rows = self._trading.positions(account)
        held = {str(row["instId"]) for row in rows}
        # A position that was closed is shown once more, flat.
        gone = [
            {"instId": symbol, "pos": "0", "posSide": "net", "mgnMode": "cross", "avgPx": "",
             "markPx": "", "ccy": "", "instType": "", "uTime": str(self._book.clock.wall_ms())}
            for symbol in sorted(set(session.shown) - held)
        ]  # fmt: skip
        session.shown = dict.fromkeys(held, ZERO)
        if "instId" in told:
            rows = [row for row in rows if row["instId"] == told["instId"]]
        await self._push(session, told, [*rows, *gone])

    async def _push_orders(self, session: Session, account: Account, told: dict[str, str]) -> None:
        for order in list(account.orders.values()):
            if session.shown_orders.get(order.order_id) != _state(order):
                session.shown_orders[order.order_id] = _state(order)
                await self._push(session, told, [order_payload(self._book, order)])

    def _both(
        self, session: Session, account: Account, lines: list[LedgerLine], event: str
    ) -> dict[str, Any]:
        now = session.push_time(self._book.clock.wall_ms())
        assets = {line.asset for line in lines} or set(account.assets(TRADING))
        symbols = {str(line.details["symbol"]) for line in lines if "symbol" in line.details}
        held = [one for one in account.positions.values() if one.symbol in symbols or not lines]
        return {
            "pTime": now, "eventType": event,
            "balData": [
                {"ccy": asset, "cashBal": plain(account.balance(asset)), "uTime": now}
                for asset in sorted(assets)
            ],
            "posData": [
                {"posId": one.symbol, "tradeId": "", "instId": one.symbol, "instType": "",
                 "mgnMode": "cross", "posSide": "net", "pos": plain(one.quantity), "ccy": "",
                 "posCcy": "", "avgPx": plain(one.entry_price), "uTime": now}
                for one in held
            ],
            "trades": [],
        }  # fmt: skip

    async def _push(self, session: Session, told: dict[str, str], rows: list[Any]) -> None:
        text = json.dumps({"arg": told, "data": rows}, separators=(",", ":"))
        name = told["channel"] + (f"/{told['instId']}" if "instId" in told else "")
        await session.socket.send(text, name)

    async def _reply(self, session: Session, content: Mapping[str, Any]) -> None:
        await session.socket.reply(json.dumps(content))

    async def _error(self, session: Session, error: ApiError) -> None:
        told = {"event": "error", "code": error.code, "msg": error.message, "connId": "sim"}
        await self._reply(session, told)


def _state(order: Order) -> str:
    return f"{order.state}/{order.filled}"

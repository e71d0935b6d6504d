"""Streams of the simulated Deribit: JSON-RPC sessions, heartbeats, subscriptions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from infra.simulator.venues.core.accounts import Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.sockets import FaultySocket, StreamClosed
from infra.simulator.venues.deribit import contracts, rpc
from infra.simulator.venues.deribit.errors import TOO_MANY_REQUESTS, RpcError, invalid
from infra.simulator.venues.deribit.holdings import HoldingMethods, order_of
from infra.simulator.venues.deribit.identity import Identity
from infra.simulator.venues.deribit.orders import trade_of
from infra.simulator.venues.deribit.public import PublicMethods

_HEARTBEAT: Final = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}'
_TEST_REQUEST: Final = '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}'
_HEARTBEAT_SECONDS_MIN: Final = 10


@dataclass(eq=False, slots=True)
class Session:
    """One connection: who it is, what it follows, and what changed since the last tick."""

    socket: FaultySocket
    account: Account | None = None
    channels: dict[str, None] = field(default_factory=dict)
    heartbeat_seconds: float = 0.0
    heartbeat_due: float = 0.0
    changed: set[str] = field(default_factory=set)
    shown_orders: dict[str, str] = field(default_factory=dict)


class Streams:
    """All sessions of the venue."""

    def __init__(
        self,
        book: VenueBook,
        identity: Identity,
        dispatcher: rpc.Dispatcher,
        public: PublicMethods,
        holdings: HoldingMethods,
    ) -> None:
        self._book = book
        self._identity = identity
        self._dispatcher = dispatcher
        self._public = public
        self._holdings = holdings
        self.sessions: list[Session] = []
        book.on_change.append(self._note)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Hold one session until it ends."""
        scope = Scope(venue=self._book.venue, endpoint="stream")
        cap = self._book.plan.draw(FaultKind.CONNECTION_CAP, scope)
        if cap is not None and len(self.sessions) >= int(cap.number("limit", "0")):
            return web.Response(status=429, text="too many connections")
        raw = web.WebSocketResponse(max_msg_size=1 << 22)
        await raw.prepare(request)
        session = Session(FaultySocket(raw, request, self._book.plan, scope))
        self.sessions.append(session)
        try:
            while True:
                await self._answer(session, await session.socket.receive())
        except (StreamClosed, ConnectionError):
            pass
        finally:
            self.sessions.remove(session)
        return raw

    async def publish(self) -> None:
        """Send what the sessions follow."""
        for session in list(self.sessions):
            try:
                await self._publish(session)
            except (StreamClosed, ConnectionError):
                continue

    def _note(self, account_id: str, what: str) -> None:
        for session in self.sessions:
            if session.account is not None and session.account.account_id == account_id:
                session.changed.add(what)

    async def _answer(self, session: Session, text: str) -> None:
        request_id: object = None
        try:
            frame = rpc.parse(text)
            request_id = frame.get("id")
            parameters = frame.get("params") or {}
            assert isinstance(parameters, dict)
            result = await self._result(session, str(frame.get("method")), parameters)
            told = rpc.answer(self._book.clock, request_id, result)
        except RpcError as error:
            told = rpc.failure(self._book.clock, request_id, error)
            await session.socket.reply(told.decode())
            if error.code == TOO_MANY_REQUESTS[0]:
                # An empty pool of credits also ends the session.
                await session.socket.close(1008, "too_many_requests")
            return
        await session.socket.reply(told.decode())

    async def _result(self, session: Session, method: str, parameters: dict[str, object]) -> object:
        if method == "public/auth":
            account_id, told = self._identity.authorise(parameters)
            session.account = self._book.accounts[account_id]
            session.socket.scope = Scope(
                venue=self._book.venue, account=account_id, endpoint="stream"
            )
            return told
        token = parameters.pop("access_token", None)
        if token is not None:
            session.account = self._book.accounts[self._identity.of_token(str(token))]
        if method in ("public/subscribe", "private/subscribe"):
            return self._subscribe(session, parameters, is_private=method.startswith("private"))
        if method in ("public/unsubscribe", "private/unsubscribe"):
            gone = [name for name in _names(parameters) if name in session.channels]
            for name in gone:
                del session.channels[name]
            return gone
        if method == "public/set_heartbeat":
            interval = float(str(parameters.get("interval", 0)))
            if interval < _HEARTBEAT_SECONDS_MIN:
                raise invalid("interval", f"at least {_HEARTBEAT_SECONDS_MIN}")
            session.heartbeat_seconds = interval
            session.heartbeat_due = asyncio.get_running_loop().time() + interval
            return "ok"
        if method == "public/hello":
            return {"version": "1.2.26"}
        return await self._dispatcher.result(rpc.Call(method, parameters, session.account))

    def _subscribe(
        self, session: Session, parameters: dict[str, object], *, is_private: bool
    ) -> object:
        scope = session.socket.scope
        limited = self._book.plan.draw(
            FaultKind.CREDITS_EMPTY,
            Scope(venue=scope.venue, account=scope.account, endpoint="subscribe"),
        )
        if limited is not None:
            raise RpcError(TOO_MANY_REQUESTS, {"wait": 1}, 429)
        if is_private and session.account is None:
            raise RpcError((13009, "unauthorized"), {"reason": "no session"}, 401)
        accepted = [name for name in _names(parameters) if self._is_channel(name, session)]
        for name in accepted:
            session.channels[name] = None
            if name.startswith("user."):
                session.changed.update(("balance", "position", "order"))
        return accepted

    def _is_channel(self, name: str, session: Session) -> bool:
        parts = name.split(".")
        if parts[0] == "ticker":
            scope = Scope(venue=self._book.venue, channel=parts[1])
            is_gone = self._book.plan.draw(FaultKind.INSTRUMENT_GONE, scope) is not None
            return len(parts) == 3 and parts[1] in self._book.listings and not is_gone
        return parts[0] == "user" and session.account is not None and len(parts) >= 3

    async def _publish(self, session: Session) -> None:
        for channel in list(session.channels):
            parts = channel.split(".")
            if parts[0] == "ticker":
                try:
                    data = self._public.ticker(parts[1])
                except RpcError:
                    continue
                await session.socket.send(rpc.notification(channel, data), channel)
        if session.account is not None and session.changed:
            changed, session.changed = session.changed, set()
            await self._publish_account(session, session.account, changed)
        if session.account is not None and any(n.startswith("user.p") for n in session.channels):
            session.changed.add("tick")
        await self._publish_errors(session)
        await self._beat(session)

    async def _publish_account(self, session: Session, account: Account, changed: set[str]) -> None:
        buckets = self._book.margins(account)
        for channel in list(session.channels):
            parts = channel.split(".")
            if channel.startswith("user.portfolio."):
                wanted = contracts.CURRENCIES if parts[2] == "any" else (parts[2].upper(),)
                for currency in wanted:
                    data = self._holdings.portfolio(account, currency, buckets)
                    await session.socket.send(rpc.notification(channel, data), channel)
            elif channel.startswith("user.changes.") and changed & {"position", "order"}:
                await self._publish_changes(session, account, channel)

    async def _publish_changes(self, session: Session, account: Account, channel: str) -> None:
        fresh = [
            order
            for order in account.orders.values()
            if session.shown_orders.get(order.order_id) != f"{order.state}/{order.filled}"
        ]
        for order in fresh:
            session.shown_orders[order.order_id] = f"{order.state}/{order.filled}"
        # Flat positions are shown too, with size 0, as the venue does when one is closed.
        for symbol in sorted({*account.positions, *(order.symbol for order in fresh)}):
            held = account.positions.get(symbol)
            mine = [order for order in fresh if order.symbol == symbol]
            data = {
                "instrument_name": symbol,
                "trades": [trade_of(self._book, order) for order in mine if order.filled],
                "positions": [] if held is None else [self._holdings.position_of(held)],
                "orders": [order_of(self._book, order) for order in mine],
            }
            await session.socket.send(rpc.notification(channel, data), channel)

    async def _publish_errors(self, session: Session) -> None:
        if self._book.plan.draw(FaultKind.ERROR_FRAME, session.socket.scope):
            error = RpcError(TOO_MANY_REQUESTS, {"wait": 1})
            await session.socket.reply(rpc.failure(self._book.clock, None, error).decode())

    async def _beat(self, session: Session) -> None:
        if not session.heartbeat_seconds:
            return
        now = asyncio.get_running_loop().time()
        if now >= session.heartbeat_due:
            session.heartbeat_due = now + session.heartbeat_seconds
            await session.socket.heartbeat(_HEARTBEAT)
            await session.socket.heartbeat(_TEST_REQUEST)


def _names(parameters: dict[str, object]) -> list[str]:
    names = parameters.get("channels", [])
    if not isinstance(names, list):
        raise invalid("channels", "not a list")
    return [str(name) for name in names]

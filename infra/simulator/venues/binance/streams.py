"""Streams of the simulated Binance: marks and tickers, and user data under a listen key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from aiohttp import web

from infra.simulator.venues.binance.contracts import figure
from infra.simulator.venues.binance.futures import Futures
from infra.simulator.venues.binance.holdings import positions
from infra.simulator.venues.binance.identity import Identity
from infra.simulator.venues.core.accounts import TRADING, ZERO, Account, LedgerLine, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.sockets import FaultySocket, StreamClosed

# A warning comes while equity is below this multiple of the maintenance margin.
_WARNING: Final = Decimal("1.25")
_REASONS: Final = {
    "trade": "ORDER", "adl": "ORDER", "liquidation": "ORDER", "funding": "FUNDING_FEE",
    "transfer": "WITHDRAW", "deposit": "DEPOSIT", "socialized_fund": "INSURANCE_CLEAR",
}  # fmt: skip
_OWN_ACTS: Final = {"liquidation": "autoclose-", "adl": "adl_autoclose_"}
_STATES: Final = {
    "open": ("NEW", "NEW"), "filled": ("TRADE", "FILLED"), "cancelled": ("CANCELED", "CANCELED"),
    "rejected": ("EXPIRED", "REJECTED"),
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Session:
    """One connection: its streams, or the account whose data it carries."""

    socket: FaultySocket
    is_combined: bool
    streams: dict[str, None] = field(default_factory=dict)
    listen_key: str = ""
    account: Account | None = None
    n_lines: int = 0
    shown_orders: dict[str, str] = field(default_factory=dict)
    shown_positions: set[str] = field(default_factory=set)
    is_warned: bool = False


class Streams:
    """All connections of the venue."""

    def __init__(self, book: VenueBook, identity: Identity, futures: Futures) -> None:
        self._book, self._identity, self._futures = book, identity, futures
        self.sessions: list[Session] = []

    def routes(self) -> list[web.RouteDef]:
        """Return the paths of streams, with and without the category that came in 2026."""
        paths = ("/ws", "/ws/{name}", "/stream", "/market/ws", "/market/ws/{name}",
                 "/market/stream", "/private/ws", "/private/stream")  # fmt: skip
        return [web.get(path, self.serve) for path in paths]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Hold one connection until it ends."""
        scope = Scope(venue=self._book.venue, endpoint="stream")
        cap = self._book.plan.draw(FaultKind.CONNECTION_CAP, scope)
        if cap is not None and len(self.sessions) >= int(cap.number("limit", "0")):
            return web.Response(status=429, text="too many connections")
        name = request.match_info.get("name", "")
        listen_key = request.query.get("listenKey", "" if "@" in name or name.isdigit() else name)
        owner = self._identity.owner_of(listen_key)
        if request.path.startswith("/private") and not owner:
            return web.Response(status=401, text="invalid listenKey")
        raw = web.WebSocketResponse(max_msg_size=1 << 22, autoping=False)
        await raw.prepare(request)
        scope = Scope(venue=self._book.venue, account=owner, endpoint="stream")
        session = Session(
            FaultySocket(raw, request, self._book.plan, scope),
            is_combined=request.path.endswith("/stream"),
        )
        wanted = [name] if "@" in name else request.query.get("streams", "").split("/")
        session.streams = dict.fromkeys(one for one in wanted if one)
        if owner:
            self._attach(session, listen_key, self._book.accounts[owner])
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
        """Send what the connections follow."""
        for session in list(self.sessions):
            try:
                await self._publish(session)
            except (StreamClosed, ConnectionError):
                continue

    def _attach(self, session: Session, listen_key: str, account: Account) -> None:
        session.listen_key, session.account = listen_key, account
        session.n_lines = len(account.lines)
        session.shown_orders = {one.order_id: _state(one) for one in account.orders.values()}
        session.shown_positions = {one.symbol for one in account.open_positions()}

    async def _answer(self, session: Session, text: str) -> None:
        try:
            frame = json.loads(text)
            method, names, number = frame["method"], frame.get("params", []), frame.get("id")
        except (ValueError, KeyError, TypeError):
            error = {"error": {"code": 2, "msg": "Invalid request: invalid json"}}
            await session.socket.reply(json.dumps(error))
            return
        if method == "SUBSCRIBE":
            session.streams |= dict.fromkeys(names)
        elif method == "UNSUBSCRIBE":
            for name in names:
                session.streams.pop(name, None)
        await session.socket.reply(json.dumps({"result": None, "id": number}))

    async def _publish(self, session: Session) -> None:
        if self._book.plan.draw(FaultKind.ERROR_FRAME, session.socket.scope):
            error = {"error": {"code": 3, "msg": "Invalid request"}, "id": None}
            await session.socket.reply(json.dumps(error))
        for name in list(session.streams):
            for data in self._market(name):
                await self._send(session, name, data)
        if session.account is not None:
            await self._publish_account(session, session.account)

    def _market(self, name: str) -> list[dict[str, object]]:
        symbol, _, kind = name.partition("@")
        if symbol.startswith("!"):
            return []
        listing = self._book.listings.get(symbol.upper())
        if listing is None:
            return []
        if kind.startswith("markPrice"):
            return [self._mark(listing)]
        if kind in ("ticker", "miniTicker"):
            return [self._ticker(listing, kind)]
        return [self._book_ticker(listing)] if kind == "bookTicker" else []

    def _mark(self, listing: Listing) -> dict[str, object]:
        row = self._futures.mark_payload(listing)
        return {
            "e": "markPriceUpdate", "E": row["time"], "s": listing.symbol, "p": row["markPrice"],
            "i": row["indexPrice"], "P": row["estimatedSettlePrice"], "r": row["lastFundingRate"],
            "T": row["nextFundingTime"],
        }  # fmt: skip

    def _ticker(self, listing: Listing, kind: str) -> dict[str, object]:
        mark = figure(self._book.quote(listing.symbol).mark_price)
        return {
            "e": "24hrTicker" if kind == "ticker" else "24hrMiniTicker",
            "E": self._book.clock.wall_ms(), "s": listing.symbol, "c": mark, "o": mark, "h": mark,
            "l": mark, "v": "0", "q": "0", "w": mark, "p": "0", "P": "0", "Q": "1",
        }  # fmt: skip

    def _book_ticker(self, listing: Listing) -> dict[str, object]:
        quote, now = self._book.quote(listing.symbol), self._book.clock.wall_ms()
        return {
            "e": "bookTicker", "u": now, "E": now, "T": now, "s": listing.symbol,
            "b": str(quote.bid), "B": "1", "a": str(quote.ask), "A": "1",
        }  # fmt: skip

    async def _publish_account(self, session: Session, account: Account) -> None:
        if await self._has_expired(session):
            return
        lines = account.lines[session.n_lines :]
        session.n_lines = len(account.lines)
        for order in list(account.orders.values()):
            if session.shown_orders.get(order.order_id) != _state(order):
                session.shown_orders[order.order_id] = _state(order)
                await self._send(
                    session, "", self._order(_order_fields(order), order.average_price)
                )
        for line in lines:
            if line.kind in _OWN_ACTS:
                await self._send(session, "", self._order(_own_act(line), None))
        own = [line for line in lines if line.wallet == TRADING]
        if own:
            await self._send(session, "", self._update(session, account, own))
        await self._warn(session, account)

    async def _has_expired(self, session: Session) -> bool:
        expired = self._book.plan.draw(FaultKind.TOKEN_EXPIRED, session.socket.scope)
        if expired is None and self._identity.owner_of(session.listen_key):
            return False
        self._identity.listen_keys.pop(session.listen_key, None)
        key, session.account = session.listen_key, None
        if expired is None or expired.text("form", "announced") == "announced":
            now = self._book.clock.wall_ms()
            await self._send(session, "", {"e": "listenKeyExpired", "E": now, "listenKey": key})
        return True

    def _update(
        self, session: Session, account: Account, lines: list[LedgerLine]
    ) -> dict[str, object]:
        now = self._book.clock.wall_ms()
        held = {one.symbol: one for one in positions(self._book, account)}
        traded = {str(line.details["symbol"]) for line in lines if "symbol" in line.details}
        shown = sorted(session.shown_positions | set(held) | traded)
        session.shown_positions = set(held)
        changes = {line.asset: line.change for line in lines if line.kind == "deposit"}
        return {
            "e": "ACCOUNT_UPDATE", "T": now, "E": now,
            "a": {
                "m": _REASONS.get(lines[-1].kind, "ADJUSTMENT"),
                "B": [
                    {"a": asset, "wb": figure(account.balance(asset)),
                     "cw": figure(account.balance(asset)), "bc": figure(changes.get(asset, ZERO))}
                    for asset in sorted({line.asset for line in lines})
                ],
                "P": [
                    {
                        "s": symbol, "pa": str(held[symbol].quantity if symbol in held else 0),
                        "ep": str(held[symbol].entry_price if symbol in held else "0.0"),
                        "bep": "0", "cr": figure(account.positions[symbol].realised),
                        "up": figure(held[symbol].unrealised if symbol in held else ZERO),
                        "mt": "cross", "iw": "0", "ps": "BOTH",
                    }
                    for symbol in shown
                ],
            },
        }  # fmt: skip

    def _order(self, fields: dict[str, object], average: Decimal | None) -> dict[str, object]:
        now = self._book.clock.wall_ms()
        price = str(average or 0)
        order = {
            "o": "MARKET", "f": "GTC", "p": "0", "ap": price, "sp": "0", "L": price, "N": "USDT",
            "n": "0", "T": now, "t": 1, "b": "0", "a": "0", "m": False, "wt": "CONTRACT_PRICE",
            "ot": "MARKET", "ps": "BOTH", "cp": False, "rp": "0", **fields,
        }  # fmt: skip
        return {"e": "ORDER_TRADE_UPDATE", "T": now, "E": now, "o": order}

    async def _warn(self, session: Session, account: Account) -> None:
        held = positions(self._book, account)
        needed = sum((one.maintenance_margin for one in held), ZERO)
        equity = sum((account.balance(asset) for asset in {one.asset for one in held}), ZERO)
        equity += sum((one.unrealised for one in held), ZERO)
        is_close = bool(needed) and equity < needed * _WARNING
        if is_close and not session.is_warned:
            warning = {
                "e": "MARGIN_CALL", "E": self._book.clock.wall_ms(), "cw": figure(equity),
                "p": [
                    {"s": one.symbol, "ps": "BOTH", "pa": str(one.quantity), "mt": "CROSSED",
                     "iw": "0", "mp": figure(one.mark_price), "up": figure(one.unrealised),
                     "mm": figure(one.maintenance_margin)}
                    for one in held
                ],
            }  # fmt: skip
            await self._send(session, "", warning)
        session.is_warned = is_close

    async def _send(self, session: Session, stream: str, data: dict[str, object]) -> None:
        content: object = data
        if session.is_combined:
            content = {"stream": stream or session.listen_key, "data": data}
        text = json.dumps(content, separators=(",", ":"))
        await session.socket.send(text, stream or str(data["e"]))


def _state(order: Order) -> str:
    return f"{order.state}/{order.filled}"


def _order_fields(order: Order) -> dict[str, object]:
    execution, status = _STATES[order.state]
    return {
        "s": order.symbol, "c": order.key, "S": order.side.upper(), "x": execution, "X": status,
        "i": int(order.order_id), "q": str(order.quantity), "z": str(order.filled),
        "l": str(order.filled), "R": order.is_reduce_only, "p": str(order.limit_price or 0),
    }  # fmt: skip


def _own_act(line: LedgerLine) -> dict[str, object]:
    quantity = Decimal(str(line.details["quantity"]))
    return {
        "s": str(line.details["symbol"]), "c": f"{_OWN_ACTS[line.kind]}{line.line_id}",
        "S": "BUY" if quantity > 0 else "SELL", "x": "CALCULATED",
        "X": "NEW_ADL" if line.kind == "adl" else "NEW_INSURANCE", "i": line.line_id,
        "q": str(abs(quantity)), "z": str(abs(quantity)), "l": str(abs(quantity)), "R": True,
    }  # fmt: skip

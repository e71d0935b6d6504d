"""The user data stream of Binance USD-M: a listen key that is kept alive, and what it brings.

developers.binance.com, "User Data Streams": a key lives 60 minutes without a PUT, events of one
connection come in the order of their time, a connection is cut after 24 hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Final

import aiohttp
import msgspec

from engine.errors import BadPayload, SequenceGap, VenueRejected, VenueUnavailable
from engine.ports import FeedEvent, HeldBalance, HeldPosition, WorkingOrder
from infra.clock import Clock
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, BinanceClient, Call
from infra.venues.binance.instruments import instrument_id
from infra.venues.payloads import decode
from infra.venues.streams import StreamLimits, follow

RENEW_SECONDS: Final = 20 * 60.0
_KEY: Final = msgspec.json.Decoder(wire.ListenKey)
_EMPTY: Final = msgspec.json.Decoder(dict[str, object])
_EVENT: Final = msgspec.json.Decoder(wire.StreamEvent)
_FRAME: Final = msgspec.json.Decoder(wire.CombinedFrame)
_ACCOUNT: Final = msgspec.json.Decoder(wire.AccountUpdate)
_ORDER: Final = msgspec.json.Decoder(wire.OrderTradeUpdate)
_CALL: Final = msgspec.json.Decoder(wire.MarginCallEvent)
# Client ids that the venue gives to its own acts.
_OWN_ACTS: Final = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
"""Prefixes in ORDER_TRADE_UPDATE of liquidation, deleveraging and settlement."""
_WORKING: Final = ("NEW", "PARTIALLY_FILLED")


def account_events(
    client: BinanceClient, account_id: str, limits: StreamLimits | None, clock: Clock
) -> AsyncIterator[FeedEvent]:
    """Yield changes of the account of a client's credential, and every change of health.

    Balances are wallet balances. A margin call and the venue's own acts (liquidation, deleveraging)
    come as events that say so in ``reason``.
    """
    source = f"{VENUE} {account_id}"

    def protocol() -> _UserDataStream:
        return _UserDataStream(client, source, clock)

    return follow(source, protocol, limits, clock)


class _UserDataStream:
    def __init__(self, client: BinanceClient, source: str, clock: Clock) -> None:
        self._client, self._source, self._clock = client, source, clock
        self._last_time = 0

    async def open(self) -> str:
        call = Call(method="POST", path="/fapi/v1/listenKey", is_signed=False)
        # Asking again returns the same key, so that this POST may be read twice.
        answered = await self._client.read(call, _KEY)
        return f"{self._client.hosts.stream}/private/ws?listenKey={answered.content.listen_key}"

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        # The key in the path subscribes.
        return

    def read(self, frame: str) -> Iterable[FeedEvent]:
        text: str | bytes = frame
        wrapped = decode(_FRAME, frame, self._source)
        if wrapped.stream:
            text = bytes(wrapped.data)
        event = decode(_EVENT, text, self._source)
        if event.event == "listenKeyExpired":
            raise VenueUnavailable(
                f"{self._source}: the listen key has expired", identifier=self._source
            )
        if event.event == "ACCOUNT_UPDATE":
            update = decode(_ACCOUNT, text, self._source)
            self._require_order(update.transaction_time)
            yield self._changes(update.change)
        elif event.event == "ORDER_TRADE_UPDATE":
            order = decode(_ORDER, text, self._source)
            self._require_order(order.transaction_time)
            if order.order.client_order_id.startswith(_OWN_ACTS):
                yield self._say(_own_act(order.order))
            else:
                yield FeedEvent(
                    source=self._source,
                    received_at=self._clock(),
                    orders=(self._working(order.order),),
                )
        elif event.event == "MARGIN_CALL":
            yield self._margin_call(decode(_CALL, text, self._source))

    def silent_after(self) -> float | None:
        # An account that does not change is silent; pings tell a dead connection.
        return None

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        call = Call(method="PUT", path="/fapi/v1/listenKey", is_signed=False)
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._client.read(call, _EMPTY)
            except VenueRejected as error:
                raise VenueUnavailable(f"{self._source}: listen key refused, {error}") from error

    def _require_order(self, transaction_time: int) -> None:
        if transaction_time < self._last_time:
            raise SequenceGap(
                f"{self._source}: event of {transaction_time} after one of {self._last_time}",
                identifier=self._source,
                value=transaction_time,
            )
        self._last_time = transaction_time

    def _changes(self, change: wire.AccountChange) -> FeedEvent:
        return FeedEvent(
            source=self._source,
            received_at=self._clock(),
            positions=tuple(
                HeldPosition(
                    instrument_id=instrument_id(one.symbol),
                    quantity=one.quantity,
                    entry_price=one.entry_price,
                )
                for one in change.positions
            ),
            balances=tuple(
                HeldBalance(asset=one.asset, quantity=one.wallet_balance) for one in change.balances
            ),
            reason=change.reason,
        )

    def _working(self, order: wire.OrderChange) -> WorkingOrder:
        if order.side not in ("BUY", "SELL"):
            raise BadPayload(f"{self._source} order {order.order_id}: side {order.side!r} is none")
        left = order.quantity - order.filled_quantity
        return WorkingOrder(
            order_id=str(order.order_id),
            instrument_id=instrument_id(order.symbol),
            side="buy" if order.side == "BUY" else "sell",
            remaining_quantity=left if order.status in _WORKING else Decimal(0),
            limit_price=order.limit_price or None,
            is_reduce_only=order.is_reduce_only,
            client_order_id=order.client_order_id,
        )

    def _margin_call(self, event: wire.MarginCallEvent) -> FeedEvent:
        due = ", ".join(
            f"{one.symbol} {one.quantity} needs {one.maintenance_margin}" for one in event.positions
        )
        return self._say(f"MARGIN_CALL: {due}")

    def _say(self, reason: str) -> FeedEvent:
        return FeedEvent(source=self._source, received_at=self._clock(), reason=reason)


def _own_act(order: wire.OrderChange) -> str:
    return (
        f"{order.status}: the venue closed {order.filled_quantity} of {order.symbol} "
        f"({order.side}, {order.client_order_id})"
    )

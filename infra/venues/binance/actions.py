"""What may be done at Binance USD-M to reduce risk. Each write is one attempt."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from engine.errors import OutcomeUnknown, VenueRejected
from engine.order_ports import HedgeOrder, OrderGuarantees, OrderReport, ReduceOrder
from engine.ports import Reading
from infra.clock import Clock, utc_now
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, WINDOW, Answered, BinanceClient, Call
from infra.venues.binance.codes import NO_SUCH_ORDER
from infra.venues.binance.instruments import symbol_of
from infra.venues.binance.places import BinancePlaces
from infra.venues.payloads import plain, to_milliseconds

_ORDER: Final = msgspec.json.Decoder(wire.Order)
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order])
_POSITIONS: Final = msgspec.json.Decoder(list[wire.PositionRisk])
_INCOME: Final = msgspec.json.Decoder(list[wire.Income])
_DONE: Final = msgspec.json.Decoder(wire.Refusal)
_TRADED_WITHIN: Final = timedelta(days=3)
_CLOCK_MARGIN: Final = timedelta(seconds=1)
ORDER_SETTLE_WINDOW: Final = timedelta(seconds=10)
_STATES: Final[dict[str, Literal["open", "filled", "cancelled", "rejected"]]] = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "cancelled",
    "EXPIRED_IN_MATCH": "cancelled",
    "REJECTED": "rejected",
}


class BinanceActions:
    """Reduce-only orders and cancels in one-way mode."""

    def __init__(self, places: BinancePlaces, clock: Clock = utc_now) -> None:
        self._places, self._clock = places, clock
        self._sent: dict[str, str] = {}

    def order_guarantees(self) -> OrderGuarantees:
        """Return what Binance promises: a client id is unique among open orders alone."""
        return OrderGuarantees(
            is_keyed=False,
            request_expiry=WINDOW + _CLOCK_MARGIN,
            settle_window=ORDER_SETTLE_WINDOW,
        )

    async def reduce(self, order: ReduceOrder) -> OrderReport:
        """Send a reduce-only order, at the market where it has no limit price.

        A limit price that the market does not meet at once cancels the rest: a reduction that
        waits in the book is none.
        """
        return await self._place(order, order.limit_price, is_reduce_only=True)

    async def hedge(self, order: HedgeOrder) -> OrderReport:
        """Send an order that may open a position."""
        return await self._place(order, order.limit_price, is_reduce_only=False)

    async def _place(
        self, order: ReduceOrder | HedgeOrder, limit_price: Decimal | None, *, is_reduce_only: bool
    ) -> OrderReport:
        client, symbol = self._places.client(order.account_id), symbol_of(order.instrument_id)
        parameters = {
            "symbol": symbol,
            "side": order.side.upper(),
            "type": "MARKET",
            "quantity": plain(order.quantity),
            "reduceOnly": str(is_reduce_only).lower(),
            "newClientOrderId": order.key,
            "newOrderRespType": "RESULT",
        }
        if limit_price is not None:
            parameters |= {"type": "LIMIT", "timeInForce": "IOC", "price": plain(limit_price)}
        self._sent[order.key] = symbol
        call = Call(method="POST", path="/fapi/v1/order", parameters=parameters)
        made = await client.write(call, _ORDER)
        # An answer that names another order says nothing of this one.
        if made.content.client_order_id != order.key:
            raise OutcomeUnknown(
                f"{VENUE} order {order.key}: the answer is of {made.content.client_order_id!r}; "
                "look it up by its key, do not send it anew",
                identifier=order.key,
                value=made.content.client_order_id,
            )
        return _report(order.key, made)

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        """Return the order of a key, looked for in every contract where it can be.

        Binance finds orders by contract only. Asked is that of ``instrument_id``; else the one
        that this process sent it for, and those with a position, an open order or a trade within
        three days.
        """
        client = self._places.client(account_id)
        symbols = (
            [symbol_of(instrument_id)] if instrument_id else await self._candidates(client, key)
        )
        for symbol in symbols:
            call = Call(
                method="GET",
                path="/fapi/v1/order",
                parameters={"symbol": symbol, "origClientOrderId": key},
            )
            try:
                return _report(key, await client.read(call, _ORDER))
            except VenueRejected as error:
                if error.code != NO_SUCH_ORDER:
                    raise
        return None

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        """Ask once that an order be cancelled; what became of it is for a lookup to say."""
        call = Call(
            method="DELETE",
            path="/fapi/v1/order",
            parameters={"symbol": symbol_of(instrument_id), "orderId": order_id},
        )
        await self._places.client(account_id).write(call, _ORDER)

    async def cancel_all(self, account_id: str) -> int:
        """Cancel all open orders, contract by contract; return how many were open."""
        client = self._places.client(account_id)
        orders = (await client.read(_open_orders(), _ORDERS)).content
        for symbol in sorted({order.symbol for order in orders}):
            call = Call(
                method="DELETE", path="/fapi/v1/allOpenOrders", parameters={"symbol": symbol}
            )
            await client.write(call, _DONE)
        return len(orders)

    async def _candidates(self, client: BinanceClient, key: str) -> list[str]:
        sent = self._sent.get(key)
        if sent is not None:
            return [sent]
        since = to_milliseconds(self._clock() - _TRADED_WITHIN)
        positions = await client.read(
            Call(method="GET", path="/fapi/v3/positionRisk", weight=5), _POSITIONS
        )
        orders = await client.read(_open_orders(), _ORDERS)
        income = await client.read(
            Call(
                method="GET",
                path="/fapi/v1/income",
                parameters={"startTime": str(since), "limit": "1000"},
                weight=30,
            ),
            _INCOME,
        )
        held = {row.symbol for row in positions.content}
        working = {row.symbol for row in orders.content}
        traded = {row.symbol for row in income.content if row.symbol}
        return sorted(held | working | traded)


def _open_orders() -> Call:
    return Call(method="GET", path="/fapi/v1/openOrders", weight=40)


def _report(key: str, answered: Answered[wire.Order]) -> OrderReport:
    order = answered.content
    # A state that is not known is one in which the order may still act.
    return OrderReport(
        key=key,
        order_id=str(order.order_id),
        status=_STATES.get(order.status, "open"),
        filled_quantity=order.executed_qty,
        average_price=order.avg_price or None,
        reading=Reading(source=VENUE, received_at=answered.received_at),
        reason="" if order.status in _STATES else f"state {order.status} is not known",
    )

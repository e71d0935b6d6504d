"""What may be done at OKX to reduce risk, and the venue's margin of a changed book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from engine.errors import BadPayload, OutcomeUnknown, VenueError, VenueRejected
from engine.order_ports import HedgeOrder, OrderGuarantees, OrderReport, ReduceOrder
from engine.ports import Reading, ReportedMargin
from infra.venues.okx import wire
from infra.venues.okx.account import pending_orders
from infra.venues.okx.client import ORDER_LIFE, VENUE, Call, OkxClient
from infra.venues.okx.codes import NO_SUCH_ORDER
from infra.venues.okx.instruments import inst_id_of
from infra.venues.okx.market import OkxMarket
from infra.venues.okx.places import OkxPlaces
from infra.venues.payloads import exact_decimal, optional_decimal, plain

_MADE: Final = msgspec.json.Decoder(list[wire.OrderMade])
_ORDERS: Final = msgspec.json.Decoder(list[wire.PendingOrder])
_CONFIG: Final = msgspec.json.Decoder(list[wire.AccountConfig])
_WHAT_IF: Final = msgspec.json.Decoder(list[wire.WhatIfAnswer])
_KINDS: Final = ("SWAP", "FUTURES", "OPTION", "SPOT")
_BATCH: Final = 20
_PAGE: Final = 100
_PAGES_MAX: Final = 5
_CLOCK_MARGIN: Final = timedelta(seconds=1)
ORDER_SETTLE_WINDOW: Final = timedelta(seconds=10)
_STATES: Final[dict[str, Literal["open", "filled", "cancelled", "rejected"]]] = {
    "live": "open",
    "partially_filled": "open",
    "filled": "filled",
    "canceled": "cancelled",
    "mmp_canceled": "cancelled",
}


class OkxActions:
    """Reduce-only orders, hedges and cancels in net mode, cross margin; what-if."""

    def __init__(self, places: OkxPlaces, market: OkxMarket) -> None:
        self._places, self._market = places, market
        self._sent: dict[str, str] = {}

    def order_guarantees(self) -> OrderGuarantees:
        """Return what OKX promises: a client id that was used is refused."""
        return OrderGuarantees(
            is_keyed=True,
            request_expiry=ORDER_LIFE + _CLOCK_MARGIN,
            settle_window=ORDER_SETTLE_WINDOW,
        )

    async def reduce(self, order: ReduceOrder) -> OrderReport:
        """Send a reduce-only order, at the market where it has no limit price.

        A limit price that the market does not meet at once cancels the rest. OKX acknowledges
        before it matches: what was filled is read once afterwards, and if that fails the order is
        reported open.
        """
        return await self._place(order, order.limit_price, is_reduce_only=True)

    async def hedge(self, order: HedgeOrder) -> OrderReport:
        """Send an order that may open a position."""
        return await self._place(order, order.limit_price, is_reduce_only=False)

    async def _place(
        self, order: ReduceOrder | HedgeOrder, limit_price: Decimal | None, *, is_reduce_only: bool
    ) -> OrderReport:
        client, inst_id = self._places.client(order.account_id), inst_id_of(order.instrument_id)
        body = {
            "instId": inst_id, "tdMode": "cross", "side": order.side, "ordType": "market",
            "sz": plain(order.quantity), "reduceOnly": is_reduce_only, "clOrdId": order.key,
        }  # fmt: skip
        if limit_price is not None:
            body |= {"ordType": "ioc", "px": plain(limit_price)}
        self._sent[order.key] = inst_id
        call = Call(path="/api/v5/trade/order", body=body, weight=1, has_expiry=True)
        made = await client.write(call, _MADE)
        if len(made.rows) != 1 or made.rows[0].cl_ord_id not in ("", order.key):
            raise OutcomeUnknown(
                f"{VENUE} order {order.key}: the answer is of another order; look it up by its key",
                identifier=order.key,
            )
        acknowledged = OrderReport(
            key=order.key, order_id=made.rows[0].ord_id, status="open",
            filled_quantity=Decimal(0), average_price=None,
            reading=Reading(source=VENUE, received_at=made.received_at),
        )  # fmt: skip
        try:
            found = await self._order(client, inst_id, order.key)
        except VenueError as error:
            return replace(acknowledged, reason=f"acknowledged, not read: {error}")
        return found or acknowledged

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        """Return the order of a key: open ones, then those of seven days, kind by kind."""
        client = self._places.client(account_id)
        sent = inst_id_of(instrument_id) if instrument_id else self._sent.get(key)
        if sent is not None:
            return await self._order(client, sent, key)
        for row in await pending_orders(client):
            if row.cl_ord_id == key:
                return await self._order(client, row.inst_id, key)
        for kind in _KINDS:
            inst_id = await self._in_history(client, kind, key)
            if inst_id:
                return await self._order(client, inst_id, key)
        return None

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        """Ask once that an order be cancelled; what became of it is for a lookup to say."""
        body = {"instId": inst_id_of(instrument_id), "ordId": order_id}
        call = Call(path="/api/v5/trade/cancel-order", body=body, weight=1)
        await self._places.client(account_id).write(call, _MADE)

    async def cancel_all(self, account_id: str) -> int:
        """Cancel all open orders, twenty in a request; return how many were open."""
        client = self._places.client(account_id)
        orders = await pending_orders(client)
        for start in range(0, len(orders), _BATCH):
            batch = [
                {"instId": one.inst_id, "ordId": one.ord_id}
                for one in orders[start : start + _BATCH]
            ]
            call = Call(path="/api/v5/trade/cancel-batch-orders", body=batch, weight=4)
            await client.write(call, _MADE)
        return len(orders)

    async def simulate(
        self, account_id: str, changes: Mapping[str, Decimal]
    ) -> tuple[ReportedMargin, ...]:
        """Return the account's margin in USD if ``changes`` were added, from position-builder.

        The changes enter at their present marks, so that they bring no profit or loss.
        """
        client = self._places.client(account_id)
        marks = {mark.instrument_id: mark for mark in await self._market.marks(list(changes))}
        missing = [name for name in changes if name not in marks]
        if missing:
            raise VenueRejected(
                f"{VENUE} has no mark of {missing[0]}", cause="instrument", identifier=missing[0]
            )
        config = await client.read(Call(path="/api/v5/account/config", weight=12), _CONFIG)
        body: dict[str, Any] = {
            "acctLv": config.rows[0].acct_lv if config.rows else "3",
            "inclRealPosAndEq": True,
            "simPos": [
                {
                    "instId": inst_id_of(name), "pos": plain(quantity),
                    "avgPx": plain(marks[name].mark_price),
                }
                for name, quantity in sorted(changes.items())
            ],
        }  # fmt: skip
        # A question, although it is asked by POST: it may be asked twice.
        call = Call(path="/api/v5/account/position-builder", body=body, weight=30)
        answered = await client.read(call, _WHAT_IF)
        if len(answered.rows) != 1:
            raise BadPayload(f"{VENUE} position-builder: {len(answered.rows)} rows, not 1")
        row, name = answered.rows[0], f"{VENUE} position-builder"
        told = ReportedMargin(
            bucket="account", currency="USD",
            initial_margin=exact_decimal(row.total_imr, name),
            maintenance_margin=exact_decimal(row.total_mmr, name),
            equity=exact_decimal(row.eq, name),
        )  # fmt: skip
        return (told,)

    async def _order(self, client: OkxClient, inst_id: str, key: str) -> OrderReport | None:
        parameters = {"instId": inst_id, "clOrdId": key}
        call = Call(path="/api/v5/trade/order", parameters=parameters, weight=1)
        try:
            answered = await client.read(call, _ORDERS)
        except VenueRejected as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise
        for row in answered.rows:
            if row.cl_ord_id == key:
                return _report(row, Reading(source=VENUE, received_at=answered.received_at))
        return None

    async def _in_history(self, client: OkxClient, kind: str, key: str) -> str:
        after = ""
        for _ in range(_PAGES_MAX):
            parameters = {"instType": kind, "limit": str(_PAGE)}
            parameters |= {"after": after} if after else {}
            call = Call(path="/api/v5/trade/orders-history", parameters=parameters, weight=2)
            rows = (await client.read(call, _ORDERS)).rows
            for row in rows:
                if row.cl_ord_id == key:
                    return row.inst_id
            if len(rows) < _PAGE:
                break
            after = rows[-1].ord_id
        return ""


def _report(row: wire.PendingOrder, reading: Reading) -> OrderReport:
    name = f"{VENUE} order {row.ord_id}"
    # A state that is not known is one in which the order may still act.
    return OrderReport(
        key=row.cl_ord_id,
        order_id=row.ord_id,
        status=_STATES.get(row.state, "open"),
        filled_quantity=optional_decimal(row.acc_fill_sz, name) or Decimal(0),
        average_price=optional_decimal(row.avg_px, name) or None,
        reading=reading,
        reason="" if row.state in _STATES else f"state {row.state} is not known",
    )

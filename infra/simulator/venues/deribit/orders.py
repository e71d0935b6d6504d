"""Orders of the simulated Deribit."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from infra.simulator.venues.core.accounts import Account, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.trading import OrderRequest, cancel_all, place
from infra.simulator.venues.deribit import contracts
from infra.simulator.venues.deribit.errors import ORDER_NOT_FOUND, RpcError, invalid
from infra.simulator.venues.deribit.holdings import order_of
from infra.simulator.venues.deribit.rpc import Call, Method

_LABEL_CHARACTERS_MAX = 64


class OrderMethods:
    """Placing, finding and cancelling."""

    def __init__(self, book: VenueBook) -> None:
        self._book = book

    def methods(self) -> dict[str, Method]:
        """Return methods by name."""
        return {
            "private/buy": lambda call: self.place(call, "buy"),
            "private/sell": lambda call: self.place(call, "sell"),
            "private/cancel": self.cancel,
            "private/cancel_all": lambda call: cancel_all(self._book, call.asker),
            "private/get_open_orders": self.open_orders,
            "private/get_open_orders_by_currency": self.open_orders,
            "private/get_order_state": self.state,
            "private/get_order_state_by_label": self.by_label,
        }

    def place(self, call: Call, side: Literal["buy", "sell"]) -> object:
        """Place an order; ``amount`` is in USD or coins, ``contracts`` in contracts."""
        listing = self._book.listing(call.text("instrument_name"))
        if "contracts" in call.parameters:
            quantity = call.number("contracts")
        else:
            quantity = call.number("amount") / contracts.contract_size(listing)
        label = call.text("label", "")
        if len(label) > _LABEL_CHARACTERS_MAX:
            raise invalid("label", f"longer than {_LABEL_CHARACTERS_MAX}")
        is_market = call.text("type", "limit") == "market"
        request = OrderRequest(
            symbol=listing.symbol, side=side, quantity=quantity, key=label,
            limit_price=None if is_market else call.number("price"),
            is_reduce_only=call.flag("reduce_only"),
            is_immediate=call.text("time_in_force", "") == "immediate_or_cancel",
        )  # fmt: skip
        order = place(self._book, call.asker, request)
        trades = [trade_of(self._book, order)] if order.filled else []
        return {"order": order_of(self._book, order), "trades": trades}

    def cancel(self, call: Call) -> object:
        """Cancel one order."""
        order = self._find(call.asker, call.text("order_id"))
        if order.state != "open":
            raise RpcError((11044, "not_open_order"))
        order.state = "cancelled"
        self._book.order_changed(call.asker)
        return order_of(self._book, order)

    def open_orders(self, call: Call) -> object:
        """Return open orders, of a settlement currency if asked."""
        currency = call.text("currency", "any")
        return [
            order_of(self._book, order)
            for order in call.asker.open_orders()
            if currency in ("any", self._book.listing(order.symbol).settlement_asset)
        ]

    def state(self, call: Call) -> object:
        """Return one order."""
        return order_of(self._book, self._find(call.asker, call.text("order_id")))

    def by_label(self, call: Call) -> object:
        """Return orders of a label in a currency."""
        currency, label = call.text("currency"), call.text("label")
        return [
            order_of(self._book, order)
            for order in call.asker.orders.values()
            if order.key == label and self._book.listing(order.symbol).settlement_asset == currency
        ]

    def _find(self, account: Account, order_id: str) -> Order:
        order = account.orders.get(order_id)
        if order is None:
            raise RpcError(ORDER_NOT_FOUND)
        return order


def trade_of(book: VenueBook, order: Order) -> dict[str, object]:
    """Return the trade of a filled order as Deribit shows it."""
    listing, quote = book.listing(order.symbol), book.quote(order.symbol)
    return {
        "trade_seq": int(order.order_id), "trade_id": f"T{order.order_id}",
        "timestamp": int(order.placed_at.timestamp() * 1000), "tick_direction": 0,
        "state": order.state, "reduce_only": order.is_reduce_only, "price": order.average_price,
        "post_only": False, "order_type": "market" if order.limit_price is None else "limit",
        "order_id": order.order_id, "matching_id": None, "mark_price": quote.mark_price,
        "liquidity": "T", "instrument_name": order.symbol, "index_price": quote.index_price,
        "fee_currency": listing.settlement_asset, "fee": Decimal("0.0"), "label": order.key,
        "direction": order.side, "amount": order.filled * contracts.contract_size(listing),
    }  # fmt: skip

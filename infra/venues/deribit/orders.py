"""Orders of Deribit in our words, from answers and from streams alike."""

from __future__ import annotations

from typing import Literal

from engine.errors import BadPayload
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE


def side_of(order: wire.Order) -> Literal["buy", "sell"]:
    """Return the side of an order; raises BadPayload."""
    if order.direction == "buy":
        return "buy"
    if order.direction == "sell":
        return "sell"
    raise BadPayload(
        f"{VENUE} order {order.order_id}: side {order.direction!r}", identifier=order.order_id
    )

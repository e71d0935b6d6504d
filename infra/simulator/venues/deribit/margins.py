"""Margin of the simulated Deribit: segregated by currency, open orders charged too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from infra.simulator.venues.core.accounts import Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.margins import MarginBucket, position_margin, simple_margin


def segregated_margin(book: VenueBook, account: Account) -> Sequence[MarginBucket]:
    """Return margin by settlement currency; orders that may open are charged initial margin."""
    charged: dict[str, Decimal] = defaultdict(Decimal)
    for order in account.open_orders():
        if not order.is_reduce_only:
            quantity = order.remaining * order.sign
            initial, _ = position_margin(book, order.symbol, quantity)
            charged[book.listing(order.symbol).settlement_asset] += initial
    return [
        replace(bucket, initial_margin=bucket.initial_margin + charged[bucket.currency])
        for bucket in simple_margin(book, account)
    ]

"""Margin as a simulated venue reports it: rates on notional, one bucket per settlement asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import TYPE_CHECKING

from infra.simulator.venues.core.accounts import ZERO, Account
from infra.simulator.venues.core.listings import Listing

if TYPE_CHECKING:
    from infra.simulator.venues.core.book import VenueBook


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBucket:
    """What is margined together. Amounts in ``currency``; equity may be negative."""

    bucket: str
    currency: str
    initial_margin: Decimal
    maintenance_margin: Decimal
    equity: Decimal
    balance: Decimal
    unrealised: Decimal


def profit(listing: Listing, quantity: Decimal, entry: Decimal, exit_price: Decimal) -> Decimal:
    """Return the gain (+) of signed contracts between two prices. [settlement asset]

    Rounded toward zero at twelve decimals, where a reciprocal has no end.
    """
    if not quantity or not entry or not exit_price:
        return ZERO
    size = quantity * listing.contract_multiplier
    if listing.is_inverse_future:
        return round_down(size * (exit_price - entry) / (entry * exit_price), 12)
    return size * (exit_price - entry)


def position_value(listing: Listing, quantity: Decimal, mark: Decimal) -> Decimal:
    """Return the absolute exposure of contracts at a mark. [settlement asset]"""
    size = abs(quantity) * listing.contract_multiplier
    if listing.is_inverse_future:
        return round_down(size / mark, 12) if mark else ZERO
    return size * mark


def position_margin(book: VenueBook, symbol: str, quantity: Decimal) -> tuple[Decimal, Decimal]:
    """Return initial and maintenance margin of contracts. [settlement asset], >= 0

    Futures pay a rate on their value, long options nothing, short options a rate on the underlying
    plus their own value.
    """
    listing, quote = book.listing(symbol), book.quote(symbol)
    factor = book.rate_factor()
    if listing.kind == "spot":
        return ZERO, ZERO
    if listing.kind == "option":
        if quantity >= 0:
            return ZERO, ZERO
        per_coin = Decimal(1) if listing.payoff == "inverse" else quote.index_price
        size = abs(quantity) * listing.contract_multiplier
        initial = size * (per_coin * Decimal("0.15") * factor + quote.mark_price)
        return initial, size * (per_coin * Decimal("0.075") * factor + quote.mark_price)
    value = position_value(listing, quantity, quote.mark_price)
    coins = value if listing.is_inverse_future else value / (quote.mark_price or Decimal(1))
    more = listing.rate_per_coin * coins
    maintenance = _bracketed(listing, value) + value * more
    initial = max(value * (listing.initial_rate + more), maintenance)
    return round_down(initial * factor, 10), round_down(maintenance * factor, 10)


def _bracketed(listing: Listing, value: Decimal) -> Decimal:
    if not listing.brackets:
        return value * listing.maintenance_rate
    ends = [*(floor for floor, _ in listing.brackets[1:]), None]
    total = ZERO
    for (floor, rate), end in zip(listing.brackets, ends, strict=True):
        within = value if end is None else min(value, end)
        total += max(within - floor, ZERO) * rate
    return total


def simple_margin(book: VenueBook, account: Account) -> Sequence[MarginBucket]:
    """Return one bucket per settlement asset that the account holds or has positions in."""
    buckets: dict[str, list[Decimal]] = {
        asset: [ZERO, ZERO, account.balance(asset), ZERO] for asset in account.assets()
    }
    for position in account.open_positions():
        listing = book.listing(position.symbol)
        sums = buckets.setdefault(listing.settlement_asset, [ZERO, ZERO, ZERO, ZERO])
        initial, maintenance = position_margin(book, position.symbol, position.quantity)
        sums[0] += initial
        sums[1] += maintenance
        if listing.kind == "option":
            mark = book.quote(position.symbol).mark_price
            sums[3] += position.quantity * listing.contract_multiplier * mark
        else:
            sums[3] += book.unrealised(account, position)
    return [
        MarginBucket(
            bucket=asset, currency=asset, initial_margin=sums[0], maintenance_margin=sums[1],
            equity=sums[2] + sums[3], balance=sums[2], unrealised=sums[3],
        )
        for asset, sums in sorted(buckets.items())
    ]  # fmt: skip


def round_down(value: Decimal, decimals: int) -> Decimal:
    """Return ``value`` toward zero at ``decimals`` decimals."""
    scale = Decimal(10) ** decimals
    sign = 1 if value >= 0 else -1
    return sign * (abs(value) * scale).to_integral_value(rounding="ROUND_DOWN") / scale


def round_up(value: Decimal, decimals: int) -> Decimal:
    """Return ``value`` >= 0 rounded up at ``decimals`` decimals."""
    scale = Decimal(10) ** decimals
    return (value * scale).to_integral_value(rounding=ROUND_UP) / scale

"""Orders of a simulated venue, and its own acts: liquidation, ADL, claw-back, funding."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from infra.simulator.venues.core.accounts import ZERO, Account, Order, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.margins import profit


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a client asks for; ``key`` is its own identifier of the order, empty if it has none."""

    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    limit_price: Decimal | None = None
    is_reduce_only: bool = False
    is_immediate: bool = False
    """What does not fill when it is matched is cancelled."""
    key: str = ""


def place(book: VenueBook, account: Account, request: OrderRequest) -> Order:
    """Accept an order and match it as far as the market allows.

    Raises
    ------
    Refused
        ``instrument``, ``reduce_only``, ``limit`` (quantity off the lot) or a state of the venue.
    """
    scope = Scope(venue=book.venue, account=account.account_id, endpoint="order")
    listing = book.listing(request.symbol)
    if book.plan.draw(FaultKind.CANCEL_ONLY, scope):
        raise Refused("cancel_only", f"{book.venue} takes cancels only")
    if book.plan.draw(FaultKind.INSTRUMENT_GONE, Scope(venue=book.venue, channel=listing.symbol)):
        raise Refused("instrument", f"{listing.symbol} has expired")
    if request.quantity <= 0 or request.quantity % listing.lot_size:
        raise Refused("limit", f"{request.quantity} is no multiple of lot {listing.lot_size}")
    quantity = request.quantity
    if request.is_reduce_only:
        quantity = _reducible(book, account, request, scope)
    order = Order(
        order_id=str(book.next_id()), key=request.key, account_id=account.account_id,
        symbol=request.symbol, side=request.side, quantity=quantity,
        limit_price=request.limit_price, is_reduce_only=request.is_reduce_only,
        is_immediate=request.is_immediate, placed_at=book.clock.wall(),
    )  # fmt: skip
    lag = book.plan.draw(FaultKind.SLOW_MATCHING, scope)
    if lag is not None:
        order.due = book.clock.elapsed() + lag.seconds("seconds", 60.0)
    account.orders[order.order_id] = order
    book.record(request.key or order.order_id, "order", account.account_id,
                symbol=request.symbol, quantity=quantity * order.sign)  # fmt: skip
    match(book, account, order)
    book.order_changed(account)
    return order


def match(book: VenueBook, account: Account, order: Order) -> bool:
    """Fill an open order that is due and crosses the market; returns whether it did."""
    if order.state != "open" or order.due > book.clock.elapsed():
        return False
    quote = book.quote(order.symbol)
    touch = quote.ask if order.side == "buy" else quote.bid
    limit = order.limit_price
    is_crossing = touch > 0 and (limit is None or (touch - limit) * order.sign <= 0)
    quantity = _met(book, account, order) if is_crossing else ZERO
    if quantity:
        book.fill(account, order.symbol, quantity * order.sign, touch, order=order)
        cost = order.filled * (order.average_price or ZERO) + quantity * touch
        order.filled += quantity
        order.average_price = cost / order.filled
    if not order.remaining:
        order.state = "filled"
    elif order.is_immediate:
        order.state = "cancelled"
    return bool(quantity) or order.state != "open"


def match_all(book: VenueBook) -> None:
    """Match every open order against the present market."""
    for account in book.accounts.values():
        for order in account.open_orders():
            if match(book, account, order):
                book.order_changed(account)


def cancel_all(book: VenueBook, account: Account) -> int:
    """Cancel open orders; returns how many."""
    orders = account.open_orders()
    for order in orders:
        order.state = "cancelled"
    if orders:
        book.order_changed(account)
    return len(orders)


def liquidate(book: VenueBook, account: Account, symbol: str, share: Decimal) -> Decimal:
    """Close a share of a position at the mark less a fee of 0.5 %; returns signed contracts."""
    return _close(book, account, symbol, share, "liquidation")


def deleverage(book: VenueBook, account: Account, symbol: str, share: Decimal) -> Decimal:
    """Close a share of a winning position at the mark against its will; returns contracts."""
    return _close(book, account, symbol, share, "adl")


def claw_back(book: VenueBook, account: Account, asset: str, quantity: Decimal) -> None:
    """Take a socialised loss out of a balance, which may become negative."""
    book.adjust(account, asset, -quantity, "socialized_fund")


def pay_funding(book: VenueBook, hours: Decimal) -> None:
    """Pay funding of all perpetuals for ``hours``, longs to shorts at a positive rate."""
    for account in book.accounts.values():
        for position in account.open_positions():
            listing = book.listing(position.symbol)
            if listing.kind != "perpetual":
                continue
            quote = book.quote(position.symbol)
            rate = (quote.funding_rate or ZERO) * hours / 8
            # A move of the mark by the rate is what funding takes from a long.
            paid = profit(listing, position.quantity, quote.mark_price,
                          quote.mark_price * (1 + rate))  # fmt: skip
            paid = book.round_cash(listing.settlement_asset, paid)
            book.adjust(account, listing.settlement_asset, -paid, "funding",
                        details={"symbol": position.symbol, "rate": rate})  # fmt: skip


def _met(book: VenueBook, account: Account, order: Order) -> Decimal:
    """Return the contracts that find somebody on the other side: all but where a fault says less.

    What may only reduce is cut to what is held by now.
    """
    quantity = order.remaining
    if order.is_reduce_only:
        position = account.positions.get(order.symbol)
        held = position.quantity if position is not None else ZERO
        quantity = min(quantity, abs(held)) if held * order.sign < 0 else ZERO
    scope = Scope(venue=book.venue, account=account.account_id, channel=order.symbol)
    thin = book.plan.draw(FaultKind.PARTIAL_FILL, scope)
    if thin is None:
        return quantity
    lot = book.listing(order.symbol).lot_size
    lots = (quantity * thin.number("share", "0.5") / lot).to_integral_value("ROUND_DOWN")
    return min(lots * lot, quantity)


def _reducible(book: VenueBook, account: Account, request: OrderRequest, scope: Scope) -> Decimal:
    position = account.positions.get(request.symbol)
    held = position.quantity if position is not None else ZERO
    closes = held < 0 if request.side == "buy" else held > 0
    if not closes or book.plan.draw(FaultKind.REDUCE_ONLY_REJECTED, scope):
        raise Refused("reduce_only", f"{account.account_id} holds {held} {request.symbol}")
    return min(request.quantity, abs(held))


def _close(book: VenueBook, account: Account, symbol: str, share: Decimal, kind: str) -> Decimal:
    position = account.positions.get(symbol)
    if position is None or not position.quantity:
        raise Refused("other", f"{account.account_id} holds no {symbol}")
    listing = book.listing(symbol)
    lots = (abs(position.quantity) * share / listing.lot_size).to_integral_value("ROUND_UP")
    quantity = min(lots * listing.lot_size, abs(position.quantity))
    signed = -quantity if position.quantity > 0 else quantity
    mark = book.quote(symbol).mark_price
    worse = 1 - Decimal("0.005") * (1 if signed < 0 else -1) if kind == "liquidation" else 1
    book.fill(account, symbol, signed, mark * worse, kind=kind)
    return signed

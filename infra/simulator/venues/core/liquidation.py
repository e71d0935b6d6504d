"""Liquidation by a venue: what is below its maintenance margin is closed, by the venue's own rules.

No venue calls for margin first: an account whose equity is below its maintenance margin loses its
open orders, then positions, in the way that its venue publishes:

- Binance: one large order that takes no more than what makes the account compliant, at a fee on
  what was closed; what is left bankrupt is taken over and brought back to zero
  (docs.traderwagon.com, "Liquidation Protocol", which describes Binance Futures;
  ``liquidationFee`` of ``exchangeInfo``).
- Deribit: a round a second, each of a part, until margin is covered; how large a round is, is not
  published and taken as a tenth (support.deribit.com, articles 25944769313309 and 25944826427293).
- OKX: at a margin ratio of 100 % positions of higher tiers are reduced by two tiers, those of the
  first two are closed whole (www.okx.com/learn/when-would-my-order-be-liquidated). Listings here
  have one tier, so they are closed whole, at the taker's fee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from infra.simulator.venues.core.accounts import ZERO, Account, Position

if TYPE_CHECKING:
    from infra.simulator.venues.core.book import VenueBook
    from infra.simulator.venues.core.margins import MarginBucket

_ROUNDS_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationTerms:
    """How a venue liquidates.

    Attributes
    ----------
    round_share : Decimal, optional
        Part of a position that one round a second closes; None closes at once.
    is_partial : bool
        Whether what is closed at once is no more than what is needed.
    fee : mapping of str to Decimal
        Fee on the value that was closed, by underlying; ``*`` for any other. [-]
    slippage : Decimal
        How much worse than the mark is traded; a house figure, as books in a crash are not kept.
    """

    round_share: Decimal | None = None
    is_partial: bool = True
    fee: Mapping[str, Decimal] = field(default_factory=lambda: {"*": ZERO})
    slippage: Decimal = Decimal("0.005")

    def fee_rate(self, underlying: str) -> Decimal:
        """Return the fee on what is closed of an underlying. [-]"""
        return self.fee.get(underlying, self.fee.get("*", ZERO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidated:
    """One act of a venue's liquidation; ``quantity`` is the signed contracts that were traded."""

    at: datetime
    venue: str
    account_id: str
    symbol: str
    quantity: Decimal
    mark_price: Decimal
    fill_price: Decimal
    value: Decimal
    """What was closed, at the mark. [settlement asset]"""
    fee: Decimal
    """Part of the price that is the venue's fee. [settlement asset]"""
    slipped: Decimal
    """Part of it that is lost against the mark. [settlement asset]"""
    equity_after: Decimal
    """Equity of the account in the settlement asset."""
    written_off: Decimal = ZERO
    """What the venue's fund had to put in. [settlement asset]"""


def liquidate_what_is_under(book: VenueBook) -> None:
    """Liquidate every account whose equity is below its maintenance margin, as the venue does."""
    now = book.clock.elapsed()
    rounds = min(max(int(now - book.looked_at), 1), _ROUNDS_MAX)
    book.looked_at = now
    for account in book.accounts.values():
        if account.open_positions():
            _liquidate(book, account, rounds)


def _liquidate(book: VenueBook, account: Account, rounds: int) -> None:
    terms = book.liquidation
    for _ in range(rounds if terms.round_share is not None else 1):
        under = [one for one in book.margins(account) if one.equity < one.maintenance_margin]
        if not under:
            return
        for order in account.open_orders():
            order.state = "cancelled"
        for bucket in under:
            _one_round(book, account, bucket)


def _one_round(book: VenueBook, account: Account, bucket: MarginBucket) -> None:
    held = [
        position
        for position in account.open_positions()
        if book.listing(position.symbol).settlement_asset == bucket.currency
    ]
    # The largest first; where all that is needed comes of one, the others stay.
    held.sort(key=lambda one: (_value(book, one), one.symbol), reverse=True)
    if book.liquidation.round_share is not None:
        _close(book, account, held[0], book.liquidation.round_share)
        return
    for position in held:
        found = next(one for one in book.margins(account) if one.currency == bucket.currency)
        if found.equity >= found.maintenance_margin:
            return
        _close(book, account, position, _needed(book, position, found))


def _needed(book: VenueBook, position: Position, bucket: MarginBucket) -> Decimal:
    """Return the share of a position whose closing, at its cost, makes the account compliant."""
    from infra.simulator.venues.core.margins import position_margin

    terms, listing = book.liquidation, book.listing(position.symbol)
    _, freed = position_margin(book, position.symbol, position.quantity)
    cost = _value(book, position) * (terms.slippage + terms.fee_rate(listing.underlying))
    if not terms.is_partial or freed <= cost:
        return Decimal(1)
    return min((bucket.maintenance_margin - bucket.equity) / (freed - cost), Decimal(1))


def _close(book: VenueBook, account: Account, position: Position, share: Decimal) -> None:
    terms, listing = book.liquidation, book.listing(position.symbol)
    mark = book.quote(position.symbol).mark_price
    lots = (abs(position.quantity) * share / listing.lot_size).to_integral_value("ROUND_UP")
    closed = min(lots * listing.lot_size, abs(position.quantity))
    part = closed / abs(position.quantity)
    signed = -closed if position.quantity > 0 else closed
    fee_rate = terms.fee_rate(listing.underlying)
    side = -1 if signed < 0 else 1
    fill_price = mark * (1 + side * (terms.slippage + fee_rate))
    value = _value(book, position) * part
    book.fill(account, position.symbol, signed, fill_price, kind="liquidation")
    written_off = _taken_over(book, account, listing.settlement_asset)
    after = next(one for one in book.margins(account) if one.currency == listing.settlement_asset)
    book.liquidations.append(
        Liquidated(
            at=book.clock.now(), venue=book.venue, account_id=account.account_id,
            symbol=position.symbol, quantity=signed, mark_price=mark, fill_price=fill_price,
            value=value, fee=value * fee_rate, slipped=value * terms.slippage,
            equity_after=after.equity, written_off=written_off,
        )
    )  # fmt: skip


def _taken_over(book: VenueBook, account: Account, asset: str) -> Decimal:
    """Bring a bankrupt account back to zero out of the venue's fund, once nothing is open."""
    is_open = any(
        book.listing(one.symbol).settlement_asset == asset for one in account.open_positions()
    )
    owed = -account.balance(asset)
    if is_open or owed <= 0:
        return ZERO
    book.adjust(account, asset, owed, "socialized_fund")
    return owed


def _value(book: VenueBook, position: Position) -> Decimal:
    from infra.simulator.venues.core.margins import position_value

    mark = book.quote(position.symbol).mark_price
    return position_value(book.listing(position.symbol), position.quantity, mark)

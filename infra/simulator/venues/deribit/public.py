"""Public methods of the simulated Deribit."""

from __future__ import annotations

from decimal import Decimal

from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.market import Quote
from infra.simulator.venues.core.paid import full_intervals
from infra.simulator.venues.deribit import contracts
from infra.simulator.venues.deribit.errors import RpcError, invalid
from infra.simulator.venues.deribit.rpc import Call, Method

_BOOK_AMOUNT = Decimal(100000)
_FIRST_INSTRUMENT = 100_000
_HOUR_MS = 3_600_000


class PublicMethods:
    """Instruments, prices, time."""

    def __init__(self, book: VenueBook) -> None:
        self._book = book
        self._created_ms = book.clock.wall_ms() - 86_400_000

    def methods(self) -> dict[str, Method]:
        """Return methods by name."""
        return {
            "public/test": lambda _: {"version": "1.2.26"},
            "public/get_time": lambda _: self._book.clock.wall_ms(),
            "public/status": lambda _: {"locked": False, "locked_indices": []},
            "public/get_currencies": lambda _: [
                contracts.currency(a) for a in contracts.CURRENCIES
            ],
            "public/get_instruments": self.instruments,
            "public/get_instrument": self.instrument,
            "public/ticker": lambda call: self.ticker(call.text("instrument_name")),
            "public/get_index_price": self.index_price,
            "public/get_order_book": self.order_book,
            "public/get_funding_rate_history": self.funding_history,
            "public/get_delivery_prices": self.delivery_prices,
        }

    def instruments(self, call: Call) -> object:
        """Return listings, of a currency and a kind if asked."""
        currency, kind = call.text("currency", "any"), call.text("kind", "any")
        return [
            self._describe(number, listing)
            for number, listing in enumerate(self._book.listings.values(), _FIRST_INSTRUMENT)
            if currency in ("any", listing.settlement_asset)
            and kind in ("any", contracts.wire_kind(listing))
            and not self._is_gone(listing)
        ]

    def instrument(self, call: Call) -> object:
        """Return one listing."""
        wanted = call.text("instrument_name")
        for number, listing in enumerate(self._book.listings.values(), _FIRST_INSTRUMENT):
            if listing.symbol == wanted and not self._is_gone(listing):
                return self._describe(number, listing)
        raise RpcError((13020, "not_found"))

    def ticker(self, symbol: str) -> dict[str, object]:
        """Return prices of a listing as the ticker and its channel show them."""
        listing = self._book.listing(symbol)
        if self._is_gone(listing):
            raise RpcError((13020, "not_found"))
        quote = self._book.quote(symbol)
        told = self._prices(listing, quote)
        if listing.kind == "perpetual":
            told |= {
                "current_funding": Decimal("0.0"), "funding_8h": quote.funding_rate,
                "interest_value": Decimal("0.0"),
            }  # fmt: skip
        if listing.kind == "option":
            told |= {
                "mark_iv": (quote.mark_iv or Decimal(0)) * 100, "bid_iv": Decimal("0.0"),
                "ask_iv": Decimal("0.0"), "interest_rate": Decimal("0.0"),
                "underlying_price": quote.forward_price, "underlying_index": "SYN." + symbol[:11],
                "greeks": dict.fromkeys(("delta", "gamma", "vega", "theta", "rho"), Decimal("0.0")),
            }  # fmt: skip
        return told

    def index_price(self, call: Call) -> object:
        """Return the price of an index such as ``btc_usd``."""
        name = call.text("index_name")
        asset, _, quote = name.upper().partition("_")
        market = self._book.market
        if asset not in market.assets or quote not in (*market.assets, "USD"):
            raise invalid("index_name", f"no index {name}")
        venue = self._book.venue
        price = market.usd_price(asset, venue) / market.usd_price(quote, venue)
        return {"index_price": price, "estimated_delivery_price": price}

    def funding_history(self, call: Call) -> object:
        """Return the funding of every full hour asked for, at the present rate."""
        listing = self._book.listing(call.text("instrument_name"))
        if listing.kind != "perpetual":
            raise invalid("instrument_name", f"{listing.symbol} pays no funding")
        quote = self._book.quote(listing.symbol)
        rate = quote.funding_rate or Decimal(0)
        first, last = call.whole("start_timestamp", 0), call.whole("end_timestamp", 0)
        last = min(last, self._book.clock.wall_ms())
        return [
            {
                "timestamp": stamp, "index_price": quote.index_price,
                "prev_index_price": quote.index_price, "interest_8h": rate,
                "interest_1h": rate / 8,
            }
            for stamp in full_intervals(first, last, _HOUR_MS)
        ]  # fmt: skip

    def delivery_prices(self, call: Call) -> object:
        """Return the price at which expired listings of an index were delivered: the present."""
        name = call.text("index_name")
        now = self._book.clock.now()
        days = {
            f"{one.expiry_utc:%Y-%m-%d}"
            for one in self._book.listings.values()
            if one.expiry_utc is not None
            and one.expiry_utc <= now
            and contracts.index_name(one) == name
        }
        price = Decimal(0)
        if days:
            index = self.index_price(call)
            assert isinstance(index, dict)
            price = index["index_price"]
        rows = [{"date": day, "delivery_price": price} for day in sorted(days, reverse=True)]
        return {"data": rows, "records_total": len(rows)}

    def order_book(self, call: Call) -> object:
        """Return the best level of each side, and what the ticker shows."""
        told = self.ticker(call.text("instrument_name"))
        return {
            **told,
            "bids": [[told["best_bid_price"], told["best_bid_amount"]]],
            "asks": [[told["best_ask_price"], told["best_ask_amount"]]],
            "change_id": self._book.clock.wall_ms(),
        }

    def _prices(self, listing: Listing, quote: Quote) -> dict[str, object]:
        zero = Decimal("0.0")
        return {
            "timestamp": int(quote.at.timestamp() * 1000), "state": "open",
            "stats": {"high": quote.ask, "low": quote.bid, "price_change": zero, "volume": zero,
                      "volume_usd": zero, "volume_notional": zero},
            "index_price": quote.index_price, "instrument_name": listing.symbol,
            "last_price": quote.mark_price, "settlement_price": quote.mark_price,
            "min_price": quote.mark_price * Decimal("0.985"),
            "max_price": quote.mark_price * Decimal("1.015"), "open_interest": zero,
            "mark_price": quote.mark_price, "best_ask_price": quote.ask,
            "best_bid_price": quote.bid, "estimated_delivery_price": quote.index_price,
            "best_ask_amount": _BOOK_AMOUNT, "best_bid_amount": _BOOK_AMOUNT,
        }  # fmt: skip

    def _describe(self, number: int, listing: Listing) -> dict[str, object]:
        scope = Scope(venue=self._book.venue, channel=listing.symbol)
        fault = self._book.plan.draw(FaultKind.UNIT_CHANGE, scope)
        factor = Decimal(1) if fault is None else fault.number("factor", "10")
        return contracts.instrument(listing, number, self._created_ms, factor)

    def _is_gone(self, listing: Listing) -> bool:
        scope = Scope(venue=self._book.venue, channel=listing.symbol)
        return self._book.plan.draw(FaultKind.INSTRUMENT_GONE, scope) is not None

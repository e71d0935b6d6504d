"""The market of a town: one path per underlying, and the marks of every venue's listings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.paths import (
    SIGNIFICANT_DIGITS,
    Move,
    PricePath,
    Underlying,
    shift,
)

DOLLARS: Final = frozenset({"USD"})
_YEAR_SECONDS: Final = 365.0 * 86_400.0
_FUNDING_8H: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Prices of a listing at one instant, in its quote asset (coin for inverse options)."""

    symbol: str
    at: datetime
    mark_price: Decimal
    index_price: Decimal
    bid: Decimal
    ask: Decimal
    funding_rate: Decimal | None = None
    mark_iv: Decimal | None = None
    forward_price: Decimal | None = None


class Market:
    """Prices that move with town time, the same for all venues but for the faults of one."""

    def __init__(
        self,
        clock: TownClock,
        plan: FaultPlan,
        underlyings: Sequence[Underlying],
        *,
        seed: int,
        moves: Mapping[str, Sequence[Move]] | None = None,
    ) -> None:
        scheduled = moves or {}
        self.clock = clock
        self.plan = plan
        self.paths = {u.asset: PricePath(u, seed, scheduled.get(u.asset, ())) for u in underlyings}
        self._apart = {name: list(found) for name, found in scheduled.items() if "@" in name}
        self.funding: dict[str, Decimal] = {}
        self._last: dict[tuple[str, str], Quote] = {}

    @property
    def assets(self) -> tuple[str, ...]:
        """Return assets that have a path."""
        return tuple(self.paths)

    def usd_price(self, asset: str, venue: str = "") -> Decimal:
        """Return dollars per unit, as the index of a venue sees it (a depeg there included)."""
        if asset in DOLLARS:
            return Decimal(1)
        elapsed = self.clock.elapsed()
        price = self.paths[asset].price(elapsed)
        apart = self._apart.get(f"{asset}@{venue}")
        if apart is not None:
            price *= Decimal(f"{math.exp(shift(apart, elapsed)):.{SIGNIFICANT_DIGITS}g}")
        fault = self.plan.draw(FaultKind.DEPEG_ON_VENUE, Scope(venue=venue, endpoint=asset))
        return price if fault is None else price * fault.number("factor", "0.65")

    def index_price(self, listing: Listing, venue: str = "") -> Decimal:
        """Return the index of a listing in its quote asset, to the venue's cents."""
        quote = "USD" if listing.payoff == "inverse" else listing.quote_asset
        price = self.usd_price(listing.underlying, venue) / self.usd_price(quote, venue)
        return _to_step(price, _index_step(price), ROUND_HALF_EVEN)

    def quote(self, listing: Listing, venue: str = "") -> Quote:
        """Return the present prices of a listing at a venue, data faults of the venue included."""
        key, scope = (venue, listing.symbol), Scope(venue=venue, channel=listing.symbol)
        if self.plan.draw(FaultKind.MARK_FROZEN, scope) is not None and key in self._last:
            return replace(self._last[key], at=self.clock.wall())
        self._last[key] = self._quote(listing, venue)
        return self._faulty(self._last[key], listing, scope)

    def _quote(self, listing: Listing, venue: str) -> Quote:
        index = self.index_price(listing, venue)
        if listing.kind == "option":
            return self._option_quote(listing, index)
        mark, funding = index, None
        if listing.kind == "future":
            rate = self.paths[listing.underlying].underlying.basis
            mark = index * Decimal(repr(math.exp(rate * self._years(listing))))
        if listing.kind == "perpetual":
            funding = self.funding.get(listing.symbol, _FUNDING_8H)
            mark = index * (1 + funding)
        mark = _to_step(mark, listing.tick_size / 50, ROUND_HALF_EVEN)
        half = max(listing.tick_size, mark * Decimal("0.00005"))
        return Quote(
            symbol=listing.symbol, at=self.clock.wall(), mark_price=mark, index_price=index,
            bid=_to_step(mark - half, listing.tick_size, ROUND_FLOOR),
            ask=_to_step(mark + half, listing.tick_size, ROUND_CEILING),
            funding_rate=funding,
            forward_price=mark if listing.kind == "future" else None,
        )  # fmt: skip

    def _option_quote(self, listing: Listing, index: Decimal) -> Quote:
        underlying = self.paths[listing.underlying].underlying
        years = self._years(listing)
        forward = float(index) * math.exp(underlying.basis * years)
        volatility = underlying.implied_volatility
        value = _black(listing, forward, volatility, years)
        if listing.payoff == "inverse":
            value /= forward
        mark = Decimal(f"{max(value, 0.0):.6f}")
        tick = listing.tick_size
        return Quote(
            symbol=listing.symbol, at=self.clock.wall(), mark_price=mark, index_price=index,
            bid=_to_step(max(mark - tick, Decimal(0)), tick, ROUND_FLOOR),
            ask=_to_step(mark + tick, tick, ROUND_CEILING),
            mark_iv=Decimal(repr(volatility)),
            forward_price=Decimal(f"{forward:.4f}"),
        )  # fmt: skip

    def _years(self, listing: Listing) -> float:
        if listing.expiry_utc is None:
            return 0.0
        left = (listing.expiry_utc - self.clock.now()).total_seconds()
        return max(left, 0.0) / _YEAR_SECONDS

    def _faulty(self, quote: Quote, listing: Listing, scope: Scope) -> Quote:
        mark, bid, ask = quote.mark_price, quote.bid, quote.ask
        spike = self.plan.draw(FaultKind.MARK_SPIKED, scope)
        if spike is not None:
            mark = _to_step(mark * spike.number("factor", "1.5"), listing.tick_size, ROUND_FLOOR)
        if self.plan.draw(FaultKind.MARK_ZERO, scope) is not None:
            mark = Decimal(0)
        if self.plan.draw(FaultKind.BOOK_CROSSED, scope) is not None:
            bid, ask = ask, bid
        if (mark, bid, ask) == (quote.mark_price, quote.bid, quote.ask):
            return quote
        return replace(quote, mark_price=mark, bid=bid, ask=ask)


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding=rounding) * step


def _index_step(price: Decimal) -> Decimal:
    return Decimal("0.01") if price >= 10 else Decimal("0.000001")


def _black(listing: Listing, forward: float, volatility: float, years: float) -> float:
    strike = float(listing.strike or 0)
    sign = 1.0 if listing.option_type == "call" else -1.0
    deviation = volatility * math.sqrt(years)
    if deviation <= 0.0:
        return max(sign * (forward - strike), 0.0)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    return sign * (forward * _normal(sign * d1) - strike * _normal(sign * (d1 - deviation)))


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2.0))

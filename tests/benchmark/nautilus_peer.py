"""NautilusTrader's hop, by its own Python: a quote into cache and portfolio, then what it is worth.

Imports nothing of the engine. Prints microseconds of the processor a quote as JSON, by number of
open positions. It does not compute margin on a quote: maintenance margin stays on the average open
price, and there are no scenarios.
"""

from __future__ import annotations

import json
import time
from statistics import median

from nautilus_trader import __version__
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OmsType, OrderSide
from nautilus_trader.model.identifiers import AccountId, PositionId, TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.position import Position
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs

N_QUOTES, N_ROUNDS = 2_000, 5


def measure(n_positions: int) -> float:
    """Return microseconds a quote."""
    cache = TestComponentStubs.cache()
    clock, bus = TestComponentStubs.clock(), TestComponentStubs.msgbus()
    portfolio = Portfolio(msgbus=bus, cache=cache, clock=clock)
    instrument = TestInstrumentProvider.btcusdt_perp_binance()
    venue = instrument.id.venue
    account_id = AccountId(f"{venue.value}-001")
    portfolio.update_account(TestEventStubs.margin_account_state(account_id=account_id))
    factory = TestComponentStubs.order_factory()
    for number in range(n_positions):
        order = factory.market(instrument.id, OrderSide.BUY, Quantity.from_str("1.000"))
        fill = TestEventStubs.order_filled(
            order, instrument=instrument, position_id=PositionId(f"P-{number}"),
            account_id=account_id, last_px=Price.from_str("60000.0"),
            trade_id=TradeId(str(number)),
        )  # fmt: skip
        position = Position(instrument=instrument, fill=fill)
        cache.add_instrument(instrument)
        cache.add_order(order)
        cache.add_position(position, OmsType.HEDGING)
        portfolio.update_position(TestEventStubs.position_opened(position))
    seconds = []
    size = Quantity.from_str("1.000")
    for _ in range(N_ROUNDS):
        quotes = [
            QuoteTick(
                instrument.id, Price(59_000.0 + k % 50, 1), Price(59_000.1 + k % 50, 1), size, size,
                0, 0,
            )
            for k in range(N_QUOTES)
        ]  # fmt: skip
        began = time.process_time()
        for quote in quotes:
            cache.add_quote_tick(quote)
            portfolio.update_quote_tick(quote)
            portfolio.unrealized_pnls(venue)
            portfolio.margins_maint(venue)
            portfolio.equity(venue)
        seconds.append((time.process_time() - began) / N_QUOTES)
    return median(seconds) * 1e6


if __name__ == "__main__":
    found = {str(n): measure(n) for n in (1, 10, 30)}
    print(json.dumps({"version": __version__, "us_each": found}))

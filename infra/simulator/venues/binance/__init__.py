"""A simulated Binance: USD-M futures, wallet and sub-accounts, with real signatures."""

from infra.simulator.venues.binance.venue import BinanceVenue, build

__all__ = ["BinanceVenue", "build"]

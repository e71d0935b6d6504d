"""Margin parameters as venues and files state them, read into the types of the engine."""

__all__ = [
    "binance", "bybit", "deribit", "documents", "dydx", "hyperliquid", "importing",
    "models", "okx",
]  # fmt: skip

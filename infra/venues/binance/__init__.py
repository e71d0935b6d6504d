"""Binance USD-M futures: catalogue, marks, accounts, reductions and transfers."""

from __future__ import annotations

from infra.venues.binance.client import LIVE, TEST, BinanceHosts
from infra.venues.binance.places import BinanceAccount, WithdrawalTerms
from infra.venues.binance.venue import Binance, BinanceConfiguration

__all__ = [
    "LIVE",
    "TEST",
    "Binance",
    "BinanceAccount",
    "BinanceConfiguration",
    "BinanceHosts",
    "WithdrawalTerms",
]

"""Contract specifications of the venues: multiplier, tick and lot by asset.

From the venues' public instrument endpoints as of 2024 to 2026 (Binance ``exchangeInfo``, OKX
``/api/v5/public/instruments``, Deribit ``public/get_instruments``, Bybit
``/v5/market/instruments-info``, BitMEX series guides). KEEL is invented and gets the rules of a
coin at its price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    """Multiplier, tick and lot of one contract.

    A linear contract is on ``multiplier`` coins, an inverse one on as many units of the quote
    currency, a quanto one pays as many units of its settlement asset per unit of price.
    """

    multiplier: float
    tick: float
    lot: float


BINANCE_SPOT: Final = {
    "BTC": Size(1, 0.01, 0.00001), "ETH": Size(1, 0.01, 0.0001), "SOL": Size(1, 0.01, 0.001),
    "BNB": Size(1, 0.01, 0.001), "XRP": Size(1, 0.0001, 0.1), "DOGE": Size(1, 0.00001, 1),
    "ADA": Size(1, 0.0001, 0.1), "LINK": Size(1, 0.01, 0.01), "AVAX": Size(1, 0.01, 0.01),
    "LTC": Size(1, 0.01, 0.001), "SUI": Size(1, 0.0001, 0.1), "KEEL": Size(1, 0.0001, 0.1),
}  # fmt: skip
BINANCE_LINEAR: Final = {
    "BTC": Size(1, 0.1, 0.001), "ETH": Size(1, 0.01, 0.001), "SOL": Size(1, 0.01, 0.01),
    "BNB": Size(1, 0.01, 0.01), "XRP": Size(1, 0.0001, 0.1), "DOGE": Size(1, 0.00001, 1),
    "ADA": Size(1, 0.0001, 1), "LINK": Size(1, 0.001, 0.01), "AVAX": Size(1, 0.001, 1),
    "LTC": Size(1, 0.01, 0.001), "SUI": Size(1, 0.0001, 0.1), "KEEL": Size(1, 0.0001, 1),
}  # fmt: skip
BINANCE_COIN: Final = {
    "BTC": Size(100, 0.1, 1), "ETH": Size(10, 0.01, 1), "SOL": Size(10, 0.001, 1),
    "BNB": Size(10, 0.01, 1), "XRP": Size(10, 0.0001, 1), "DOGE": Size(10, 0.00001, 1),
    "ADA": Size(10, 0.0001, 1), "LINK": Size(10, 0.001, 1), "AVAX": Size(10, 0.001, 1),
    "LTC": Size(10, 0.01, 1),
}  # fmt: skip
OKX_SPOT: Final = {
    "BTC": Size(1, 0.1, 0.00000001), "ETH": Size(1, 0.01, 0.000001),
    "SOL": Size(1, 0.01, 0.000001), "XRP": Size(1, 0.0001, 0.000001),
    "DOGE": Size(1, 0.00001, 0.000001), "ADA": Size(1, 0.0001, 0.000001),
    "LINK": Size(1, 0.001, 0.000001), "AVAX": Size(1, 0.001, 0.000001),
    "LTC": Size(1, 0.01, 0.000001), "SUI": Size(1, 0.0001, 0.0001),
}  # fmt: skip
OKX_LINEAR: Final = {
    "BTC": Size(0.01, 0.1, 0.01), "ETH": Size(0.1, 0.01, 0.01), "SOL": Size(1, 0.01, 0.01),
    "BNB": Size(0.01, 0.1, 1), "XRP": Size(100, 0.0001, 0.01), "DOGE": Size(1000, 0.00001, 0.01),
    "ADA": Size(100, 0.0001, 0.1), "LINK": Size(1, 0.001, 0.1), "AVAX": Size(1, 0.001, 0.1),
    "LTC": Size(1, 0.01, 0.1), "SUI": Size(1, 0.0001, 1), "KEEL": Size(10, 0.0001, 1),
}  # fmt: skip
OKX_INVERSE: Final = {
    "BTC": Size(100, 0.1, 1), "ETH": Size(10, 0.01, 1), "SOL": Size(10, 0.01, 1),
    "XRP": Size(10, 0.0001, 1), "DOGE": Size(10, 0.00001, 1), "ADA": Size(10, 0.0001, 1),
    "LINK": Size(10, 0.001, 1), "AVAX": Size(10, 0.001, 1), "LTC": Size(10, 0.01, 1),
}  # fmt: skip
DERIBIT_SPOT: Final = {"BTC": Size(1, 0.01, 0.0001), "ETH": Size(1, 0.01, 0.0001)}
DERIBIT_INVERSE: Final = {"BTC": Size(10, 0.5, 1), "ETH": Size(1, 0.05, 1)}
DERIBIT_INVERSE_FUTURES: Final = {"BTC": Size(10, 2.5, 1), "ETH": Size(1, 0.25, 1)}
DERIBIT_USDC: Final = {
    "BTC": Size(1, 0.5, 0.001), "ETH": Size(1, 0.05, 0.01), "SOL": Size(1, 0.01, 0.1),
    "XRP": Size(1, 0.0001, 1), "DOGE": Size(1, 0.00001, 100), "ADA": Size(1, 0.0001, 1),
    "LINK": Size(1, 0.001, 1), "AVAX": Size(1, 0.001, 0.1), "LTC": Size(1, 0.01, 0.1),
}  # fmt: skip
# Inverse options are quoted in coin. The tick is 0.0001 up to a price of 0.005, 0.0005 above.
DERIBIT_OPTIONS: Final = {"BTC": Size(1, 0.0001, 0.1), "ETH": Size(1, 0.0001, 1)}
DERIBIT_USDC_OPTIONS: Final = {"SOL": Size(10, 0.01, 1), "XRP": Size(1000, 0.0001, 1)}
BYBIT_SPOT: Final = {
    "BTC": Size(1, 0.1, 0.000001), "ETH": Size(1, 0.01, 0.00001), "SOL": Size(1, 0.01, 0.001),
    "BNB": Size(1, 0.1, 0.0001), "XRP": Size(1, 0.0001, 0.01), "DOGE": Size(1, 0.00001, 0.1),
    "KEEL": Size(1, 0.0001, 0.01),
}  # fmt: skip
BYBIT_LINEAR: Final = {
    "BTC": Size(1, 0.1, 0.001), "ETH": Size(1, 0.01, 0.01), "SOL": Size(1, 0.01, 0.1),
    "BNB": Size(1, 0.1, 0.01), "XRP": Size(1, 0.0001, 0.1), "DOGE": Size(1, 0.00001, 1),
    "ADA": Size(1, 0.0001, 1), "LINK": Size(1, 0.001, 0.1), "AVAX": Size(1, 0.001, 0.1),
    "LTC": Size(1, 0.01, 0.1), "SUI": Size(1, 0.0001, 10), "KEEL": Size(1, 0.0001, 1),
}  # fmt: skip
BYBIT_INVERSE: Final = {
    "BTC": Size(1, 0.1, 1), "ETH": Size(1, 0.01, 1), "SOL": Size(1, 0.01, 1),
    "XRP": Size(1, 0.0001, 1),
}  # fmt: skip
BYBIT_OPTIONS: Final = {"BTC": Size(1, 5.0, 0.01), "ETH": Size(1, 0.1, 0.1)}
# BitMEX pays a fixed amount of XBT per dollar, whatever bitcoin is worth.
BITMEX_QUANTO: Final = {"ETH": Size(0.000001, 0.05, 1), "XRP": Size(0.0002, 0.0001, 1)}

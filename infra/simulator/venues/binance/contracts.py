"""What the simulated Binance lists, and how it describes a listing on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.margins import round_down

# Ticks, lots and first brackets of developers.binance.com, exchangeInfo and leverageBracket, 2026.
_PERPETUALS: Final = {
    "BTC": ("0.1", "0.001", "0.008", "0.004"),
    "ETH": ("0.01", "0.001", "0.01", "0.005"),
    "SOL": ("0.01", "0.01", "0.02", "0.01"),
}
# GET /fapi/v1/leverageBracket of 2024-10-24: notional floor and maintenance rate.
_BRACKETS: Final = {
    "BTC": ("0:0.004 50000:0.005 600000:0.0065 3000000:0.01 12000000:0.02 70000000:0.025 "
            "100000000:0.05"),
    "ETH": ("0:0.004 50000:0.005 600000:0.0065 3000000:0.01 12000000:0.02 50000000:0.025 "
            "65000000:0.05"),
    "SOL": ("0:0.005 20000:0.0065 100000:0.01 800000:0.02 4000000:0.025 8000000:0.05 "
            "40000000:0.1"),
}  # fmt: skip
# developers.binance.com, exchangeInfo: the fee on what is closed by liquidation.
LIQUIDATION_FEE: Final = Decimal("0.012")
_QUOTES: Final = ("USDT", "USDC")
_FOREVER_MS: Final = 4_133_404_800_000
_DECIMALS: Final = 8
WALLET_ASSETS: Final = ("BTC", "ETH", "SOL", "USDC", "USDT")
WITHDRAWAL_FEES: Final = {
    "BTC": Decimal("0.00002"), "ETH": Decimal("0.0008"), "SOL": Decimal("0.001"),
    "USDC": Decimal("1.5"), "USDT": Decimal("1.5"),
}  # fmt: skip
NETWORKS: Final = {"BTC": "BTC", "ETH": "ETH", "SOL": "SOL", "USDC": "ETH", "USDT": "ETH"}


def listings(today: datetime, *, has_brackets: bool = False) -> list[Listing]:
    """Return USD-M perpetuals and the next quarterly delivery of BTC and ETH, as of ``today``."""
    made = [_perpetual(asset, quote, has_brackets) for quote in _QUOTES for asset in _PERPETUALS]
    return [*made, *(_delivery(asset, quarter(today)) for asset in ("BTC", "ETH"))]


def quarter(today: datetime) -> datetime:
    """Return the last Friday, 08:00 UTC, of the first quarter end more than a week away."""
    year, month = today.year, (today.month - 1) // 3 * 3 + 3
    while True:
        first = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
        last = first - timedelta(days=1)
        friday = last - timedelta(days=(last.weekday() - 4) % 7)
        if friday - today > timedelta(days=7):
            return friday
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)


def exchange_info(listed: list[Listing], now_ms: int, weight_minute: int) -> dict[str, object]:
    """Return the payload of ``GET /fapi/v1/exchangeInfo``."""
    return {
        "timezone": "UTC", "serverTime": now_ms, "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
             "limit": weight_minute},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"}
            for asset in _QUOTES
        ],
        "symbols": [_symbol(listing) for listing in listed],
    }  # fmt: skip


def brackets(listing: Listing) -> dict[str, object]:
    """Return a row of ``GET /fapi/v1/leverageBracket``."""
    rows = listing.brackets or ((Decimal(0), listing.maintenance_rate),)
    caps = [*(int(floor) for floor, _ in rows[1:]), 1_000_000_000]
    told, deducted, before = [], Decimal(0), rows[0][1]
    for number, ((floor, rate), cap) in enumerate(zip(rows, caps, strict=True), start=1):
        deducted, before = deducted + floor * (rate - before), rate
        told.append(
            {
                "bracket": number,
                "initialLeverage": int(1 / max(listing.initial_rate, rate)),
                "notionalCap": cap, "notionalFloor": int(floor),
                "maintMarginRatio": float(rate), "cum": float(deducted),
            }
        )  # fmt: skip
    return {"symbol": listing.symbol, "brackets": told}


def figure(value: Decimal) -> str:
    """Return an amount with the eight decimals of Binance, cut off toward zero."""
    return f"{round_down(value, _DECIMALS):.{_DECIMALS}f}"


def _perpetual(asset: str, quote: str, has_brackets: bool) -> Listing:
    tick, lot, initial, maintenance = _PERPETUALS[asset]
    return Listing(
        symbol=f"{asset}{quote}", kind="perpetual", payoff="linear", underlying=asset,
        quote_asset=quote, settlement_asset=quote, contract_multiplier=Decimal(1),
        tick_size=Decimal(tick), lot_size=Decimal(lot), initial_rate=Decimal(initial),
        maintenance_rate=Decimal(maintenance),
        brackets=_brackets_of(asset) if has_brackets else (),
    )  # fmt: skip


def _brackets_of(asset: str) -> tuple[tuple[Decimal, Decimal], ...]:
    pairs = (one.split(":") for one in _BRACKETS[asset].split())
    return tuple((Decimal(floor), Decimal(rate)) for floor, rate in pairs)


def _delivery(asset: str, expiry: datetime) -> Listing:
    tick, lot, _, maintenance = _PERPETUALS[asset]
    return Listing(
        symbol=f"{asset}USDT_{expiry:%y%m%d}", kind="future", payoff="linear", underlying=asset,
        quote_asset="USDT", settlement_asset="USDT", contract_multiplier=Decimal(1),
        tick_size=Decimal(tick), lot_size=Decimal(lot), expiry_utc=expiry,
        initial_rate=Decimal("0.02"), maintenance_rate=Decimal(maintenance) * 2,
    )  # fmt: skip


def _symbol(listing: Listing) -> dict[str, object]:
    expiry = listing.expiry_utc
    return {
        "symbol": listing.symbol, "pair": f"{listing.underlying}{listing.quote_asset}",
        "contractType": "PERPETUAL" if expiry is None else "CURRENT_QUARTER",
        "deliveryDate": _FOREVER_MS if expiry is None else int(expiry.timestamp() * 1000),
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING" if listing.is_active else "SETTLING",
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "baseAsset": listing.underlying, "quoteAsset": listing.quote_asset,
        "marginAsset": listing.settlement_asset, "pricePrecision": 2, "quantityPrecision": 3,
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN",
        "underlyingSubType": [], "settlePlan": 0, "triggerProtect": "0.0500",
        "liquidationFee": f"{LIQUIDATION_FEE:.6f}", "marketTakeBound": "0.30",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": str(listing.tick_size),
             "maxPrice": "10000000", "tickSize": str(listing.tick_size)},
            {"filterType": "LOT_SIZE", "minQty": str(listing.lot_size), "maxQty": "10000",
             "stepSize": str(listing.lot_size)},
            {"filterType": "MARKET_LOT_SIZE", "minQty": str(listing.lot_size), "maxQty": "10000",
             "stepSize": str(listing.lot_size)},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }  # fmt: skip

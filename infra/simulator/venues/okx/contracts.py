"""What the simulated OKX lists, and how it describes a listing on the wire."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from infra.simulator.venues.core.listings import Listing

# Sizes and ticks of www.okx.com/docs-v5, "Get instruments", 2026.
_LINEAR: Final = {"BTC": ("0.01", "0.1", "0.01"), "ETH": ("0.1", "0.01", "0.01"),
                  "SOL": ("1", "0.01", "0.01")}  # fmt: skip
_INVERSE: Final = {"BTC": ("100", "0.1"), "ETH": ("10", "0.01")}
_OPTIONS: Final = {"BTC": ("0.01", "0.0001", range(40_000, 100_000, 20_000)),
                   "ETH": ("0.1", "0.0005", range(1500, 4500, 1000))}  # fmt: skip
_SPOT: Final = {"BTC": ("0.1", "0.00000001"), "ETH": ("0.01", "0.000001")}
CURRENCIES: Final = ("BTC", "ETH", "SOL", "USDC", "USDT")
CHAINS: Final = {"BTC": "BTC-Bitcoin", "ETH": "ETH-ERC20", "SOL": "SOL-Solana",
                 "USDC": "USDC-ERC20", "USDT": "USDT-ERC20"}  # fmt: skip
WITHDRAWAL_FEES: Final = {
    "BTC": Decimal("0.0001"), "ETH": Decimal("0.0005"), "SOL": Decimal("0.008"),
    "USDC": Decimal("1.2"), "USDT": Decimal("1.2"),
}  # fmt: skip
# www.okx.com/fees, regular users: what liquidation costs beside the price.
TAKER_FEE: Final = Decimal("0.0005")
INST_TYPES: Final = {
    "spot": "SPOT", "perpetual": "SWAP", "future": "FUTURES", "option": "OPTION",
}  # fmt: skip


def listings(today: datetime) -> list[Listing]:
    """Return spot pairs, swaps, a quarterly future and options on it, as of ``today``."""
    expiry = quarter(today)
    made = [_spot(asset) for asset in _SPOT]
    made += [_linear(asset, None) for asset in _LINEAR]
    made += [_linear("BTC", expiry)]
    for asset in _INVERSE:
        made += [_inverse(asset, None), _inverse(asset, expiry), *_options(asset, expiry)]
    return made


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


def family(listing: Listing) -> str:
    """Return the family of a contract, or the pair."""
    return f"{listing.underlying}-{listing.quote_asset}"


def instrument(listing: Listing, factor: Decimal) -> dict[str, object]:
    """Return a row of ``GET /api/v5/public/instruments``; ``factor`` changes its unit."""
    is_spot, is_option = listing.kind == "spot", listing.kind == "option"
    size = listing.contract_multiplier * factor
    linear = listing.payoff == "linear"
    expiry = listing.expiry_utc
    return {
        "instType": INST_TYPES[listing.kind], "instId": listing.symbol,
        "uly": "" if is_spot else family(listing),
        "instFamily": "" if is_spot else family(listing), "category": "1",
        "baseCcy": listing.underlying if is_spot else "",
        "quoteCcy": listing.quote_asset if is_spot else "",
        "settleCcy": "" if is_spot else listing.settlement_asset,
        "ctVal": "" if is_spot else "1" if is_option else str(size),
        "ctMult": "" if is_spot else str(size) if is_option else "1",
        "ctValCcy": "" if is_spot else listing.underlying if linear or is_option else "USD",
        "ctType": "" if is_spot or is_option else "linear" if linear else "inverse",
        "optType": (listing.option_type or "")[:1].upper(),
        "stk": "" if listing.strike is None else str(listing.strike),
        "listTime": "1597026383085", "expTime": "" if expiry is None else _ms(expiry),
        "lever": "" if is_option else "100", "tickSz": str(listing.tick_size),
        "lotSz": str(listing.lot_size), "minSz": str(listing.lot_size), "alias": "",
        "state": "live" if listing.is_active else "suspend", "ruleType": "normal",
        "maxLmtSz": "100000000", "maxMktSz": "100000000", "maxTwapSz": "100000000",
        "maxIcebergSz": "100000000", "maxTriggerSz": "100000000", "maxStopSz": "100000000",
        "maxLmtAmt": "20000000", "maxMktAmt": "", "auctionEndTime": "", "contTdSwTime": "",
        "futureSettlement": False, "instIdCode": zlib.crc32(listing.symbol.encode()) % 100_000,
        "maxPlatOILmt": "", "openType": "", "posLmtAmt": "", "posLmtPct": "", "preMktSwTime": "",
        "tradeQuoteCcyList": [],
    }  # fmt: skip


def tiers(listing: Listing) -> dict[str, object]:
    """Return the one tier of ``GET /api/v5/public/position-tiers``."""
    return {
        "baseMaxLoan": "", "imr": str(listing.initial_rate), "instFamily": family(listing),
        "instId": listing.symbol, "maxLever": str(int(1 / listing.initial_rate)),
        "maxSz": "1000000000", "minSz": "0", "mmr": str(listing.maintenance_rate),
        "optMgnFactor": "0", "quoteMaxLoan": "", "tier": "1", "uly": family(listing),
    }  # fmt: skip


def plain(value: Decimal) -> str:
    """Return a figure as OKX writes it: no exponent, no needless zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _spot(asset: str) -> Listing:
    tick, lot = _SPOT[asset]
    return Listing(
        symbol=f"{asset}-USDT", kind="spot", payoff="linear", underlying=asset,
        quote_asset="USDT", settlement_asset="USDT", contract_multiplier=Decimal(1),
        tick_size=Decimal(tick), lot_size=Decimal(lot),
    )  # fmt: skip


def _linear(asset: str, expiry: datetime | None) -> Listing:
    size, tick, lot = _LINEAR[asset]
    return Listing(
        symbol=f"{asset}-USDT-{_day(expiry)}", kind="future" if expiry else "perpetual",
        payoff="linear", underlying=asset, quote_asset="USDT", settlement_asset="USDT",
        contract_multiplier=Decimal(size), tick_size=Decimal(tick), lot_size=Decimal(lot),
        expiry_utc=expiry, initial_rate=Decimal("0.01"), maintenance_rate=Decimal("0.004"),
    )  # fmt: skip


def _inverse(asset: str, expiry: datetime | None) -> Listing:
    size, tick = _INVERSE[asset]
    return Listing(
        symbol=f"{asset}-USD-{_day(expiry)}", kind="future" if expiry else "perpetual",
        payoff="inverse", underlying=asset, quote_asset="USD", settlement_asset=asset,
        contract_multiplier=Decimal(size), tick_size=Decimal(tick), lot_size=Decimal(1),
        expiry_utc=expiry, initial_rate=Decimal("0.01"), maintenance_rate=Decimal("0.004"),
    )  # fmt: skip


def _options(asset: str, expiry: datetime) -> list[Listing]:
    size, tick, strikes = _OPTIONS[asset]
    return [
        Listing(
            symbol=f"{asset}-USD-{_day(expiry)}-{strike}-{right}", kind="option",
            payoff="inverse", underlying=asset, quote_asset="USD", settlement_asset=asset,
            contract_multiplier=Decimal(size), tick_size=Decimal(tick), lot_size=Decimal(1),
            strike=Decimal(strike), option_type="call" if right == "C" else "put",
            expiry_utc=expiry,
        )
        for strike in strikes
        for right in ("C", "P")
    ]  # fmt: skip


def _day(expiry: datetime | None) -> str:
    return "SWAP" if expiry is None else f"{expiry:%y%m%d}"


def _ms(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))

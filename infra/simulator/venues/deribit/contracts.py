"""What the simulated Deribit lists, and how it describes a listing on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from infra.simulator.venues.core.listings import Listing

# https://docs.deribit.com: contract sizes and ticks of inverse and linear contracts, 2026.
_INVERSE: Final = {"BTC": ("10", "0.5"), "ETH": ("1", "0.05")}
_LINEAR: Final = {"BTC": ("0.001", "0.5"), "ETH": ("0.001", "0.05"), "SOL": ("0.1", "0.01")}
_OPTION_TICK: Final = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.0001")}
_STRIKES: Final = {"BTC": range(30_000, 100_000, 10_000), "ETH": range(1500, 4500, 500)}
PERPETUAL_EXPIRY_MS: Final = 32_503_708_800_000
_MONTHS: Final = (
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
)  # fmt: skip
_LONG_NAMES: Final = {
    "BTC": "Bitcoin", "ETH": "Ethereum", "SOL": "Solana", "USDC": "USD Coin", "USDT": "Tether USD",
}  # fmt: skip
# Names of the town's chains, the same at every venue.
NETWORKS: Final = {"BTC": "BTC", "ETH": "ETH", "SOL": "SOL", "USDC": "ETH", "USDT": "ETH"}
CURRENCIES: Final = tuple(_LONG_NAMES)
DECIMALS: Final = {"BTC": 8, "ETH": 6, "SOL": 6, "USDC": 6, "USDT": 6}
WITHDRAWAL_FEES: Final = {
    "BTC": Decimal("0.0001"), "ETH": Decimal("0.0006"), "SOL": Decimal("0.005"),
    "USDC": Decimal(2), "USDT": Decimal(2),
}  # fmt: skip


# support.deribit.com, article 25944826427293: margin rates rise with each coin of a position.
_RATE_PER_COIN: Final = {"BTC": Decimal("0.00005"), "ETH": Decimal("0.000004")}
LIQUIDATION_FEES: Final = {"BTC": Decimal("0.0075"), "*": Decimal("0.009")}
ROUND_SHARE: Final = Decimal("0.1")


def listings(today: datetime, *, has_brackets: bool = False) -> list[Listing]:
    """Return perpetuals, two quarterly futures, options on them and spot pairs, as of ``today``."""
    made = _listed(today)
    return [_rising(one) for one in made] if has_brackets else made


def _rising(listing: Listing) -> Listing:
    if listing.kind not in ("perpetual", "future"):
        return listing
    return replace(listing, rate_per_coin=_RATE_PER_COIN.get(listing.underlying, Decimal(0)))


def _listed(today: datetime) -> list[Listing]:
    made = [_spot("BTC"), _spot("ETH")]
    for asset in _INVERSE:
        made.append(_inverse(asset, f"{asset}-PERPETUAL", None))
        for expiry in quarters(today):
            made.append(_inverse(asset, f"{asset}-{_day(expiry)}", expiry))
            made.extend(_options(asset, expiry))
    made.extend(_linear(asset) for asset in _LINEAR)
    return made


def quarters(today: datetime) -> list[datetime]:
    """Return the next two quarterly expiries at least a week away: last Fridays, 08:00 UTC."""
    found: list[datetime] = []
    year, month = today.year, (today.month - 1) // 3 * 3 + 3
    while len(found) < 2:
        following = datetime(year + month // 12, month % 12 + 1, 1, 8, tzinfo=UTC)
        last = following - timedelta(days=1)
        friday = last - timedelta(days=(last.weekday() - 4) % 7)
        if friday - today > timedelta(days=7):
            found.append(friday)
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)
    return found


def instrument(
    listing: Listing, number: int, created_ms: int, factor: Decimal
) -> dict[str, object]:
    """Return a listing as ``public/get_instruments`` shows it; ``factor`` changes its unit."""
    told: dict[str, object] = {
        "price_index": index_name(listing), "kind": wire_kind(listing),
        "instrument_name": listing.symbol, "maker_commission": Decimal("0.0"),
        "taker_commission": Decimal("0.0005"), "instrument_id": number,
        "instrument_type": "reversed" if listing.payoff == "inverse" else "linear",
        "expiration_timestamp": expiry_ms(listing), "creation_timestamp": created_ms,
        "is_active": listing.is_active, "tick_size": listing.tick_size, "tick_size_steps": [],
        "contract_size": contract_size(listing) * factor,
        "min_trade_amount": listing.lot_size * contract_size(listing),
        "block_trade_commission": Decimal("0.00025"), "block_trade_min_trade_amount": 200000,
        "block_trade_tick_size": Decimal("0.01"), "settlement_currency": listing.settlement_asset,
        "base_currency": listing.underlying, "quote_currency": _quote_currency(listing),
        "counter_currency": listing.quote_asset, "state": "open",
    }  # fmt: skip
    if listing.kind != "spot":
        told["max_liquidation_commission"] = Decimal("0.0075")
        told["max_leverage"] = 1 if listing.kind == "option" else 50
        is_endless = listing.kind == "perpetual"
        told["settlement_period"] = "perpetual" if is_endless else "month"
    if listing.kind == "option":
        told |= {"strike": listing.strike, "option_type": listing.option_type}
    elif listing.kind != "spot":
        told["future_type"] = told["instrument_type"]
    return told


def currency(asset: str) -> dict[str, object]:
    """Return an asset as ``public/get_currencies`` shows it."""
    fee = WITHDRAWAL_FEES[asset]
    return {
        "coin_type": asset, "currency": asset, "currency_long": _LONG_NAMES[asset],
        "min_confirmations": 1, "min_withdrawal_fee": fee, "withdrawal_fee": fee,
        "withdrawal_priorities": [], "network_currency": asset, "network_fee": fee,
        "decimals": DECIMALS[asset], "in_cross_collateral_pool": False,
    }  # fmt: skip


def wire_kind(listing: Listing) -> Literal["spot", "future", "option"]:
    """Return Deribit's kind: perpetuals are futures there."""
    if listing.kind in ("future", "perpetual"):
        return "future"
    return "spot" if listing.kind == "spot" else "option"


def contract_size(listing: Listing) -> Decimal:
    """Return what ``size`` and ``amount`` count per contract: USD (inverse) or coins."""
    return listing.contract_multiplier


def index_name(listing: Listing) -> str:
    """Return the name of the index, such as ``btc_usd``."""
    quote = "usd" if listing.payoff == "inverse" else listing.quote_asset.lower()
    return f"{listing.underlying.lower()}_{quote}"


def expiry_ms(listing: Listing) -> int:
    """Return the expiry in milliseconds, the far end of time for perpetuals and spot."""
    if listing.expiry_utc is None:
        return PERPETUAL_EXPIRY_MS
    return int(listing.expiry_utc.timestamp() * 1000)


def _quote_currency(listing: Listing) -> str:
    is_coin_quoted = listing.kind == "option" and listing.payoff == "inverse"
    return listing.underlying if is_coin_quoted else listing.quote_asset


def _day(expiry: datetime) -> str:
    return f"{expiry.day}{_MONTHS[expiry.month - 1]}{expiry.year % 100}"


def _inverse(asset: str, symbol: str, expiry: datetime | None) -> Listing:
    size, tick = _INVERSE[asset]
    return Listing(
        symbol=symbol, kind="perpetual" if expiry is None else "future", payoff="inverse",
        underlying=asset, quote_asset="USD", settlement_asset=asset,
        contract_multiplier=Decimal(size), tick_size=Decimal(tick), lot_size=Decimal(1),
        expiry_utc=expiry,
    )  # fmt: skip


def _linear(asset: str) -> Listing:
    size, tick = _LINEAR[asset]
    return Listing(
        symbol=f"{asset}_USDC-PERPETUAL", kind="perpetual", payoff="linear", underlying=asset,
        quote_asset="USDC", settlement_asset="USDC", contract_multiplier=Decimal(size),
        tick_size=Decimal(tick), lot_size=Decimal(1),
    )  # fmt: skip


def _spot(asset: str) -> Listing:
    return Listing(
        symbol=f"{asset}_USDC", kind="spot", payoff="linear", underlying=asset,
        quote_asset="USDC", settlement_asset="USDC", contract_multiplier=Decimal(1),
        tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"),
    )  # fmt: skip


def _options(asset: str, expiry: datetime) -> list[Listing]:
    sides: tuple[tuple[Literal["call", "put"], str], ...] = (("call", "C"), ("put", "P"))
    return [
        Listing(
            symbol=f"{asset}-{_day(expiry)}-{strike}-{letter}", kind="option", payoff="inverse",
            underlying=asset, quote_asset="USD", settlement_asset=asset,
            contract_multiplier=Decimal(1), tick_size=_OPTION_TICK[asset],
            lot_size=Decimal("0.1") if asset == "BTC" else Decimal(1),
            strike=Decimal(strike), option_type=side, expiry_utc=expiry,
        )
        for strike in _STRIKES[asset]
        for side, letter in sides
    ]  # fmt: skip

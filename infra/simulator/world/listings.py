"""Instruments of four venues, and a quanto of a fifth, as contract ``instruments``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from engine.times import NANOSECONDS_PER_YEAR, close_of, to_nanoseconds
from infra.simulator.world import expiries as cycles
from infra.simulator.world import venues
from infra.simulator.world.day_market import DayMarket
from infra.simulator.world.expiries import Cycle, expiry_instant, tradable_expiries
from infra.simulator.world.strikes import strike_grid
from infra.simulator.world.venues import Size


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of contract ``instruments``."""

    instrument_id: str
    venue: str
    venue_symbol: str
    kind: str
    payoff: str
    underlying: str
    quote_asset: str
    settlement_asset: str
    contract_multiplier: float
    strike: float
    option_type: str | None
    expiry_utc: datetime | None
    tick_size: float
    lot_size: float


@dataclass(frozen=True, slots=True)
class Family:
    """Contracts of one venue that differ only by asset and expiry; "" stands for the coin."""

    venue: str
    kind: str
    payoff: str
    quote_asset: str
    settlement_asset: str
    sizes: Mapping[str, Size]
    symbol: Callable[[str, date], str]
    cycle: Cycle | None = None
    id_suffix: str = ""


@dataclass(frozen=True, slots=True)
class OptionFamily:
    """Options of one venue; ``reach`` widens or narrows the strike grids."""

    venue: str
    payoff: str
    quote_asset: str
    settlement_asset: str
    sizes: Mapping[str, Size]
    symbol: Callable[[str, date, float, str], str]
    cycle: Cycle
    reach: float


def _day(expiry: date) -> str:
    return f"{expiry.day}{expiry:%b%y}".upper()


def _strike(strike: float) -> str:
    return f"{strike:.10g}".replace(".", "d")


FAMILIES: Final = (
    Family("binance", "spot", "linear", "USDT", "USDT", venues.BINANCE_SPOT,
           lambda a, _: f"{a}USDT", id_suffix="-SPOT"),
    Family("binance", "perpetual", "linear", "USDT", "USDT", venues.BINANCE_LINEAR,
           lambda a, _: f"{a}USDT"),
    Family("binance", "future", "linear", "USDT", "USDT",
           {a: venues.BINANCE_LINEAR[a] for a in ("BTC", "ETH")},
           lambda a, e: f"{a}USDT_{e:%y%m%d}", cycles.BINANCE_FUTURES),
    Family("binance", "perpetual", "inverse", "USD", "", venues.BINANCE_COIN,
           lambda a, _: f"{a}USD_PERP"),
    Family("binance", "future", "inverse", "USD", "",
           {a: venues.BINANCE_COIN[a] for a in ("BTC", "ETH", "BNB", "XRP", "ADA", "LINK", "LTC")},
           lambda a, e: f"{a}USD_{e:%y%m%d}", cycles.BINANCE_FUTURES),
    Family("okx", "spot", "linear", "USDT", "USDT", venues.OKX_SPOT, lambda a, _: f"{a}-USDT"),
    Family("okx", "perpetual", "linear", "USDT", "USDT", venues.OKX_LINEAR,
           lambda a, _: f"{a}-USDT-SWAP"),
    Family("okx", "perpetual", "inverse", "USD", "", venues.OKX_INVERSE,
           lambda a, _: f"{a}-USD-SWAP"),
    Family("okx", "future", "inverse", "USD", "",
           {a: venues.OKX_INVERSE[a] for a in ("BTC", "ETH")},
           lambda a, e: f"{a}-USD-{e:%y%m%d}", cycles.OKX_FUTURES),
    Family("okx", "future", "linear", "USDT", "USDT",
           {a: venues.OKX_LINEAR[a] for a in ("BTC", "ETH")},
           lambda a, e: f"{a}-USDT-{e:%y%m%d}", cycles.OKX_FUTURES),
    Family("deribit", "spot", "linear", "USDC", "USDC", venues.DERIBIT_SPOT,
           lambda a, _: f"{a}_USDC"),
    Family("deribit", "perpetual", "inverse", "USD", "", venues.DERIBIT_INVERSE,
           lambda a, _: f"{a}-PERPETUAL"),
    Family("deribit", "future", "inverse", "USD", "", venues.DERIBIT_INVERSE_FUTURES,
           lambda a, e: f"{a}-{_day(e)}", cycles.DERIBIT_FUTURES),
    Family("deribit", "perpetual", "linear", "USDC", "USDC", venues.DERIBIT_USDC,
           lambda a, _: f"{a}_USDC-PERPETUAL"),
    Family("bybit", "spot", "linear", "USDT", "USDT", venues.BYBIT_SPOT,
           lambda a, _: f"{a}USDT", id_suffix="-SPOT"),
    Family("bybit", "perpetual", "linear", "USDT", "USDT", venues.BYBIT_LINEAR,
           lambda a, _: f"{a}USDT"),
    Family("bybit", "perpetual", "inverse", "USD", "", venues.BYBIT_INVERSE,
           lambda a, _: f"{a}USD"),
    Family("bybit", "future", "linear", "USDT", "USDT",
           {a: venues.BYBIT_LINEAR[a] for a in ("BTC", "ETH")},
           lambda a, e: f"{a}USDT-{_day(e)}", cycles.BYBIT_FUTURES),
    Family("bitmex", "perpetual", "quanto", "USD", "BTC", venues.BITMEX_QUANTO,
           lambda a, _: f"{a}USD"),
)  # fmt: skip

OPTION_FAMILIES: Final = (
    OptionFamily("deribit", "inverse", "USD", "", venues.DERIBIT_OPTIONS,
                 lambda a, e, k, t: f"{a}-{_day(e)}-{_strike(k)}-{t[0].upper()}",
                 cycles.DERIBIT_OPTIONS, 1.0),
    OptionFamily("deribit", "linear", "USDC", "USDC", venues.DERIBIT_USDC_OPTIONS,
                 lambda a, e, k, t: f"{a}_USDC-{_day(e)}-{_strike(k)}-{t[0].upper()}",
                 cycles.DERIBIT_ALT_OPTIONS, 0.6),
    OptionFamily("bybit", "linear", "USDC", "USDC", venues.BYBIT_OPTIONS,
                 lambda a, e, k, t: f"{a}-{_day(e)}-{_strike(k)}-{t[0].upper()}",
                 cycles.BYBIT_OPTIONS, 0.6),
)  # fmt: skip

# Reach of a strike grid in standard deviations, by days to expiry: short grids have seen the
# price move and are wide in units of the little time that is left.
_REACH = ((3.5, 2.3), (16.0, 2.25), (45.0, 2.2), (1000.0, 1.85))


def build_instruments(markets: Sequence[DayMarket]) -> pd.DataFrame:
    """Return contract ``instruments``: all that trades on one of the dates, by instrument_id."""
    listings = {item.instrument_id: item for item in _all_listings(markets)}
    rows = [asdict(listings[key]) for key in sorted(listings)]
    frame = pd.DataFrame(rows)
    for name in ("contract_multiplier", "strike", "tick_size", "lot_size"):
        frame[name] = frame[name].astype("float64")
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    frame["option_type"] = frame["option_type"].astype("str")
    return frame


def listed_at(instruments: pd.DataFrame, market: DayMarket) -> np.ndarray:
    """Return which instruments have a mark on the market's date: introduced, not yet expired.

    A contract that expires on the date still counts: its last value is its settlement.
    """
    expiry = instruments["expiry_utc"]
    opened = pd.Timestamp(market.as_of) - pd.Timedelta(days=1)
    alive = expiry.isna() | (expiry > opened)
    introduced = np.ones(len(instruments), dtype=np.bool_)
    families = _cycle_of_kind()
    for (venue, kind, payoff), cycle in families.items():
        mask = (
            (instruments["venue"] == venue)
            & (instruments["kind"] == kind)
            & (instruments["payoff"] == payoff)
        ).to_numpy()
        known = {pd.Timestamp(expiry_instant(day)) for day in tradable_expiries(
            market.business_date, cycle)}  # fmt: skip
        introduced[mask] = expiry[mask].isin(sorted(known)).to_numpy()
    present = instruments["underlying"].isin(sorted(market.index)).to_numpy()
    listed: np.ndarray = alive.to_numpy() & introduced & present
    return listed


def _cycle_of_kind() -> dict[tuple[str, str, str], Cycle]:
    found = {(f.venue, f.kind, f.payoff): f.cycle for f in FAMILIES if f.cycle is not None}
    found.update({(f.venue, "option", f.payoff): f.cycle for f in OPTION_FAMILIES})
    return found


def _all_listings(markets: Sequence[DayMarket]) -> Iterator[Listing]:
    for family in FAMILIES:
        for market in markets:
            yield from _of_family(family, market)
    for options in OPTION_FAMILIES:
        # Strikes are those of the first date: a grid is cut when an expiry is introduced.
        introduced: set[tuple[str, date]] = set()
        for market in markets:
            for asset in options.sizes:
                if asset not in market.smiles:
                    continue
                for expiry in tradable_expiries(market.business_date, options.cycle):
                    if (asset, expiry) not in introduced:
                        introduced.add((asset, expiry))
                        yield from _of_expiry(options, market, asset, expiry)


def _of_family(family: Family, market: DayMarket) -> Iterator[Listing]:
    dates: Iterable[date | None] = (None,)
    if family.cycle is not None:
        dates = tradable_expiries(market.business_date, family.cycle)
    for asset, size in family.sizes.items():
        if asset not in market.index:
            continue
        for expiry in dates:
            symbol = family.symbol(asset, expiry or date.min)
            yield Listing(
                instrument_id=f"{family.venue}:{symbol}{family.id_suffix}",
                venue=family.venue,
                venue_symbol=symbol,
                kind=family.kind,
                payoff=family.payoff,
                underlying=asset,
                quote_asset=family.quote_asset,
                settlement_asset=family.settlement_asset or asset,
                contract_multiplier=size.multiplier,
                strike=float("nan"),
                option_type=None,
                expiry_utc=None if expiry is None else expiry_instant(expiry),
                tick_size=size.tick,
                lot_size=size.lot,
            )


def _of_expiry(
    family: OptionFamily, market: DayMarket, asset: str, expiry: date
) -> Iterator[Listing]:
    size = family.sizes[asset]
    for strike in _strikes(family, market, asset, expiry):
        for option_type in ("call", "put"):
            symbol = family.symbol(asset, expiry, strike, option_type)
            yield Listing(
                instrument_id=f"{family.venue}:{symbol}",
                venue=family.venue,
                venue_symbol=symbol,
                kind="option",
                payoff=family.payoff,
                underlying=asset,
                quote_asset=family.quote_asset,
                settlement_asset=family.settlement_asset or asset,
                contract_multiplier=size.multiplier,
                strike=strike,
                option_type=option_type,
                expiry_utc=expiry_instant(expiry),
                tick_size=size.tick,
                lot_size=size.lot,
            )


def _strikes(
    family: OptionFamily, market: DayMarket, asset: str, expiry: date
) -> tuple[float, ...]:
    # The grid is the one of the day before, so that it also holds what expires on the date.
    opened = close_of(market.business_date - timedelta(days=1))
    years = (to_nanoseconds(expiry_instant(expiry)) - to_nanoseconds(opened)) / NANOSECONDS_PER_YEAR
    at = np.array([years])
    smile = market.smiles[asset]
    volatility = float(np.sqrt(smile.at_the_money_variance(at)[0] / years))
    reach = next(reach for days, reach in _REACH if years * 365.0 <= days)
    forward = float(market.forward(asset, at)[0])
    return strike_grid(forward, volatility, years, family.reach * reach)

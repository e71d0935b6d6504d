"""A clearing house and a venue scaled by open interest, beside the small market."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.margin.span import SpanParameters
from engine.margin.span_spreads import InterCommoditySpread, InterCommoditySpreads
from engine.margin.tiered import OpenInterestScaled
from engine.rules import Agreement, RuleBook
from engine.snapshot import Snapshot
from engine.venue_rules import ParameterSet, venue_rules
from tests.worlds import small, venues

APRIL, JUNE, MICRO, ETHER = "cme:BTCJ6", "cme:BTCM6", "cme:MBTM6", "cme:ETHM6"
CALL, PUT = "cme:BTCM6-C80000", "cme:BTCM6-P55000"
BTC, SOL = "dydx:BTC-USD", "dydx:SOL-USD"
OPEN_INTEREST = 400_000.0
"""Of SOL-USD: 60 million at 150, a third of the way from 40 to 100 million. [contracts]"""

SPAN_BTC = SpanParameters(
    price_scan_range=0.3,
    volatility_scan_range=0.1,
    inter_month_charge_rate=0.02,
    short_option_minimum_rate=0.05,
    initial_margin_factor=1.1,
)
SPAN_ETH = SpanParameters(
    price_scan_range=0.32, volatility_scan_range=0.5, volatility_scan="relative"
)
SPREADS = InterCommoditySpreads(
    spreads=(
        InterCommoditySpread(
            first="BTC", second="ETH", first_delta=1.0, second_delta=20.0, credit_rate=0.5
        ),
    )
)


def instruments() -> pd.DataFrame:
    """Return the small market's instruments and those of the clearing house and of dYdX."""
    known = small.instruments()
    april, june = pd.Timestamp("2026-04-24T15:00Z"), pd.Timestamp("2026-06-26T15:00Z")
    rows = [
        (APRIL, "future", "BTC", 5.0, np.nan, None, april),
        (JUNE, "future", "BTC", 5.0, np.nan, None, june),
        (MICRO, "future", "BTC", 0.1, np.nan, None, june),
        (ETHER, "future", "ETH", 50.0, np.nan, None, june),
        (CALL, "option", "BTC", 5.0, 80_000.0, "call", june),
        (PUT, "option", "BTC", 5.0, 55_000.0, "put", june),
        (BTC, "perpetual", "BTC", 1.0, np.nan, None, pd.NaT),
        (SOL, "perpetual", "SOL", 1.0, np.nan, None, pd.NaT),
    ]
    columns = (
        "instrument_id", "kind", "underlying", "contract_multiplier", "strike", "option_type",
        "expiry_utc",
    )  # fmt: skip
    added = pd.DataFrame(rows, columns=list(columns))
    added["venue"] = added["instrument_id"].str.split(":").str[0]
    added["venue_symbol"] = added["instrument_id"].str.split(":").str[1]
    added["payoff"] = "linear"
    added["quote_asset"] = "USD"
    added["settlement_asset"] = np.where(added["venue"] == "dydx", "USDC", "USD")
    added["tick_size"], added["lot_size"] = 0.1, 0.001
    added["expiry_utc"] = pd.to_datetime(added["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    both = pd.concat([known, added], ignore_index=True)
    return both.sort_values("instrument_id", ignore_index=True)


def marks(open_interest: float = OPEN_INTEREST) -> pd.DataFrame:
    """Return marks at the index, with the open interest of SOL-USD alone."""
    frame = small.marks(instruments())
    is_sol = frame["instrument_id"] == SOL
    return frame.assign(open_interest=np.where(is_sol, open_interest, np.nan))


def snapshot(open_interest: float = OPEN_INTEREST) -> Snapshot:
    """Return the market of the business date."""
    return small.snapshot(instruments=instruments(), marks=marks(open_interest))


def sets(spreads: InterCommoditySpreads | None = SPREADS) -> list[ParameterSet]:
    """Return what the clearing house and dYdX need."""
    span = venues.mode(
        futures_model="span", option_model="span", futures_scope="underlying",
        bucket="account", ratio="adjusted_equity",
    )  # fmt: skip
    found = [
        venues.parameter_set("cme", "account_mode", "clearing", span),
        venues.parameter_set("cme", "span", "BTC", SPAN_BTC),
        venues.parameter_set("cme", "span", "ETH", SPAN_ETH),
        venues.parameter_set(
            "dydx", "account_mode", "cross",
            venues.mode(option_model="none", option_scope="symbol", bucket="account"),
        ),
        venues.parameter_set(
            "dydx", "tiered", "BTC-USD",
            OpenInterestScaled(initial_margin_rate=0.02, maintenance_fraction=0.6),
        ),
        venues.parameter_set(
            "dydx", "tiered", "SOL-USD",
            OpenInterestScaled(
                initial_margin_rate=0.05, maintenance_fraction=0.6,
                open_interest_lower_cap=40e6, open_interest_upper_cap=100e6,
                rate_tick=1e-6, amount_tick=1e-6,
            ),
        ),
    ]  # fmt: skip
    if spreads is not None:
        found.append(venues.parameter_set("cme", "span_spreads", "clearing", spreads, "unverified"))
    return found


def rules(*agreements: Agreement, spreads: InterCommoditySpreads | None = SPREADS) -> RuleBook:
    """Return the small market's rules with those of the clearing house and of dYdX."""
    return venues.rules(*agreements, venues=venue_rules([*venues.sets(), *sets(spreads)]))

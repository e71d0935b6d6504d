"""Venue parameters and accounts of the small market, typed from the venues' pages."""

from __future__ import annotations

from datetime import date

import pandas as pd

from engine.margin.scenario_grid import ScenarioGridParameters
from engine.margin.standard_option import StandardOptionParameters
from engine.margin.tiered import NotionalTiers, SizeSlope, Tier
from engine.rules import Agreement, HaircutTier, RuleBook
from engine.snapshot import PositionSet
from engine.venue_rules import (
    AccountMode,
    CollateralRates,
    Evidence,
    ParameterSet,
    VenueRules,
    venue_rules,
)
from tests.worlds import small

# Binance, October 2024: floors, maintenance rates and largest leverages of the first brackets.
BTC_TIERS = NotionalTiers(
    tiers=(
        Tier(notional_floor=0.0, maintenance_margin_rate=0.004, leverage_max=125.0),
        Tier(notional_floor=50_000.0, maintenance_margin_rate=0.005, leverage_max=100.0),
        Tier(notional_floor=600_000.0, maintenance_margin_rate=0.0065, leverage_max=75.0),
        Tier(notional_floor=3_000_000.0, maintenance_margin_rate=0.01, leverage_max=50.0),
    )
)
ETH_TIERS = NotionalTiers(
    tiers=(
        Tier(notional_floor=0.0, maintenance_margin_rate=0.005, leverage_max=100.0),
        Tier(notional_floor=1_000_000.0, maintenance_margin_rate=0.01, leverage_max=50.0),
    )
)
# Deribit, 11 January 2022.
BTC_SLOPE = SizeSlope(
    initial_margin_rate=0.02, maintenance_margin_rate=0.01, rate_slope_per_unit=0.00005
)
SHORT_OPTION = StandardOptionParameters(
    rule="mark_floor_put",
    initial_margin_rate=0.15,
    initial_margin_rate_min=0.10,
    maintenance_margin_rate=0.075,
)
# Deribit, portfolio margin of BTC, 17 June 2024.
BTC_GRID = ScenarioGridParameters(
    price_shocks=(-0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16),
    volatility_moves=("down", "unchanged", "up"),
    volatility_shock_up=0.5,
    volatility_shock_down=0.25,
    volatility_power_short=0.3,
    volatility_power_long=0.13,
    volatility_min=0.5,
    annualised_move_risk=0.075,
    annualised_move_min=0.01,
    maintenance_margin_factor=0.8,
)


def parameter_set(
    venue: str, model: str, scope: str, parameters: object, evidence: Evidence = "documented"
) -> ParameterSet:
    """Return a set in force since the beginning of 2026."""
    return ParameterSet(
        venue=venue,
        model=model,
        scope=scope,
        effective_date=date(2026, 1, 1),
        source="https://example.com/rules",
        evidence=evidence,
        parameters=parameters,
        parameters_hash=f"{venue}-{model}-{scope}",
    )


def mode(**changes: str) -> AccountMode:
    """Return a mode of single positions in buckets of their settlement asset."""
    return AccountMode(
        **{  # type: ignore[arg-type]
            "futures_model": "tiered",
            "option_model": "standard_option",
            "futures_scope": "symbol",
            "option_scope": "underlying",
            "bucket": "settlement_asset",
            "ratio": "margin_balance",
            **changes,
        }
    )


PORTFOLIO = mode(
    futures_model="scenario_grid", option_model="scenario_grid", futures_scope="underlying"
)


def sets() -> list[ParameterSet]:
    """Return what the small market needs of three venues."""
    usdt = CollateralRates(haircut_tiers=(HaircutTier(floor=0.0, haircut=0.0),))
    btc = CollateralRates(
        haircut_tiers=(
            HaircutTier(floor=0.0, haircut=0.05), HaircutTier(floor=100_000.0, haircut=0.10),
        ),
        loan_maintenance_margin_rate=0.10,
    )  # fmt: skip
    return [
        parameter_set("binance", "account_mode", "usdm_cross", mode()),
        parameter_set(
            "binance", "account_mode", "portfolio",
            mode(bucket="account", ratio="adjusted_equity"),
        ),
        parameter_set("binance", "tiered", "BTCUSDT", BTC_TIERS, "published_example"),
        parameter_set("binance", "tiered", "ETHUSDT", ETH_TIERS),
        parameter_set("binance", "collateral_rates", "USDT", usdt),
        parameter_set("binance", "collateral_rates", "BTC", btc),
        parameter_set(
            "deribit", "account_mode", "standard", mode(futures_scope="underlying"), "documented"
        ),
        parameter_set("deribit", "account_mode", "segregated_portfolio", PORTFOLIO),
        parameter_set("deribit", "tiered", "BTC", BTC_SLOPE),
        parameter_set("deribit", "standard_option", "BTC", SHORT_OPTION),
        parameter_set("deribit", "scenario_grid", "BTC", BTC_GRID, "inferred"),
        parameter_set("bybit", "account_mode", "auction", mode(futures_model="auction")),
    ]  # fmt: skip


def rules(*agreements: Agreement, venues: VenueRules | None = None) -> RuleBook:
    """Return the shipped house parameters with these agreements and the venues' parameters."""
    book = small.rules(*agreements)
    return RuleBook(
        rule_book_hash=book.rule_book_hash,
        house=book.house,
        agreements=book.agreements,
        venues=venue_rules(sets()) if venues is None else venues,
    )


def accounts(*rows: tuple[str, str, str] | tuple[str, str, str, float]) -> pd.DataFrame:
    """Return accounts (netting set, venue, mode, leverage) named ``<netting set>-a``."""
    return pd.DataFrame(
        {
            "account_id": pd.Series([f"{row[0]}-a" for row in rows], dtype="str"),
            "effective_date": pd.Series([pd.Timestamp("2026-01-01")] * len(rows)).astype(
                "datetime64[ms]"
            ),
            "venue": pd.Series([row[1] for row in rows], dtype="str"),
            "client_id": pd.Series([f"client-{row[0]}" for row in rows], dtype="str"),
            "netting_set_id": pd.Series([row[0] for row in rows], dtype="str"),
            "account_mode": pd.Series([row[2] for row in rows], dtype="str"),
            "leverage": [float(row[3]) if len(row) > 3 else float("nan") for row in rows],
        }
    )


def position_set(
    held: list[tuple[str, str, float]],
    rows: pd.DataFrame,
    *,
    orders: pd.DataFrame | None = None,
    reported: pd.DataFrame | None = None,
) -> PositionSet:
    """Return positions that all sources agree on, with accounts and reports."""
    optional = {} if reported is None else {"venue_margin": reported}
    return PositionSet(
        positions=small.positions(*held),
        open_orders=no_orders() if orders is None else orders,
        accounts=rows,
        **optional,
    )


def orders(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    """Return open orders (netting set, instrument, side, quantity)."""
    return pd.DataFrame(
        {
            "account_id": pd.Series([f"{row[0]}-a" for row in rows], dtype="str"),
            "order_id": pd.Series([f"order-{k}" for k in range(len(rows))], dtype="str"),
            "netting_set_id": pd.Series([row[0] for row in rows], dtype="str"),
            "client_id": pd.Series([f"client-{row[0]}" for row in rows], dtype="str"),
            "venue": pd.Series([row[1].split(":")[0] for row in rows], dtype="str"),
            "instrument_id": pd.Series([row[1] for row in rows], dtype="str"),
            "side": pd.Series([row[2] for row in rows], dtype="str"),
            "remaining_quantity": pd.Series([row[3] for row in rows], dtype="float64"),
        }
    )


def no_orders() -> pd.DataFrame:
    """Return open orders: none."""
    return orders()


def reported(*rows: tuple[str, str, str, float, float, float]) -> pd.DataFrame:
    """Return reports (netting set, bucket, currency, initial, maintenance, equity)."""
    return pd.DataFrame(
        {
            "business_date": pd.Series([pd.Timestamp(small.BUSINESS_DATE)] * len(rows)),
            "account_id": pd.Series([f"{row[0]}-a" for row in rows], dtype="str"),
            "bucket": pd.Series([row[1] for row in rows], dtype="str"),
            "currency": pd.Series([row[2] for row in rows], dtype="str"),
            "reported_initial_margin": pd.Series([row[3] for row in rows], dtype="float64"),
            "reported_maintenance_margin": pd.Series([row[4] for row in rows], dtype="float64"),
            "reported_equity": pd.Series([row[5] for row in rows], dtype="float64"),
            "observed_utc": small.OBSERVED,
        }
    )

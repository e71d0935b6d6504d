"""The underlyings of the sample world.

Volatilities and correlations are rounded from UTC daily closes of 2020-09 to 2025-12 (BTC 59 %,
ETH 80 %, SOL 119 % a year; correlation of BTC with ETH 0.81, with others 0.52 to 0.73), taken down
to the calmer years since 2023; the crash betas are the mean fall of each asset over the fall of
BTC on the 25 days on which BTC lost more than 8 %. Smiles are rounded from Deribit chains of
2025-12 to 2026-08: a 25-delta risk reversal of -0.054 at 0.39 for BTC and of -0.043 at 0.54 for
ETH, butterflies of 0.0085 and 0.0145. KEEL is invented: a token listed 120 days ago.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AssetProfile:
    """Process and market of one underlying."""

    asset: str
    start_price: float
    """Index four years before the end. [USD]"""
    end_price: float
    """Index on the last business date, up to 3 % either way by seed. [USD]"""
    price_decimals: int
    volatility: float
    """Annual volatility at a regime multiplier of one. [-]"""
    market_loading: float
    """Loading on the market factor in the calm regime. [-]"""
    sector_loading: float
    """Loading on the factor of the smaller coins in the calm regime. [-]"""
    crash_beta: float
    """Log return per unit of the market's jump. [-]"""
    average_daily_volume_usd: float
    depth_share: float
    """Depth within 1 % over the average daily volume. [-]"""
    spread: float
    """Quoted spread over price. [-]"""
    basis: float
    """Annual basis in the calm regime. [1/year]"""
    implied_volatility: float
    """Long-run at-the-money implied volatility at 30 days. [-]"""
    smile_skew: float = -0.20
    """Correlation parameter of the smile. [-]"""
    smile_curvature: float = 0.75
    """Curvature parameter of the smile. [-]"""
    listed_days: int | None = None
    """Days of history, none for all. [days]"""


ASSETS: tuple[AssetProfile, ...] = (
    AssetProfile("BTC", 16_600.0, 90_000.0, 1, 0.46, 0.88, 0.00, 1.00, 3.2e10, 0.0090, 0.00005,
                 0.050, 0.46, smile_skew=-0.30, smile_curvature=0.68),
    AssetProfile("ETH", 1_200.0, 3_000.0, 2, 0.62, 0.89, 0.12, 1.25, 1.8e10, 0.0080, 0.00007,
                 0.042, 0.62, smile_skew=-0.17, smile_curvature=0.71),
    AssetProfile("SOL", 13.0, 140.0, 2, 0.86, 0.76, 0.25, 1.40, 5.0e9, 0.0060, 0.00015,
                 0.048, 0.80, smile_skew=-0.12, smile_curvature=0.74),
    AssetProfile("BNB", 270.0, 880.0, 2, 0.56, 0.76, 0.15, 1.15, 1.4e9, 0.0060, 0.00015,
                 0.030, 0.55),
    AssetProfile("XRP", 0.38, 2.10, 4, 0.78, 0.66, 0.30, 1.30, 3.2e9, 0.0055, 0.00018,
                 0.045, 0.78, smile_skew=0.05, smile_curvature=0.80),
    AssetProfile("DOGE", 0.085, 0.1450, 5, 0.88, 0.70, 0.33, 1.40, 1.6e9, 0.0050, 0.00022,
                 0.045, 0.85),
    AssetProfile("ADA", 0.32, 0.4200, 4, 0.80, 0.76, 0.34, 1.25, 7.0e8, 0.0045, 0.00030,
                 0.035, 0.80),
    AssetProfile("LINK", 6.3, 13.0, 3, 0.80, 0.77, 0.30, 1.45, 5.5e8, 0.0045, 0.00030,
                 0.035, 0.80),
    AssetProfile("AVAX", 12.5, 14.0, 3, 0.86, 0.74, 0.34, 1.45, 4.5e8, 0.0040, 0.00040,
                 0.030, 0.85),
    AssetProfile("LTC", 62.0, 85.0, 2, 0.66, 0.76, 0.25, 1.35, 4.8e8, 0.0045, 0.00030,
                 0.030, 0.65),
    AssetProfile("SUI", 0.80, 1.60, 4, 0.96, 0.68, 0.36, 1.50, 8.0e8, 0.0040, 0.00040,
                 0.040, 0.95, listed_days=1298),
    AssetProfile("KEEL", 0.30, 0.8500, 4, 1.20, 0.52, 0.40, 1.70, 4.5e7, 0.0025, 0.00150,
                 0.020, 1.20, listed_days=120),
)  # fmt: skip

OPTION_UNDERLYINGS = ("BTC", "ETH", "SOL", "XRP")
"""Underlyings with listed options."""

"""A history of a few assets with volatilities, bases and venue prices, for back-tests."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import pandas as pd

from engine.backtest.books import StudyBook, Universe, asset_books, portfolio_books
from engine.backtest.panel import Panel, StudyFrames, panel_of
from engine.backtest.walk_forward import testable
from engine.rules import HouseParameters
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from tests.worlds import small

LAST = small.BUSINESS_DATE
ASSETS = ("BTC", "ETH", "NEW", "SOL")
PEGS = ("USDC", "USDT")


def house() -> HouseParameters:
    """Return the shipped parameters without liquidity costs."""
    return testable(read_house_parameters(DEFAULT_PARAMETERS, LAST)[0])


@cache
def frames() -> StudyFrames:
    """Return closes with highs and lows, and curves and venue prices of BTC and ETH."""
    generator = np.random.default_rng(17)
    closes = small.price_history()
    spread = np.abs(generator.normal(0.0, 0.02, (len(closes), 2)))
    closes["high"] = closes["close"] * (1.0 + spread[:, 0])
    closes["low"] = closes["close"] * (1.0 - spread[:, 1])
    majors = closes[closes["asset"].isin(["BTC", "ETH"])][["date", "asset", "close"]]
    levels, bases = [], []
    for _, rows in majors.groupby("asset", sort=True):
        n = len(rows)
        levels.append(0.6 * np.exp(np.cumsum(0.04 * generator.standard_normal(n))).clip(0.4, 2.0))
        bases.append(0.05 + np.cumsum(0.004 * generator.standard_normal(n)))
    ordered = majors.sort_values(["asset", "date"])
    curves = ordered.assign(atm_iv_30d=np.concatenate(levels), annual_basis=np.concatenate(bases))
    recent = curves[curves["date"] > pd.Timestamp(LAST) - pd.Timedelta(days=400)]
    noise = np.exp(0.001 * generator.standard_normal(len(recent)))
    pairs = recent.assign(spot=recent["close"], perpetual=recent["close"] * noise)
    return StudyFrames(
        closes=closes,
        volatility=recent[["date", "asset", "atm_iv_30d"]].reset_index(drop=True),
        basis=curves[["date", "asset", "annual_basis"]].reset_index(drop=True),
        pairs=pairs[["date", "asset", "spot", "perpetual"]].reset_index(drop=True),
    )


@cache
def panel() -> Panel:
    """Return the history as matrices."""
    return panel_of(frames(), (*ASSETS, *PEGS, "USD"))


def books() -> tuple[StudyBook, ...]:
    """Return books of every kind of leg."""
    universe = Universe(("BTC", "ETH"), ("NEW", "SOL"), PEGS, ("BTC", "ETH"), ("BTC", "ETH"))
    return (*asset_books(ASSETS, 1e6), *portfolio_books(universe, 1e6))


def days(first: date, n: int) -> list[date]:
    """Return ``n`` consecutive dates."""
    return [day.date() for day in pd.date_range(first, periods=n)]

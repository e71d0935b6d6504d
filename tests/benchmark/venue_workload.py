"""Accounts that venues margin: a grid of price and volatility moves, and tiers by notional."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.margin.scenario_grid import (
    FUTURE,
    OPTION,
    PERPETUAL,
    Buckets,
    Holdings,
    ScenarioGridParameters,
    ScenarioInstruments,
)
from engine.margin.tiered import NotionalTiers, Tier, TieredPositions

N_ACCOUNTS, N_POSITIONS, N_INSTRUMENTS = 1_000, 30, 1_000
N_TIERED, N_SYMBOLS, N_TIERS = 100_000, 300, 10
INDEX_PRICE = 60_000.0

# Eleven moves of the price by three of the volatility, and two in the tail: 35 cells.
GRID = ScenarioGridParameters(
    price_shocks=tuple(round(-0.15 + 0.03 * i, 2) for i in range(11)),
    volatility_moves=("down", "unchanged", "up"),
    volatility_shock_up=0.45,
    volatility_shock_down=0.3,
    volatility_power_short=0.3,
    volatility_power_long=0.13,
    days_to_expiry_min=1.0,
    futures_gross_rate=0.006,
    option_gross_rate=0.002,
    initial_margin_factor=1.3,
    extended_price_shocks=(-0.5, 0.5),
    extended_fraction=1.0,
)


@dataclass(frozen=True, slots=True, eq=False)
class GridAccounts:
    """One market of a single underlying and what the accounts hold of it."""

    instruments: ScenarioInstruments
    holdings: Holdings
    buckets: Buckets


def make_grid_accounts(
    n_accounts: int = N_ACCOUNTS, n_positions: int = N_POSITIONS, seed: int = 5
) -> GridAccounts:
    """Return accounts of random positions: linear options, some futures and a perpetual."""
    rng = np.random.default_rng(seed)
    n = N_INSTRUMENTS
    kind = np.full(n, OPTION, dtype=np.int8)
    kind[:20], kind[0] = FUTURE, PERPETUAL
    is_option = kind == OPTION
    years = rng.choice(np.array([2, 9, 30, 60, 120, 240, 400]) / 365.0, n)
    forward = INDEX_PRICE * np.exp(0.05 * years)
    strike = forward * np.exp(rng.uniform(-0.6, 0.6, n))
    instruments = ScenarioInstruments(
        symbol=np.array([f"instrument-{i}" for i in range(n)], dtype=object),
        kind=kind,
        is_inverse=np.zeros(n, dtype=np.bool_),
        contract_multiplier=np.where(is_option, 1.0, 0.1),
        mark_price=np.where(kind == PERPETUAL, INDEX_PRICE, forward),
        years=np.where(kind == PERPETUAL, np.nan, years),
        is_call=rng.random(n) < 0.5,
        strike_price=np.where(is_option, strike, np.nan),
        forward_price=np.where(is_option, forward, np.nan),
        volatility=np.where(is_option, rng.uniform(0.4, 0.9, n), np.nan),
        risk_free_rate=np.where(is_option, 0.0, np.nan),
    )
    n_held = n_accounts * n_positions
    holdings = Holdings(
        bucket=np.repeat(np.arange(n_accounts), n_positions),
        instrument=rng.integers(0, n, n_held),
        quantity=np.round(rng.standard_normal(n_held) * 10.0, 1),
    )
    buckets = Buckets(
        index_price=np.full(n_accounts, INDEX_PRICE),
        is_inverse=np.zeros(n_accounts, dtype=np.bool_),
    )
    return GridAccounts(instruments, holdings, buckets)


def make_tiers(n_symbols: int = N_SYMBOLS) -> tuple[NotionalTiers, ...]:
    """Return tiers like those of a large venue: floors grow, rates double, leverage halves."""
    found = []
    for symbol in range(n_symbols):
        first = 5_000.0 * (1 + symbol % 20)
        floors = [0.0, *(first * 4.0**i for i in range(N_TIERS - 1))]
        rates = [min(0.004 * 1.6**i, 0.5) for i in range(N_TIERS)]
        tiers = tuple(
            Tier(notional_floor=floor, maintenance_margin_rate=rate, leverage_max=0.5 / rate)
            for floor, rate in zip(floors, rates, strict=True)
        )
        found.append(NotionalTiers(tiers=tiers))
    return tuple(found)


def make_tiered_positions(n: int = N_TIERED, seed: int = 6) -> TieredPositions:
    """Return positions over all symbols, of sizes that reach every tier."""
    rng = np.random.default_rng(seed)
    price = np.exp(rng.uniform(np.log(0.1), np.log(60_000.0), n))
    notional = np.exp(rng.uniform(np.log(100.0), np.log(1e9), n))
    return TieredPositions(
        symbol=rng.integers(0, N_SYMBOLS, n),
        quantity=rng.choice([-1.0, 1.0], n) * notional / price,
        mark_price=price,
        contract_multiplier=np.ones(n),
        is_inverse=np.zeros(n, dtype=np.bool_),
        leverage=np.full(n, np.nan),
        open_interest=np.full(n, np.nan),
    )

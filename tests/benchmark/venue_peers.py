"""The venue models in NumPy and SciPy, whole matrices at once, as one would first write them."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtr

from engine.margin.scenario_grid import OPTION
from engine.margin.tiered import NotionalTiers, TieredPositions
from tests.benchmark.venue_workload import GRID, INDEX_PRICE, GridAccounts


def unit_pnl(accounts: GridAccounts) -> np.ndarray:
    """Return what one contract of each instrument gains in each of the 35 cells."""
    market = accounts.instruments
    shocks = np.array([s for s in GRID.price_shocks for _ in range(3)])
    tails = np.array(GRID.extended_price_shocks)
    moves = np.array([*(("down", "unchanged", "up") * len(GRID.price_shocks)), "up", "up"])
    shock = np.concatenate([shocks, tails])
    weight = np.where(np.arange(len(shock)) < len(shocks), 1.0, 0.15 / np.abs(shock).clip(0.15))
    days = 365.0 * market.years
    power = np.where(days < 30.0, GRID.volatility_power_short, GRID.volatility_power_long)
    scale = (30.0 / np.maximum(days, GRID.days_to_expiry_min)) ** power
    up = market.volatility * (1.0 + GRID.volatility_shock_up * scale)
    down = np.maximum(market.volatility * (1.0 - GRID.volatility_shock_down * scale), 0.0)
    volatility = np.select(
        [moves == "down", moves == "up"],
        [down[:, None], up[:, None]],
        market.volatility[:, None],
    )
    option = market.kind == OPTION
    pnl = market.contract_multiplier[:, None] * market.mark_price[:, None] * shock * weight
    forward = market.forward_price[option, None]
    before = _values(accounts, option, forward, market.volatility[option, None])
    after = _values(accounts, option, forward * (1.0 + shock), volatility[option])
    pnl[option] = market.contract_multiplier[option, None] * (after - before) * weight
    return pnl


def _values(
    accounts: GridAccounts, option: np.ndarray, forward: np.ndarray, volatility: np.ndarray
) -> np.ndarray:
    market = accounts.instruments
    strike = market.strike_price[option, None]
    sign = np.where(market.is_call[option], 1.0, -1.0)[:, None]
    deviation = volatility * np.sqrt(market.years[option, None])
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    return sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))


def grid_margin(accounts: GridAccounts, pnl: np.ndarray) -> np.ndarray:
    """Return the initial margin of each account from ``pnl`` of one contract by cell."""
    held, n_accounts = accounts.holdings, len(accounts.buckets)
    shape = (n_accounts, len(accounts.instruments))
    book = csr_array((held.quantity, (held.bucket, held.instrument)), shape=shape)
    worst = np.maximum(-(book @ pnl).min(axis=1), 0.0)
    market = accounts.instruments
    rate = np.where(market.kind == OPTION, GRID.option_gross_rate, GRID.futures_gross_rate)
    charges = abs(book) @ (market.contract_multiplier * INDEX_PRICE * rate)
    return GRID.initial_margin_factor * (worst + charges)


def tier_matrix(tiers: tuple[NotionalTiers, ...]) -> tuple[np.ndarray, ...]:
    """Return floors, rates and largest leverages of all symbols, one row each."""
    return tuple(
        np.array([[getattr(tier, name) for tier in symbol.tiers] for symbol in tiers])
        for name in ("notional_floor", "maintenance_margin_rate", "leverage_max")
    )


def tiered_margins(
    positions: TieredPositions, matrix: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return maintenance and initial margin: every position against every tier of its symbol."""
    floors, rates, leverages = (part[positions.symbol] for part in matrix)
    notional = np.abs(positions.quantity) * positions.contract_multiplier * positions.mark_price
    ceilings = np.concatenate([floors[:, 1:], np.full((len(floors), 1), np.inf)], axis=1)
    inside = np.clip(np.minimum(notional[:, None], ceilings) - floors, 0.0, None)
    tier = np.maximum((notional[:, None] > floors).sum(axis=1) - 1, 0)
    leverage = leverages[np.arange(len(tier)), tier]
    return (inside * rates).sum(axis=1), notional / leverage

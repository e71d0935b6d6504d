"""Laws of the stress grid: it grows with the book and with every shock."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.assess import assess
from engine.margin.stress_grid import unit_stress_pnl
from engine.margin.stress_parameters import StressCells, StressGrid
from engine.rules import HouseParameters
from engine.scenarios.instruments import priced_instruments
from engine.scenarios.revaluation import PricedInstruments, Revaluation, revalue
from engine.scenarios.risk_factors import factor_moves
from engine.scenarios.scenario_set import scenario_set
from tests.worlds import small

ASSETS = ("BTC", "ETH", "NEW", "SOL", "USD", "USDC", "USDT")
HELD = ("binance:BTCUSDT", "deribit:BTC-PERPETUAL", "deribit:BTC-26JUN26-60000-C",
        "deribit:BTC-26JUN26-60000-P", "bybit:ETH-26JUN26-3000-C")  # fmt: skip
SHOCKS = st.lists(st.floats(-0.9, 2.0), min_size=1, max_size=6)


@cache
def market() -> tuple[PricedInstruments, Revaluation, HouseParameters]:
    house = small.rules().house
    snapshot = small.snapshot()
    rates = {"BTC": 60_000.0, "ETH": 3_000.0, "USD": 1.0, "USDT": 1.0, "USDC": 1.0}
    instruments = priced_instruments(snapshot, rates, house).instruments
    scenarios = scenario_set(factor_moves(snapshot, ASSETS, house), house)
    return instruments, revalue(instruments, scenarios, house), house


def worst_loss(cells: StressCells, weights: list[float]) -> float:
    instruments, worth, house = market()
    grid = StressGrid(binds=False, major=cells, minor=cells, pegged=cells)
    found = unit_stress_pnl(instruments, worth, house, grid)
    rows = [list(instruments.instrument_id).index(name) for name in HELD]
    of_book = (np.array(weights)[:, None] * found.unit_pnl[rows]).sum(axis=0)
    return max(0.0, -float(of_book.min()))


@given(SHOCKS, st.floats(-0.9, 2.0), st.lists(st.floats(-50.0, 50.0), min_size=5, max_size=5))
@settings(deadline=None)
def test_one_more_cell_never_lowers_the_loss(
    shocks: list[float], further: float, weights: list[float]
) -> None:
    fewer = StressCells(price_shocks=tuple(shocks))
    more = replace(fewer, price_shocks=(*fewer.price_shocks, further))
    assert worst_loss(more, weights) >= worst_loss(fewer, weights)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_sold_option_loses_more_the_higher_volatility_may_rise(one: float, other: float) -> None:
    low, high = sorted((one, other))
    moves = ("unchanged", "up")
    sold = [0.0, 0.0, -1.0, -1.0, -5.0]
    losses = [
        worst_loss(
            StressCells(price_shocks=(-0.2, 0.0, 0.2), volatility_moves=moves,
                        volatility_shock_up=rise),
            sold,
        )
        for rise in (low, high)
    ]  # fmt: skip
    assert losses[0] <= losses[1] * (1.0 + 1e-12)


@given(st.floats(0.01, 1e4), st.lists(st.floats(-50.0, 50.0), min_size=5, max_size=5))
@settings(deadline=None, max_examples=25)
def test_the_grid_of_a_book_scales_with_it_and_is_not_above_its_parts(
    factor: float, weights: list[float]
) -> None:
    weights = [round(weight, 3) or 1.0 for weight in weights]
    names = ("A", "B", *(f"P{i}" for i in range(len(HELD))))
    book = small.rules(*(small.agreement(name) for name in names))
    held = [("A", name, q) for name, q in zip(HELD, weights, strict=True)]
    held += [("B", name, factor * q) for name, q in zip(HELD, weights, strict=True)]
    held += [(f"P{i}", name, q) for i, (name, q) in enumerate(zip(HELD, weights, strict=True))]
    found = assess(small.snapshot(), small.position_set(*held), small.collateral_set(), book)
    grid = found.requirements.set_index("netting_set_id")["stress_grid_margin"]
    assert np.isclose(grid["B"], factor * grid["A"], rtol=1e-9, atol=1e-6)
    parts = sum(grid[f"P{i}"] for i in range(len(HELD)))
    assert grid["A"] <= parts * (1.0 + 1e-9)

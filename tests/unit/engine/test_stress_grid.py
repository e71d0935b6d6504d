"""The house's stress grid: its cells by hand, what it is for, and where it leaves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from engine.assess import assess
from engine.assessment import COMPONENT_COLUMNS, Assessment
from engine.errors import ParameterError
from engine.margin.stress_grid import CLASSES, cells_of, class_of
from engine.margin.stress_parameters import StressCells, StressGrid
from engine.market import prepare
from engine.rules import RuleBook
from engine.snapshot import LastFresh
from tests.worlds import small

PERP, INVERSE, ETH = "binance:BTCUSDT", "deribit:BTC-PERPETUAL", "binance:ETHUSDT"
SPOT, NEW, SOL = "binance:BTCUSDT-SPOT", "binance:NEWUSDT", "binance:SOLUSDT"
CALL, PUT = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-26JUN26-60000-P"
QUANTO, ETH_CALL = "okx:ETH-BTC-QUANTO", "bybit:ETH-26JUN26-3000-C"


def rules(**changes: object) -> RuleBook:
    """Return rules whose stress grid is changed; ``stress_grid=None`` takes it away."""
    book = small.rules(small.agreement("A"))
    if "stress_grid" in changes:
        return replace(book, house=replace(book.house, **changes))
    grid = book.house.stress_grid
    assert grid is not None
    return replace(book, house=replace(book.house, stress_grid=replace(grid, **changes)))


def margined(*held: tuple[str, float], book: RuleBook | None = None) -> Assessment:
    positions = small.position_set(*(("A", name, quantity) for name, quantity in held))
    return assess(small.snapshot(), positions, small.collateral_set(), book or rules())


def grid_of(book: RuleBook) -> StressGrid:
    assert book.house.stress_grid is not None
    return book.house.stress_grid


def row_of(found: Assessment) -> pd.Series:
    return found.requirements.iloc[0]


def black(is_call: bool, forward: float, strike: float, volatility: float, years: float) -> float:
    deviation = volatility * np.sqrt(years)
    d = np.log(forward / strike) / deviation + 0.5 * deviation
    sign = 1.0 if is_call else -1.0
    return float(sign * (forward * ndtr(sign * d) - strike * ndtr(sign * (d - deviation))))


@pytest.mark.parametrize(
    ("held", "loss", "shock"),
    [
        ((PERP, 2.0), 2.0 * 60_000.0 * 0.25, -0.25),
        ((PERP, -2.0), 2.0 * 60_000.0 * 0.25, 0.25),
        ((SPOT, 1.0), 60_000.0 * 0.25, -0.25),
        # 10 USD a contract: in dollars an inverse contract loses what a linear one does.
        ((INVERSE, 600.0), 6_000.0 * 0.25, -0.25),
        ((INVERSE, -600.0), 6_000.0 * 0.25, 0.25),
        ((SOL, 10.0), 1_500.0 * 0.40, -0.40),
        ((QUANTO, 100.0), 100.0 * 1e-6 * 3_000.0 * 60_000.0 * 0.25, -0.25),
    ],
)
def test_the_worst_cell_of_a_linear_book_is_the_end_of_the_grid(
    held: tuple[str, float], loss: float, shock: float
) -> None:
    found = margined(held)
    cell = found.stress_cells.iloc[0]
    price = row_of(found)["stress_grid_margin"]
    usdt = 1.0
    assert price == pytest.approx(loss * usdt, rel=1e-3)
    assert cell["loss"] == price
    assert (cell["price_shock"], cell["volatility_move"], cell["weight"]) == (
        shock, "unchanged", 1.0,
    )  # fmt: skip


def test_a_short_straddle_is_repriced_in_every_cell() -> None:
    """Straddle by the formula, in dollars: coins for its value, each worth the shocked index."""
    book = rules()
    found = margined((CALL, -3.0), (PUT, -3.0), book=book)
    market = prepare(small.snapshot(), book)
    marks = small.snapshot().marks.set_index("instrument_id")
    expiry = pd.Timestamp("2026-06-26T08:00Z")
    grid = grid_of(book).major
    worst = 0.0
    cells = cells_of(grid_of(book), "major")
    for cell in cells:
        pnl = 0.0
        for name, is_call in ((CALL, True), (PUT, False)):
            forward = float(marks.at[name, "forward_price"])
            volatility = float(marks.at[name, "mark_iv"])
            years = (expiry - small.OBSERVED).total_seconds() / (365.0 * 86_400.0)
            scale = (30.0 / (365.0 * years)) ** grid.volatility_power_long
            moved = {
                "unchanged": volatility,
                "down": volatility * (1.0 - grid.volatility_shock_down * scale),
                "up": max(volatility * (1.0 + grid.volatility_shock_up * scale), 0.50),
            }[cell.volatility_move]
            after = black(is_call, forward * (1.0 + cell.price_shock), 6e4, moved, years)
            before = black(is_call, forward, 6e4, volatility, years)
            pnl -= 3.0 * (after - before) * 60_000.0 / forward * cell.weight
        worst = max(worst, -pnl)
    assert row_of(found)["stress_grid_margin"] == pytest.approx(worst, rel=1e-9)
    assert worst > 0.2 * 3.0 * 60_000.0
    assert len(cells) == 11 * 3 + 8
    assert market.special.shape[1] == market.scenarios.n_stress + market.scenarios.n_gap + 41


def test_far_out_of_the_money_options_find_their_worst_in_the_tails() -> None:
    table = small.instruments()
    is_call = table["instrument_id"] == CALL
    table.loc[is_call, "strike"] = 150_000.0
    snapshot = small.snapshot(instruments=table)
    found = assess(snapshot, small.position_set(("A", CALL, -1.0)), small.collateral_set(), rules())
    cell = found.stress_cells.iloc[0]
    assert cell["price_shock"] >= 1.0
    assert cell["volatility_move"] == "up"
    assert cell["weight"] == pytest.approx(0.77 * 0.25 / cell["price_shock"])


def test_underlyings_combine_between_the_largest_and_their_sum() -> None:
    found = margined((PERP, 1.0), (ETH, -20.0), (SOL, 100.0))
    losses = found.stress_cells["loss"]
    assert found.stress_cells["underlying"].tolist() == ["BTC", "ETH", "SOL"]
    assert losses.max() < row_of(found)["stress_grid_margin"] < losses.sum()
    together = margined((PERP, 1.0), (ETH, 20.0))
    one, other = together.stress_cells["loss"]
    expected = np.sqrt(one**2 + other**2 + 2.0 * 0.8 * one * other)
    assert row_of(together)["stress_grid_margin"] == pytest.approx(expected)


def test_a_grid_that_does_not_bind_changes_no_bit_of_a_requirement() -> None:
    held = ((PERP, 2.0), (ETH, -30.0), (NEW, 1e5), (CALL, -3.0), (ETH_CALL, -10.0))
    beside = margined(*held)
    without = margined(*held, book=rules(stress_grid=None))
    assert beside.has_stress_grid and not without.has_stress_grid
    assert without.stress_cells.empty
    assert row_of(beside)["stress_grid_floor"] == 0.0
    shared = [name for name in without.requirements if name in beside.requirements]
    assert len(shared) == len(without.requirements.columns)
    pd.testing.assert_frame_equal(
        beside.requirements[shared], without.requirements, check_exact=True
    )
    pd.testing.assert_frame_equal(beside.contributions, without.contributions, check_exact=True)


def test_a_grid_that_binds_is_the_floor_of_core_and_tools() -> None:
    held = ((CALL, -3.0), (PUT, -3.0))
    beside, bound = row_of(margined(*held)), row_of(margined(*held, book=rules(binds=True)))
    core = beside["core_margin"] + beside["offset_margin"] + beside["anti_procyclicality"]
    grid = beside["stress_grid_margin"]
    assert grid > core
    assert bound["stress_grid_floor"] == pytest.approx(grid - core)
    raised = core + bound["stress_grid_floor"]
    assert raised == pytest.approx(grid)
    parts = sum(bound[name] for name in COMPONENT_COLUMNS)
    assert parts == pytest.approx(bound["requirement"])
    # What the floor covers is no gap any more, so it adds less than its own size.
    assert bound["gap_add_on"] <= beside["gap_add_on"]
    assert beside["requirement"] < bound["requirement"]
    assert bound["requirement"] - beside["requirement"] <= bound["stress_grid_floor"] + 1e-6


def test_a_floor_below_the_core_adds_nothing() -> None:
    mild = StressCells(price_shocks=(-0.01, 0.01))
    book = rules(binds=True, major=mild, minor=mild, pegged=mild)
    held = ((PERP, 2.0), (ETH, 10.0))
    found, plain = margined(*held, book=book), margined(*held)
    assert row_of(found)["stress_grid_floor"] == 0.0
    assert row_of(found)["requirement"] == row_of(plain)["requirement"]


def test_a_pegged_underlying_breaks_its_peg() -> None:
    table = small.instruments()
    is_spot = table["instrument_id"] == SPOT
    table.loc[is_spot, ["underlying", "quote_asset", "settlement_asset"]] = ["USDC", "USD", "USD"]
    marks = small.snapshot().marks
    marks.loc[marks["instrument_id"] == SPOT, "mark_price"] = 1.0
    snapshot = small.snapshot(instruments=table, marks=marks)
    found = assess(snapshot, small.position_set(("A", SPOT, 1e6)), small.collateral_set(), rules())
    cell = found.stress_cells.iloc[0]
    assert (cell["stress_class"], cell["price_shock"]) == ("pegged", -0.125)
    assert cell["loss"] == pytest.approx(125_000.0)


def test_a_book_without_positions_and_a_failed_one_have_no_cell() -> None:
    positions = small.position_set(("A", PERP, 1.0))
    lost = small.position_set(("A", "binance:GONE", 1.0))
    empty = assess(small.snapshot(), small.position_set(("A", PERP, 0.0)), small.collateral_set(),
                   rules(), LastFresh())  # fmt: skip
    failed = assess(small.snapshot(), lost, small.collateral_set(), rules())
    assert len(assess(small.snapshot(), positions, small.collateral_set(), rules()).stress_cells)
    assert empty.stress_cells.empty and row_of(empty)["stress_grid_margin"] == 0.0
    assert failed.stress_cells.empty and np.isnan(row_of(failed)["stress_grid_margin"])


def test_an_absurd_mark_holds_its_owner_and_nobody_else() -> None:
    marks = small.snapshot().marks
    marks.loc[marks["instrument_id"] == SOL, "mark_price"] = 1e250
    book = small.rules(small.agreement("A"), small.agreement("B"))
    positions = small.position_set(("A", SOL, 1.0), ("B", PERP, 1.0))
    found = assess(small.snapshot(marks=marks), positions, small.collateral_set(), book)
    rows = found.requirements.set_index("netting_set_id")
    assert rows.at["A", "status"] == "failed"
    assert "too large" in rows.at["A", "reason"]
    assert rows.at["B", "status"] == "assessed"


def test_every_class_has_its_cells_and_every_asset_its_class() -> None:
    book = rules()
    assert [class_of(name, book.house) for name in ("BTC", "SOL", "USDT")] == list(CLASSES)
    assert all(cells_of(grid_of(book), name) for name in CLASSES)


def test_cells_that_no_grid_could_have_are_refused() -> None:
    with pytest.raises(ParameterError, match="extended_fraction"):
        StressCells(price_shocks=(-0.1, 0.1), extended_price_shocks=(0.5,))

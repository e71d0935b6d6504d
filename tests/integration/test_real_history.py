"""Closes on real market history: crash days, and real option chains revalued to their marks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from engine.assess import assess, prepare
from engine.assessment import COMPONENT_COLUMNS
from tests.worlds.real import real_close

CHAIN_DATE = date(2026, 2, 5)
CRASHES = (
    date(2020, 3, 12),
    date(2021, 5, 19),
    date(2022, 11, 9),
    date(2023, 3, 11),
    date(2024, 8, 5),
    date(2025, 10, 10),
)


def require_sound(folder: Path, business_date: date, n_netting_sets: int) -> None:
    close = real_close(folder, business_date, n_netting_sets)
    found = assess(close.snapshot, close.positions, close.collateral, close.rules)
    rows = found.requirements
    assert len(rows) == n_netting_sets
    assert set(rows["status"]) == {"assessed"}
    assert np.isfinite(rows["requirement"]).all()
    assert (rows["requirement"] > 0.0).all()
    parts = rows[list(COMPONENT_COLUMNS)].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(rows["requirement"].to_numpy(), rel=1e-12)


def test_a_crash_day_is_margined_whole(real_data: Path) -> None:
    require_sound(real_data, date(2022, 11, 9), 25)


@pytest.mark.slow
@pytest.mark.parametrize("business_date", CRASHES)
def test_every_named_crash_day_is_margined_whole(real_data: Path, business_date: date) -> None:
    require_sound(real_data, business_date, 100)


def test_book_on_real_option_chains_is_revalued_to_their_marks(real_data: Path) -> None:
    close = real_close(real_data, CHAIN_DATE, 40)
    market = prepare(close.snapshot, close.rules)
    table = close.snapshot.instruments.merge(close.snapshot.marks, on="instrument_id")
    options = table[table["kind"] == "option"]
    assert len(options) > 1_000
    index = close.snapshot.index_prices.set_index("asset")["index_price"]
    row = np.searchsorted(market.instrument_id, options["instrument_id"].to_numpy(dtype=object))
    # The mark is in coin per coin of underlying; the engine's value is in USD by its own formula.
    coins = market.unit_value[row] / options["underlying"].map(index).to_numpy()
    error = np.abs(coins / options["contract_multiplier"].to_numpy() - options["mark_price"])
    # A chain takes seconds to collect, so a mark and its forward are not of one instant: half the
    # venue's tick of 0.0001 coin in the middle, 0.002 coin being the source's bound of outliers.
    assert np.median(error) < 5e-5
    assert (error < 0.002).mean() > 0.995


def test_requirement_of_a_chain_book_explains_itself(real_data: Path) -> None:
    close = real_close(real_data, CHAIN_DATE, 40)
    found = assess(close.snapshot, close.positions, close.collateral, close.rules)
    held = found.contributions.merge(close.snapshot.instruments, on="instrument_id")
    assert (held["kind"] == "option").sum() > 100
    summed = found.contributions.groupby("netting_set_id")["contribution"].sum()
    required = found.requirements.set_index("netting_set_id")["requirement"]
    assert summed.to_numpy() == pytest.approx(required[summed.index].to_numpy(), rel=1e-8)

"""What of an assessment is kept: the stress grid's frame where the rules have one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from engine.assess import assess
from engine.assessment import STRESS_FRAME, Assessment
from infra.store import open_store
from tasks.assessments import read_assessment, write_assessment
from tests.worlds import small


def assessed(*, has_grid: bool) -> Assessment:
    book = small.rules(small.agreement("A"))
    if not has_grid:
        book = replace(book, house=replace(book.house, stress_grid=None))
    held = small.position_set(("A", "binance:BTCUSDT", 1.0))
    return assess(small.snapshot(), held, small.collateral_set(), book)


@pytest.mark.parametrize("has_grid", [True, False])
def test_a_stress_grid_is_kept_where_the_rules_have_one(tmp_path: Path, has_grid: bool) -> None:
    store = open_store(tmp_path.as_uri())
    found = assessed(has_grid=has_grid)
    hashes = write_assessment(store, "eod-2026-03-10-1", found)
    assert (STRESS_FRAME in hashes) is has_grid
    again = read_assessment(store, "eod-2026-03-10-1", hashes)
    assert again.has_stress_grid is has_grid
    assert again.stress_cells.empty is not has_grid
    pd.testing.assert_frame_equal(again.stress_cells, found.stress_cells)

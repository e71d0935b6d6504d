"""A rerun says exactly what it changed."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from tasks.differences import difference_frame


def requirements(*rows: tuple[str, str, str | None, str, str]) -> pd.DataFrame:
    columns = ("netting_set_id", "status", "requirement_amount", "collateral_amount", "call_amount")
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    for name in columns[2:]:
        frame[name] = [None if value is None else Decimal(value) for value in frame[name]]
    return frame


def test_amounts_that_moved_have_their_exact_difference() -> None:
    before = requirements(("A", "assessed", "10.10", "5.00", "5.10"))
    after = requirements(("A", "assessed", "10.30", "5.00", "5.30"))
    found = difference_frame(before, after)
    assert found is not None
    assert found.at[0, "requirement_amount_difference"] == Decimal("0.20")
    assert found.at[0, "collateral_amount_difference"] == Decimal("0.00")
    assert bool(found.at[0, "is_changed"])


def test_equal_sequences_differ_in_nothing() -> None:
    rows = requirements(("A", "assessed", "1.0", "2", "0"), ("B", "failed", None, "2", "0"))
    found = difference_frame(rows, rows)
    assert found is not None
    assert not found["is_changed"].any()


def test_netting_sets_that_came_went_or_failed_are_changes_without_a_difference() -> None:
    before = requirements(("A", "assessed", "1", "1", "0"), ("B", "assessed", "1", "1", "0"))
    after = requirements(("B", "failed", None, "1", "0"), ("C", "assessed", "1", "1", "0"))
    found = difference_frame(before, after)
    assert found is not None
    rows = found.set_index("netting_set_id")
    assert list(rows.index) == ["A", "B", "C"]
    assert rows["is_changed"].all()
    assert rows.at["A", "status"] == "absent"
    assert rows.at["C", "status_before"] == "absent"
    assert rows["requirement_amount_difference"].isna().all()


def test_a_sequence_that_never_came_to_requirements_has_no_difference() -> None:
    rows = requirements(("A", "assessed", "1", "1", "0"))
    assert difference_frame(None, rows) is None

"""On any dirty frame the Great Expectations suite and the masks keep the same rows out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.contract import Contract, Kind
from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from tests.unit.data_contracts.samples import BUSINESS_DATE, DATASETS, sample

SET_ASIDE = {"repeated", "last_of_day", "other_dates"}
DIRTY_TEXT = (
    None, "", " 1 ", "1,000", "abc", "1e400", "NaN", "inf", "١٢", "0", "-1", "1e300", "-0", "1.5",
    "2026-11-20", "2026-11-19", "2026-11-20T10:00:00", "2026-11-20T23:00:00+01:00", "option",
    "spot", "inverse", "BTC", "USD", "oms", "true", "1", "x" * 97, "<b>", "a b",
)  # fmt: skip
DIRTY_TYPED: dict[Kind, tuple[object, ...]] = {
    Kind.NUMBER: (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e13, 1e300, 1.0),
    Kind.IDENTIFIER: (None, "", "BTC", "option", "a b"),
    Kind.TEXT: (None, "", " x"),
    Kind.DATE: (pd.NaT, pd.Timestamp("2026-11-19"), pd.Timestamp("2026-11-20T01:00")),
    Kind.INSTANT: (pd.NaT, pd.Timestamp("2026-11-19T05:00Z"), pd.Timestamp("2030-01-01T00:00Z")),
    Kind.FLAG: (True, False),
}
SETTINGS = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _hold_equal(definition: Contract, frame: pd.DataFrame) -> None:
    # validate itself raises VerdictsDiffer if the suite and the masks disagree on any rule.
    by_suite = validate(definition, frame, BUSINESS_DATE, Judge.GREAT_EXPECTATIONS)
    by_masks = validate(definition, frame, BUSINESS_DATE, Judge.MASKS)
    pd.testing.assert_frame_equal(by_suite.accepted, by_masks.accepted)
    pd.testing.assert_frame_equal(by_suite.quarantined, by_masks.quarantined)
    rows = [check for check in by_suite.checks if check.kind == "row"]
    assert rows == [check for check in by_masks.checks if check.kind == "row"]
    assert by_suite.refusal == by_masks.refusal
    aside = sum(check.n_failed for check in by_masks.checks if check.rule in SET_ASIDE)
    assert len(by_masks.accepted) + len(by_masks.quarantined) + aside == len(frame)
    assert not by_masks.accepted.duplicated(list(definition.key)).any()
    for column in definition.columns:
        if column.kind is Kind.NUMBER:
            assert np.isfinite(by_masks.accepted[column.name].dropna()).all()


@pytest.mark.parametrize("dataset", DATASETS)
@SETTINGS
@given(data=st.data())
def test_suite_and_masks_agree_on_dirty_text(dataset: str, data: st.DataObject) -> None:
    frame = sample(dataset)
    rows = data.draw(st.lists(st.integers(0, len(frame) - 1), min_size=1, max_size=30))
    dirty = frame.iloc[rows].reset_index(drop=True)
    cells = st.tuples(
        st.integers(0, len(dirty) - 1),
        st.sampled_from(list(dirty.columns)),
        st.sampled_from(DIRTY_TEXT),
    )
    for row, column, value in data.draw(st.lists(cells, max_size=25)):
        dirty.loc[row, column] = value
    _hold_equal(contract(dataset), dirty)


@pytest.mark.parametrize("dataset", DATASETS)
@SETTINGS
@given(data=st.data())
def test_suite_and_masks_agree_on_dirty_typed_columns(dataset: str, data: st.DataObject) -> None:
    definition = contract(dataset)
    frame = validate(definition, sample(dataset), BUSINESS_DATE, Judge.MASKS).accepted
    rows = data.draw(st.lists(st.integers(0, len(frame) - 1), min_size=1, max_size=30))
    dirty = frame.iloc[rows].reset_index(drop=True)
    for _ in range(data.draw(st.integers(0, 15))):
        column = data.draw(st.sampled_from(definition.columns))
        row = data.draw(st.integers(0, len(dirty) - 1))
        dirty.loc[row, column.name] = data.draw(st.sampled_from(DIRTY_TYPED[column.kind]))
    _hold_equal(definition, dirty)


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_empty_frame_is_judged_like_any_other(dataset: str) -> None:
    _hold_equal(contract(dataset), sample(dataset).iloc[:0])


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_frame_of_empty_cells_is_quarantined_whole(dataset: str) -> None:
    frame = sample(dataset)
    blank = pd.DataFrame({name: pd.Series([None] * 3, dtype="str") for name in frame.columns})
    _hold_equal(contract(dataset), blank)
    assert len(validate(contract(dataset), blank, None, Judge.MASKS).quarantined) == 3

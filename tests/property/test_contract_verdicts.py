"""On any dirty frame the Great Expectations suite and the masks keep the same rows out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.contract import Contract, Kind, NotAbove, Timely, Within
from data_contracts.registry import contract
from data_contracts.rules import rules_of
from data_contracts.validation import Judge, validate
from tests.examples import examples
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
    max_examples=examples(2, of=12),
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
def test_suite_and_masks_agree_on_values_at_and_beside_their_limits(dataset: str) -> None:
    definition = contract(dataset)
    frame = validate(definition, sample(dataset), BUSINESS_DATE, Judge.MASKS).accepted
    edges = []
    for rule in rules_of(definition, BUSINESS_DATE):
        match rule:
            case Within(column):
                limits = (rule.above, rule.at_least, rule.at_most, rule.below)
                near = [
                    np.nextafter(float(x), float(x) + 1e30 * d)
                    for x in limits
                    if x is not None
                    for d in (-1, 0, 1)
                ]
                edges += [frame.iloc[[0]].assign(**{column: value}) for value in near]
            case NotAbove(column, other):
                both = frame[frame[other].notna()].iloc[[0]]
                edges.append(both.assign(**{column: both[other]}))
            case Timely(column, last):
                near = [pd.Timestamp(last) + pd.Timedelta(step, "ms") for step in (-1, 0, 1)]
                edges += [frame.iloc[[0]].assign(**{column: value}) for value in near]
    if edges:
        rows = pd.concat(edges, ignore_index=True).astype(frame.dtypes.to_dict())
        name = definition.identifier
        rows[name] = pd.Series([f"{x}{i}" for i, x in enumerate(rows[name])], dtype="str")
        _hold_equal(definition, rows)


def test_a_bar_without_movement_is_good_and_an_unordered_one_by_a_hair_is_not() -> None:
    flat = pd.DataFrame(
        {"date": ["2026-11-20"] * 2, "asset": ["A", "B"], "open": [2.0, 2.0], "high": [2.0, 2.0],
         "low": [2.0, np.nextafter(2.0, 3.0)], "close": [2.0, 2.0]}
    )  # fmt: skip
    outcome = validate(contract("price_history"), flat, BUSINESS_DATE)
    assert outcome.accepted["asset"].tolist() == ["A"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_empty_frame_is_judged_like_any_other(dataset: str) -> None:
    _hold_equal(contract(dataset), sample(dataset).iloc[:0])


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_frame_of_empty_cells_is_quarantined_whole(dataset: str) -> None:
    frame = sample(dataset)
    blank = pd.DataFrame({name: pd.Series([None] * 3, dtype="str") for name in frame.columns})
    _hold_equal(contract(dataset), blank)
    assert len(validate(contract(dataset), blank, None, Judge.MASKS).quarantined) == 3

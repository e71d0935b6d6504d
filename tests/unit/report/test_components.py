"""The parts of a requirement add up to it, in its own currency and in the reporting one."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.assessment import COMPONENT_COLUMNS
from engine.errors import InvariantBroken
from engine.money import Rounding, to_money
from infra.report.amounts import total
from infra.report.components import PART_COLUMNS, exact_parts, reported_parts
from infra.report.reporting import reporting_currency


def requirements(values: list[float], decimals: int = 2, off: str = "0") -> pd.DataFrame:
    amount = to_money(sum(values), "USD", decimals, Rounding.REQUIREMENT).amount + Decimal(off)
    return pd.DataFrame(
        {
            "netting_set_id": ["A"],
            "requirement_amount": pd.Series([amount], dtype="object"),
            **{column: [value] for column, value in zip(PART_COLUMNS, values, strict=True)},
        }
    )


def test_every_component_of_the_engine_has_a_name_here() -> None:
    assert PART_COLUMNS == COMPONENT_COLUMNS


@given(st.lists(st.floats(0.0, 1e9), min_size=8, max_size=8), st.sampled_from([2, 8]))
def test_parts_sum_to_the_requirement_exactly(values: list[float], decimals: int) -> None:
    frame = requirements(values, decimals)
    assert total(exact_parts(frame).iloc[0]) == frame["requirement_amount"].iat[0]


@given(st.lists(st.floats(0.0, 1e9), min_size=8, max_size=8), st.floats(0.01, 1e5))
def test_converted_parts_sum_to_the_converted_requirement(values: list[float], rate: float) -> None:
    frame = requirements(values, 8)
    reporting = reporting_currency(["BTC", "USD"], {"BTC": rate})
    parts = reported_parts(exact_parts(frame), ["BTC"], reporting)
    assert total(parts.iloc[0]) == reporting.convert(frame["requirement_amount"].iat[0], "BTC")


def test_a_failed_netting_set_has_no_parts() -> None:
    frame = requirements([1.0] * 8).assign(requirement_amount=None)
    assert exact_parts(frame).iloc[0].isna().all()


def test_parts_that_do_not_add_up_stop_the_report() -> None:
    with pytest.raises(InvariantBroken, match="netting set A"):
        exact_parts(requirements([1_000.0] * 8, off="1"))

"""Regulatory building blocks: schedule, offset cap, anti-procyclicality, risk measures."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.margin.anti_procyclicality import (
    buffered_margin,
    floored_margin,
    stress_weighted_margin,
)
from engine.margin.conditional_variance import VarianceModel, conditional_variance
from engine.margin.offsets import capped_offsets, portfolio_offset_cap
from engine.margin.schedule import ScheduleTrade, schedule_margin, years_between
from engine.margin.value_at_risk import value_at_risk


def trade(
    trade_id: str, notional: float, value: float, maturity: str = "2024-06-30"
) -> ScheduleTrade:
    return ScheduleTrade(
        trade_id=trade_id,
        asset_class="rates",
        notional=notional,
        mark_to_market=value,
        maturity_date=date.fromisoformat(maturity),
    )


def test_rows_of_one_trade_are_netted_before_anything_else() -> None:
    found = schedule_margin(
        [trade("T", 100.0, 5.0), trade("T", -100.0, -5.0)],
        valuation_date=date(2020, 12, 28),
        direction="collect",
    )
    assert (found.gross_margin, found.net_to_gross_ratio) == (0.0, 1.0)


def test_rows_of_one_trade_in_different_cells_are_refused() -> None:
    rows = [trade("T", 100.0, 0.0), trade("T", 100.0, 0.0, "2034-06-30")]
    with pytest.raises(ModelInputError, match="'T' fall in different schedule cells"):
        schedule_margin(rows, valuation_date=date(2020, 12, 28), direction="collect")


def test_poster_sees_values_with_the_opposite_sign() -> None:
    rows = [trade("A", 100.0, 30.0), trade("B", 100.0, -10.0)]
    collect, post = (
        schedule_margin(rows, valuation_date=date(2020, 12, 28), direction=side)
        for side in ("collect", "post")
    )
    assert collect.net_to_gross_ratio == pytest.approx(20 / 30)
    assert (post.net_to_gross_ratio, post.gross_replacement_cost) == (0.0, 10.0)


def test_two_calendar_halves_make_exactly_a_year() -> None:
    assert years_between(date(2021, 3, 9), date(2022, 3, 9)) == 1
    assert years_between(date(2020, 7, 1), date(2021, 7, 1)) == Fraction(184, 366) + Fraction(
        181, 365
    )


def test_matured_trade_falls_in_the_shortest_bucket() -> None:
    found = schedule_margin(
        [trade("T", 100.0, 0.0, "2019-01-01")],
        valuation_date=date(2020, 12, 28),
        direction="collect",
    )
    assert found.trade_rates == (0.01,)


def test_full_offset_cap_grants_the_netted_margin() -> None:
    assert portfolio_offset_cap([7.0, 3.0], 4.0, offset_cap=1.0).initial_margin == 4.0


def test_binary_noise_is_no_netted_margin_above_the_sum() -> None:
    assert portfolio_offset_cap([0.7, 0.1], 0.8).margin_reduction == 0.0


def test_netted_margin_above_the_sum_is_refused() -> None:
    with pytest.raises(ModelInputError, match="exceeds the sum"):
        capped_offsets(np.array([10.0, 10.0]), np.array([5.0, 11.0]), offset_cap=0.8)


def test_arrays_give_what_single_margins_give() -> None:
    base, other = np.array([100.0, 50.0]), np.array([180.0, 10.0])
    assert buffered_margin(base).tolist() == [125.0, 62.5]
    assert stress_weighted_margin(base, other).tolist() == [120.0, 50.0]
    assert floored_margin(base, other).tolist() == [180.0, 50.0]


def test_stress_never_lowers_the_margin() -> None:
    assert stress_weighted_margin(100.0, 0.0) == 100.0


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_stress_weight_outside_its_limits_is_refused(weight: float) -> None:
    with pytest.raises(ModelInputError, match="stress_weight"):
        stress_weighted_margin(1.0, 1.0, stress_weight=weight)


def test_tail_of_a_tenth_of_ten_outcomes_is_one() -> None:
    pnl = np.array([float(i) for i in range(10)])
    assert value_at_risk(pnl, confidence=0.9).value_at_risk == 0.0


def test_ties_at_the_quantile_belong_to_the_tail() -> None:
    found = value_at_risk(np.array([-4.0, -2.0, -2.0, 1.0]), confidence=0.5)
    assert found.expected_shortfall == pytest.approx(8 / 3)


def test_tail_never_has_less_than_one_outcome() -> None:
    assert value_at_risk(np.array([-4.0, 3.0]), confidence=0.999).value_at_risk == 4.0


def test_weighting_forecasts_a_flat_line() -> None:
    found = conditional_variance([0.01, -0.02, 0.03], VarianceModel.ewma(0.94), horizon=3)
    assert found.variance_forecasts[0] == found.variance_forecasts[2]


def test_variance_that_starts_at_nothing_is_refused() -> None:
    with pytest.raises(ModelInputError, match="variance is 0"):
        conditional_variance([0.0] * 80 + [1.0], VarianceModel.ewma(0.94))


def test_horizon_has_a_bound() -> None:
    with pytest.raises(ModelInputError, match="horizon is 100001"):
        conditional_variance([0.1, 0.2], VarianceModel.ewma(0.94), horizon=100_001)

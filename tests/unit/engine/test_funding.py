"""Funding of one perpetual."""

from __future__ import annotations

import pytest

from engine.errors import ModelInputError
from engine.settlement.funding import (
    FundingSettlement,
    PriceObservation,
    TwapFunding,
    funding_by_average,
    funding_by_rate,
    time_weighted_average,
)
from engine.settlement.position import PositionTerms


def average(*prices: tuple[float, float], start: float = 0.0, end: float = 10.0) -> float:
    return time_weighted_average(
        [PriceObservation(*each) for each in prices],
        period_start_seconds=start,
        period_end_seconds=end,
    )


def test_average_weighs_each_price_by_how_long_it_held() -> None:
    assert average((0.0, 10.0), (4.0, 20.0)) == pytest.approx(16.0)


def test_order_of_observations_does_not_matter() -> None:
    assert average((4.0, 20.0), (0.0, 10.0)) == pytest.approx(16.0)


def test_price_from_before_the_period_holds_from_its_start() -> None:
    assert average((-100.0, 10.0), (5.0, 30.0)) == pytest.approx(20.0)


def test_average_without_an_earlier_price_runs_from_the_first_one() -> None:
    assert average((6.0, 10.0), (8.0, 20.0)) == pytest.approx(15.0)


def test_later_prices_are_ignored() -> None:
    assert average((0.0, 10.0), (11.0, 99.0)) == 10.0


def test_average_over_no_time_is_the_latest_price() -> None:
    assert average((-2.0, 10.0), (-1.0, 12.0), start=0.0, end=0.0) == 12.0


def test_average_of_no_known_price_is_refused() -> None:
    with pytest.raises(ModelInputError, match="no price is known"):
        average((20.0, 1.0))


def test_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ModelInputError, match="before its start"):
        average((0.0, 1.0), start=5.0, end=4.0)


def test_interest_is_absent_while_clamps_are_zero() -> None:
    found = funding_by_average(101.0, 100.0, TwapFunding(interest_rate=0.5, year_fraction=1.0))
    assert (found.funding_payment_per_unit, found.funding_rate) == (1.0, 0.01)


def test_bound_of_the_rate_sets_the_payment() -> None:
    found = funding_by_average(150.0, 100.0, TwapFunding(funding_rate_max=0.1))
    assert (found.funding_payment_per_unit, found.funding_rate) == (10.0, 0.1)


def test_rate_is_reported_before_the_payment_is_truncated() -> None:
    found = funding_by_average(101.7, 100.0, TwapFunding(price_tick=1.0))
    assert found.funding_payment_per_unit == 1.0
    assert found.funding_rate == pytest.approx(0.017)


@pytest.mark.parametrize(
    "crossed",
    [
        TwapFunding(clamp_lower=0.1, clamp_upper=0.0),
        TwapFunding(funding_rate_min=0.1, funding_rate_max=0.0),
    ],
)
def test_bounds_that_cross_are_refused(crossed: TwapFunding) -> None:
    with pytest.raises(ModelInputError, match="is above upper"):
        funding_by_average(100.0, 100.0, crossed)


def test_inverse_funding_is_paid_in_coin() -> None:
    terms = PositionTerms("inverse", 100.0)
    received = funding_by_rate(5.0, [FundingSettlement(50_000.0, 0.001)], terms)
    assert received == pytest.approx(-5.0 * 100.0 / 50_000.0 * 0.001)

"""Expiries, strikes and smiles of the sample world."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from engine.errors import ModelInputError, ParameterError
from infra.simulator.world.expiries import (
    BINANCE_FUTURES,
    DERIBIT_OPTIONS,
    listed_expiries,
    tradable_expiries,
)
from infra.simulator.world.parameters import WorldParameters
from infra.simulator.world.smiles import Smile
from infra.simulator.world.strikes import round_step, strike_grid

FRIDAY = 4


def test_deribit_lists_the_expiries_of_its_policy() -> None:
    # Seen on Deribit on Saturday 2026-08-22: the same Fridays, month ends and quarters.
    listed = listed_expiries(date(2026, 8, 22), DERIBIT_OPTIONS)
    assert listed == (
        date(2026, 8, 23), date(2026, 8, 24), date(2026, 8, 25), date(2026, 8, 28),
        date(2026, 9, 4), date(2026, 9, 11), date(2026, 9, 25), date(2026, 10, 30),
        date(2026, 12, 25), date(2027, 3, 26), date(2027, 6, 25),
    )  # fmt: skip


def test_a_contract_trades_on_the_day_on_which_it_expires_and_not_after() -> None:
    friday = date(2026, 11, 20)
    assert friday in tradable_expiries(friday, DERIBIT_OPTIONS)
    assert friday not in tradable_expiries(date(2026, 11, 21), DERIBIT_OPTIONS)
    assert friday not in listed_expiries(friday, DERIBIT_OPTIONS)


def test_quarterly_futures_expire_on_the_last_friday_of_a_quarter() -> None:
    listed = listed_expiries(date(2026, 12, 24), BINANCE_FUTURES)
    assert listed == (date(2026, 12, 25), date(2027, 3, 26))
    assert listed_expiries(date(2026, 12, 25), BINANCE_FUTURES) == (
        date(2027, 3, 26),
        date(2027, 6, 25),
    )
    assert all(day.weekday() == FRIDAY and day.month % 3 == 0 for day in listed)


def test_year_end_does_not_lose_an_expiry() -> None:
    listed = listed_expiries(date(2026, 12, 31), DERIBIT_OPTIONS)
    assert date(2027, 1, 29) in listed
    assert min(listed) == date(2027, 1, 1)


@pytest.mark.parametrize(
    ("step", "expected"), [(0.9, 1.0), (765.0, 1000.0), (0.0213, 0.02), (2.6, 2.0), (8.0, 10.0)]
)
def test_strike_steps_are_round_numbers(step: float, expected: float) -> None:
    assert round_step(step) == expected


def test_strikes_reach_both_wings_and_are_denser_at_the_money() -> None:
    forward, volatility, years = 90_000.0, 0.5, 30.0 / 365.0
    strikes = np.array(strike_grid(forward, volatility, years, 2.0))
    reach = 2.0 * volatility * math.sqrt(years)
    assert strikes.min() == pytest.approx(forward * math.exp(-reach), rel=0.06)
    assert strikes.max() == pytest.approx(forward * math.exp(reach), rel=0.06)
    gaps = np.diff(strikes)
    assert gaps[len(gaps) // 2] < gaps[0]
    assert (strikes % 1_000.0 == 0.0).all()


def test_a_smile_that_allows_negative_butterflies_is_refused() -> None:
    with pytest.raises(ModelInputError, match="limit 0 to 2"):
        Smile(volatility_30d=0.5, volatility_long_run=0.5, skew=-0.5, curvature=1.5)


def test_a_smile_meets_its_volatility_at_thirty_days() -> None:
    smile = Smile(volatility_30d=0.7, volatility_long_run=0.5, skew=-0.2, curvature=0.7)
    years = np.array([30.0 / 365.0])
    assert np.sqrt(smile.at_the_money_variance(years) / years) == pytest.approx(0.7, abs=1e-12)


@pytest.mark.parametrize(
    ("volatility", "skew", "curvature", "reversal", "butterfly"),
    # Medians of Deribit's chains of 2025-12 to 2026-08 at 15 to 60 days, in volatility points.
    [(0.395, -0.30, 0.68, -0.054, 0.0083), (0.55, -0.17, 0.71, -0.040, 0.0134)],
)
def test_the_smile_has_the_skew_and_curvature_that_deribit_had(
    volatility: float, skew: float, curvature: float, reversal: float, butterfly: float
) -> None:
    smile = Smile(volatility, volatility, skew, curvature)
    years = 30.0 / 365.0
    # A quarter delta lies 0.674 standard deviations out, up to half a variance.
    deviation = volatility * math.sqrt(years)
    at = np.array([-0.674, 0.674, 0.0]) * deviation + 0.5 * deviation**2
    at[2] = 0.0
    put, call, middle = smile.implied_volatility(np.exp(at), np.ones(3), np.full(3, years))
    assert call - put == pytest.approx(reversal, abs=0.012)
    assert 0.5 * (call + put) - middle == pytest.approx(butterfly, abs=0.006)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_netting_sets", 0), ("n_underlyings", 13), ("history_days", 200), ("break_share", 0.9)],
)
def test_parameters_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"{name} is {value}, limit"):
        WorldParameters(**{name: value})

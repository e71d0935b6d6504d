"""Rises, swings, calls and regimes of a requirement over time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest.panel import trailing_volatility
from engine.backtest.procyclicality import calls_made, procyclicality
from engine.backtest.regimes import WARM_UP_DAYS, is_turbulent
from engine.errors import ModelInputError

REQUIREMENTS = st.lists(st.floats(1.0, 1e6), min_size=25, max_size=120).map(np.array)


def test_a_step_shows_in_every_rise() -> None:
    requirement = np.concatenate([np.full(40, 100.0), np.full(40, 150.0)])
    found = procyclicality(requirement)
    assert found.peak_to_trough == pytest.approx(1.5)
    assert found.largest_rise == pytest.approx((0.5, 0.5, 0.5))


def test_deviation_is_that_of_log_changes() -> None:
    requirement = np.exp(np.random.default_rng(3).standard_normal(300).cumsum() * 0.01)
    logs = np.log(requirement)
    by_hand = [float(np.std([logs[i + n] - logs[i] for i in range(300 - n)])) for n in (1, 5, 20)]
    assert procyclicality(requirement).deviation == pytest.approx(by_hand, rel=1e-9)


@given(requirement=REQUIREMENTS, scale=st.floats(0.01, 100.0))
def test_measures_do_not_depend_on_the_unit(requirement: np.ndarray, scale: float) -> None:
    found, scaled = procyclicality(requirement), procyclicality(scale * requirement)
    assert scaled.peak_to_trough == pytest.approx(found.peak_to_trough, rel=1e-9)
    assert scaled.largest_rise == pytest.approx(found.largest_rise, rel=1e-9, abs=1e-12)


@given(requirement=REQUIREMENTS)
def test_without_a_minimum_every_rise_is_called_and_every_fall_returned(
    requirement: np.ndarray,
) -> None:
    found = calls_made(requirement, minimum_transfer=0.0)
    change = np.diff(requirement)
    assert found.n_calls == int((change > 0).sum())
    assert found.n_returns == int((change < 0).sum())
    assert found.called * requirement.mean() == pytest.approx(change[change > 0].sum(), rel=1e-9)


@given(requirement=REQUIREMENTS, minimum=st.floats(0.001, 0.5))
def test_no_transfer_is_below_the_minimum(requirement: np.ndarray, minimum: float) -> None:
    found = calls_made(requirement, minimum_transfer=minimum)
    assert found.n_calls == 0 or found.largest_call >= minimum * (1.0 - 1e-12)
    assert found.called <= found.n_calls * found.largest_call + 1e-9


def test_small_moves_add_up_to_one_call() -> None:
    requirement = np.array([100.0, 101.0, 102.0, 103.0, 104.0])
    found = calls_made(requirement, minimum_transfer=0.025)
    assert (found.n_calls, found.n_returns) == (1, 0)


def test_requirements_that_are_no_margin_are_refused() -> None:
    with pytest.raises(ModelInputError, match="above 0"):
        procyclicality(np.zeros(30))
    with pytest.raises(ModelInputError, match="limit >= 22"):
        procyclicality(np.ones(21))


def test_trailing_volatility_is_the_root_mean_square_of_the_window() -> None:
    returns = np.random.default_rng(1).standard_normal(100)
    returns[10:13] = np.nan
    found = trailing_volatility(returns, 30)
    window = returns[20:50]
    assert found[49] == pytest.approx(np.sqrt(np.mean(window**2)))
    assert np.isnan(found[13])
    seen = returns[12:42][np.isfinite(returns[12:42])]
    assert found[41] == pytest.approx(np.sqrt(np.mean(seen**2)))


def test_turbulence_is_known_at_the_time() -> None:
    values = np.random.default_rng(2).lognormal(size=900)
    whole = is_turbulent(values)
    for end in (400, 555, 812):
        assert is_turbulent(values[:end]).tolist() == whole[:end].tolist()


def test_turbulence_is_above_the_quantile_of_the_past() -> None:
    values = np.random.default_rng(6).lognormal(size=600)
    values[450] = np.nan
    found = is_turbulent(values, quantile=0.75)
    assert not found[:WARM_UP_DAYS].any()
    for day in (WARM_UP_DAYS, 449, 450, 599):
        past = values[:day][np.isfinite(values[:day])]
        expected = bool(np.isfinite(values[day]) and (past < values[day]).mean() > 0.75)
        assert bool(found[day]) is expected

"""Verdicts on one book, tables of findings, replays, and the rule of the tuning."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.findings import (
    RELEASED,
    forecasts_of,
    misses,
    procyclicality_table,
    regime_table,
    with_released_buffer,
)
from engine.backtest.kupiec import kupiec_test
from engine.backtest.replays import STRESS_LIBRARY, evenings, replays
from engine.backtest.tuning import choose, grid_table
from engine.backtest.variants import (
    NO_TOOL,
    SHIPPED,
    grid_variants,
    parameter_values,
    sensitivity_variants,
    tool_variants,
)
from engine.backtest.verdict import Forecasts, rolling_counts, verdict, window_count
from engine.errors import ModelInputError
from tests.worlds import study

HOUSE = study.house()


def forecasts(losses: np.ndarray, horizon_days: int = 1) -> Forecasts:
    """Return forecasts whose tail is ten losses from 2 to 2.9 and whose quantile is 2."""
    n = losses.size
    tail = np.linspace(2.9, 2.0, 10)
    return Forecasts(
        name="book",
        losses=losses,
        value_at_risk=np.full(n, 2.0),
        expected_shortfall=np.full(n, tail.mean()),
        core_margin=np.full(n, 3.0),
        requirement=np.full(n, 4.0),
        tails=np.tile(tail, (n, 1)),
        n_tail=np.full(n, 10.0),
        horizon_days=horizon_days,
    )


def losses_with(n: int, hits: list[int], size: float = 2.45) -> np.ndarray:
    losses = np.zeros(n)
    losses[hits] = size
    return losses


def test_exact_rate_is_accepted_by_every_test() -> None:
    found = verdict(forecasts(losses_with(1000, list(range(40, 1000, 100)))), confidence=0.99)
    assert (found.exceptions, found.expected) == (10, pytest.approx(10.0))
    assert found.coverage_p_value == pytest.approx(1.0)
    assert found.independence_p_value > 0.05
    assert found.shortfall_statistic == pytest.approx(0.0, abs=1e-9)
    assert found.shortfall_p_value > 0.05
    assert (found.beyond_core, found.beyond_requirement, found.largest_shortfall) == (0, 0, 0.0)


def test_exceptions_in_a_row_are_clustered() -> None:
    found = verdict(forecasts(losses_with(1000, list(range(500, 510)))), confidence=0.99)
    assert found.coverage_p_value == pytest.approx(1.0)
    assert found.independence_p_value < 0.001
    assert found.year.worst == 10
    assert found.year.worst_zone == "red"
    assert found.year.zone == "yellow" or found.year.last == 0


def test_right_number_of_too_large_losses_fails_the_shortfall_alone() -> None:
    hits = list(range(40, 1000, 100))
    found = verdict(forecasts(losses_with(1000, hits, 6.0)), confidence=0.99)
    assert found.coverage_p_value == pytest.approx(1.0)
    assert found.shortfall_statistic < found.shortfall_critical_value
    assert found.shortfall_p_value < 0.01
    assert found.beyond_requirement == 10
    assert found.largest_shortfall == pytest.approx(2.0)


def test_overlapping_losses_are_judged_more_leniently() -> None:
    hits = [start + k for start in range(40, 1000, 160) for k in range(3)]
    one, three = (
        verdict(forecasts(losses_with(1000, hits), horizon), confidence=0.99) for horizon in (1, 3)
    )
    assert one.coverage_p_value < 0.05 < three.coverage_p_value
    assert np.isnan(three.independence_p_value)


@settings(max_examples=20, deadline=None)
@given(hits=st.sets(st.integers(0, 299), max_size=30), seed=st.integers(0, 99))
def test_counts_do_not_depend_on_the_order_of_days(hits: set[int], seed: int) -> None:
    losses = losses_with(300, sorted(hits))
    shuffled = np.random.default_rng(seed).permutation(losses)
    first, second = (verdict(forecasts(one), confidence=0.99) for one in (losses, shuffled))
    assert first.exceptions == second.exceptions == len(hits)
    assert first.coverage_p_value == second.coverage_p_value
    assert first.shortfall_statistic == pytest.approx(second.shortfall_statistic)


@pytest.mark.parametrize("n", [250, 1000, 5000])
def test_kupiec_accepts_the_exact_rate_and_not_four_times_it(n: int) -> None:
    assert kupiec_test(n, n // 100, confidence=0.99).p_value > 0.5
    assert not kupiec_test(n, n // 25, confidence=0.99).accepted


def test_rolling_counts_are_those_of_each_window() -> None:
    hits = np.random.default_rng(8).random(400) < 0.05
    by_hand = [int(hits[i : i + 250].sum()) for i in range(151)]
    assert rolling_counts(hits, 250).tolist() == by_hand


def test_history_shorter_than_a_window_has_no_zone() -> None:
    found = window_count(np.ones(100, dtype=bool), 250, 1, 0.99)
    assert (found.last, found.zone, found.worst_zone) == (100, "", "")


def test_no_day_is_no_verdict() -> None:
    with pytest.raises(ModelInputError, match="limit >= 1"):
        verdict(forecasts(np.zeros(0)), confidence=0.99)


def walked(
    n: int, variant: str = "house", book: str = "a", first: str = "2023-12-20"
) -> pd.DataFrame:
    dates = pd.date_range(first, periods=n, unit="ms")
    frame = pd.DataFrame({"date": dates, "variant": variant, "book": book, "value_at_risk": 2.0})
    figures = {"expected_shortfall": 2.5, "core_margin": 3.0, "requirement": 4.0, "loss": 0.0}
    tails = {f"tail_{k + 1}": 2.9 - 0.1 * k for k in range(10)}
    return frame.assign(**figures, **tails, n_assets=1, horizon_days=1, n_tail=10.0)


def test_regimes_part_the_days() -> None:
    days = walked(30)
    days.loc[[3, 20], "loss"] = 2.5
    turbulent = pd.Series(np.arange(30) < 10, index=pd.DatetimeIndex(days["date"]))
    found = regime_table(days, turbulent, confidence=0.99).set_index("regime")
    assert found.loc["turbulent", ["n_days", "exceptions"]].tolist() == [10, 1]
    assert found.loc["calm", ["n_days", "exceptions"]].tolist() == [20, 1]
    assert found.loc["tuning data, to 2023", "n_days"] == 12
    assert found.loc["out of sample, 2024 on", "n_days"] == 18


def test_released_buffer_is_there_in_calm_days_alone() -> None:
    days = walked(4, variant=NO_TOOL)
    turbulent = pd.Series([False, True, False, True], index=pd.DatetimeIndex(days["date"]))
    found = with_released_buffer(days, turbulent)
    released = found[found["variant"] == RELEASED]["requirement"].tolist()
    assert released == [4.75, 4.0, 4.75, 4.0]


def test_misses_are_the_losses_beyond_the_requirement_worst_first() -> None:
    days = walked(10)
    days.loc[[2, 5], "loss"] = [5.0, 12.0]
    found = misses(days)
    assert found["shortfall"].tolist() == [8.0, 1.0]
    assert found["shortfall_share"].tolist() == [2.0, 0.25]


def test_replays_show_the_worst_evening_before_each_event() -> None:
    event = STRESS_LIBRARY[2]
    assert evenings(event)[0] == date(2022, 5, 6)
    days = walked(12, first="2022-05-03")
    days.loc[days["date"] == "2022-05-10", "loss"] = 9.0
    days.loc[days["date"] == "2022-05-04", "loss"] = 99.0
    found = replays(days)
    assert found["event"].tolist() == [event.name]
    assert found["date"].dt.date.tolist() == [date(2022, 5, 10)]
    assert found["shortfall"].tolist() == [5.0]


def test_forecasts_are_in_order_of_date() -> None:
    days = walked(5)
    days["loss"] = [4.0, 3.0, 2.0, 1.0, 0.0]
    found = forecasts_of("a", days.sample(frac=1.0, random_state=1))
    assert found.losses.tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]


def test_each_tool_is_on_by_itself() -> None:
    tools = {one.name: one.house.anti_procyclicality for one in tool_variants(HOUSE, 0.99)}
    on = {
        name: (tool.long_run_floor, tool.stress_weight > 0.0, tool.buffer_rate > 0.0)
        for name, tool in tools.items()
    }
    assert on[NO_TOOL] == (False, False, False)
    assert sorted(on[name] for name in ("buffer", "long-run floor", "stress weight")) == [
        (False, False, True), (False, True, False), (True, False, False),
    ]  # fmt: skip
    assert tools[SHIPPED] == HOUSE.anti_procyclicality


def test_every_value_has_its_walk_and_the_shipped_one_is_among_them() -> None:
    walks = {one.name for one in sensitivity_variants(HOUSE, 0.99)}
    values = parameter_values(HOUSE, 0.99)
    assert {one.variant for one in values} == walks
    for name in {one.parameter for one in values}:
        shipped = [one.value for one in values if one.parameter == name and one.is_shipped]
        assert len(shipped) == 1


def test_procyclicality_of_a_flat_requirement_is_none() -> None:
    found = procyclicality_table(walked(40), {"a": 8.0}).iloc[0]
    assert found["mean_requirement"] == 0.5
    assert (found["peak_to_trough"], found["rise_20"], found["calls_per_year"]) == (1.0, 0.0, 0.0)


def scored(gain: np.ndarray, name: str) -> pd.DataFrame:
    dates = pd.date_range("2020-01-01", periods=gain.size, unit="ms")
    noise = np.random.default_rng(5).standard_normal(gain.size)
    shipped = pd.DataFrame(
        {"date": dates, "variant": SHIPPED, "score": noise, "exceptions": 0, "n": 1}
    )
    return pd.concat([shipped, shipped.assign(variant=name, score=noise - gain)])


def rises(name: str, ratio: float) -> pd.DataFrame:
    return pd.DataFrame({"variant": [SHIPPED, name], "book": "a", "rise_20": [1.0, ratio]})


@pytest.mark.parametrize(
    ("thirds", "ratio", "replaces"),
    [
        ((0.2, 0.2, 0.2), 1.0, True),
        ((0.9, 0.0, 0.2), 1.0, False),  # better in the mean, not in each third
        ((0.2, 0.2, 0.2), 1.2, False),  # better, but calls rise with it
    ],
)
def test_filter_replaces_the_shipped_one_only_if_better_in_each_third(
    thirds: tuple[float, ...], ratio: float, replaces: bool
) -> None:
    noise = np.random.default_rng(6).standard_normal(900) * 0.1
    found = scored(np.repeat(thirds, 300) + noise, "fast")
    table = grid_table(found)
    choice = choose(table, rises("fast", ratio), found, found.iloc[:0])
    assert choice.variant == "fast"
    assert choice.replaces is replaces
    assert choice.later is None


def test_worse_filters_leave_the_shipped_one_in_place() -> None:
    found = scored(np.full(300, -0.1), "slow")
    choice = choose(grid_table(found), rises("slow", 1.0), found, found)
    assert choice.is_shipped
    assert not choice.replaces
    assert choice.steady == ()


def test_grid_begins_with_the_shipped_filter_and_holds_no_point_twice() -> None:
    grid = grid_variants(HOUSE, 0.99)
    assert grid[0].house.filter == HOUSE.filter
    filters = [one.house.filter for one in grid]
    assert len(set(filters)) == len(filters) == 45

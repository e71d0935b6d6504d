"""Portfolio margin by scenario grid: cells, contingencies, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import ModelInputError, ParameterError
from engine.margin.contingencies import depeg_contingency
from engine.margin.scenario_candidates import held_bucket
from engine.margin.scenario_cells import MOVES, grid_cells, shocked_volatilities
from engine.margin.scenario_grid import (
    BucketCharges,
    ChargeTier,
    DepegTier,
    ExtraScenario,
    Holdings,
    ScenarioGridParameters,
    revalue_grid,
    scenario_margin,
    scenario_requirement,
)
from tests.worlds import grid as world

# Deribit extended table, https://docs.deribit.com/#private-pme-simulate.
TAILS = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)


def deribit(**changed: object) -> ScenarioGridParameters:
    return world.grid(extended_price_shocks=TAILS, extended_fraction=1.0, **changed)


def test_cells_are_the_grid_by_price_then_move_then_extra_then_tails() -> None:
    cells = grid_cells(
        world.grid(
            price_shocks=(-0.1, 0.1),
            extra_scenarios=(ExtraScenario(price_shock=0.2, volatility_move="down", weight=0.5),),
            extended_price_shocks=(-0.5,),
            extended_fraction=0.8,
        )
    )
    assert cells.price_shock.tolist() == [-0.1] * 3 + [0.1] * 3 + [0.2, -0.5]
    moves = [MOVES[move] for move in cells.move]
    assert moves == ["down", "unchanged", "up"] * 2 + ["down", "up"]
    np.testing.assert_allclose(cells.weight, [1.0] * 6 + [0.5, 0.16])


def test_tail_cells_of_futures_are_those_of_a_published_deribit_sample() -> None:
    """`private/pme/simulate`, sample of 17 Jun 2024: price_range 0.16, extended_table_factor 1.

    The risk vectors of 0.314538364 BTC of BTC-PERPETUAL and -0.001187534 BTC of BTC-28JUN24.
    """
    ready = revalue_grid(world.instruments(is_inverse=True), deribit())
    coins = ready.unit_pnl[:2, -len(TAILS) :] * world.instruments().mark_price[:2, np.newaxis]
    published_perpetual = [-0.05991206933333334] * 2 + [0.04338460193103449] * 6
    np.testing.assert_allclose(0.314538364 * coins[0], published_perpetual, rtol=1e-12)
    published_future = [0.0002261969523809524] * 2 + [-0.0001637977931034483] * 6
    np.testing.assert_allclose(-0.001187534 * coins[1], published_future, rtol=1e-12)


def test_dampener_takes_small_tail_losses_to_nothing_as_in_the_same_sample() -> None:
    """``extended_dampener`` 100,000 USD; the sample's aggregated extended vector is all zero."""
    ready = revalue_grid(world.instruments(is_inverse=True), deribit(extended_dampener=1e5))
    book = world.holdings({0: 0.314538364 * 60_020.0, 1: -0.001187534 * 60_300.0})
    found = scenario_margin(ready, book, world.buckets(1, is_inverse=True))
    assert found.scenario_pnl[0, -len(TAILS) :].tolist() == [0.0] * len(TAILS)
    assert found.worst_loss[0] == pytest.approx(0.05968587238095239, rel=1e-12)


def test_dampener_leaves_what_is_beyond_it() -> None:
    parameters = world.grid(
        price_shocks=(-0.1, 0.1),
        extended_price_shocks=(0.5,),
        extended_fraction=1.0,
        extended_dampener=100.0,
    )
    ready = revalue_grid(world.instruments(), parameters)
    found = scenario_margin(ready, world.holdings({0: -1.0}), world.buckets(1))
    # Weight 0.1 / 0.5, dampener 100 * (0.5 / 0.1 - 1).
    assert found.scenario_pnl[0, -1] == pytest.approx(-0.1 * 60_020.0 * 0.1 + 400.0)


def test_volatility_shock_follows_the_powers_of_days_with_floors() -> None:
    parameters = world.grid(volatility_min=0.5, days_to_expiry_min=7.0)
    down, same, up = shocked_volatilities(
        np.array([0.6, 0.6, 0.2, 0.6]), np.array([15.0, 60.0, 30.0, 1.0]) / 365.0, parameters
    )
    short, long = 2.0**0.3, 0.5**0.13
    np.testing.assert_allclose(
        up,
        [0.6 * (1 + 0.5 * short), 0.6 * (1 + 0.5 * long), 0.5, 0.6 * (1 + 0.5 * (30 / 7) ** 0.3)],
    )
    np.testing.assert_allclose(down[:3], [0.6 * (1 - 0.25 * short), 0.6 * (1 - 0.25 * long), 0.15])
    assert same.tolist() == [0.6, 0.6, 0.2, 0.6]


def test_a_volatility_never_falls_below_zero() -> None:
    down = shocked_volatilities(
        np.array([0.6]), np.array([1e-6]), world.grid(volatility_shock_down=0.9)
    )[0]
    assert down.tolist() == [0.0]


def test_roll_takes_expiries_apart_and_perpetuals_at_the_minimum() -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    found = scenario_margin(ready, world.holdings({0: 5.0, 1: -5.0, 2: 1.0}), world.buckets(1))
    expected = (
        5.0 * 0.1 * 60_020.0 * 0.01
        + 5.0 * 0.1 * 60_300.0 * 0.01
        + 0.1 * 61_000.0 * math.expm1(0.075 * 90 / 365)
    )
    assert found.roll_contingency[0] == pytest.approx(expected)


def test_calls_and_puts_of_a_strike_are_netted_and_strikes_are_not() -> None:
    ready = revalue_grid(world.instruments(), world.grid(option_gross_rate=0.0))
    books = world.holdings({4: -3.0, 5: 3.0}, {4: -3.0, 6: 3.0}, {8: -3.0, 4: 3.0})
    found = scenario_margin(ready, books, world.buckets(3)).option_contingency
    np.testing.assert_allclose(found, [0.0, 0.01 * 0.3 * 60_000.0, 0.01 * 0.3 * 60_000.0])


def test_minimum_charge_is_a_floor_with_marginal_multipliers() -> None:
    """OKX MR7, table in force until 15 Jan 2025: 0-10k x 1, 10-70k x 2, 70-170k x 4."""
    tiers = tuple(
        ChargeTier(charge_floor=floor, multiplier=multiplier)
        for floor, multiplier in ((0.0, 1.0), (1e4, 2.0), (7e4, 4.0))
    )
    parameters = ScenarioGridParameters(
        price_shocks=(0.0,), minimum_charge_rate=0.0045, minimum_charge_tiers=tiers
    )
    notional = 1e5 / 0.0045
    quantity = notional / (0.1 * 60_020.0)
    ready = revalue_grid(world.instruments(), parameters)
    found = scenario_margin(ready, world.holdings({0: quantity}), world.buckets(1))
    assert found.risk_margin[0] == pytest.approx(1e4 + 2.0 * 6e4 + 4.0 * 3e4)


def test_competing_loss_replaces_a_smaller_worst_loss_and_adds_nothing_to_a_larger() -> None:
    ready = revalue_grid(world.instruments(), ScenarioGridParameters(price_shocks=(-0.1, 0.1)))
    book = world.holdings({0: 1.0}, {0: 1.0})
    charges = BucketCharges(
        competing_loss=np.array([1e4, 100.0]), contingency_amount=np.array([5.0, 5.0])
    )
    found = scenario_margin(ready, book, world.buckets(2), charges).risk_margin
    np.testing.assert_allclose(found, [1e4 + 5.0, 600.2 + 5.0])


def test_concentration_is_charged_on_the_whole_delta_up_to_a_cap() -> None:
    parameters = ScenarioGridParameters(
        price_shocks=(0.0,),
        delta_shock_threshold=20_000_000.0,
        delta_shock_slope=5e-5,
        delta_shock_max=0.1,
    )
    one = world.instruments(is_inverse=True)
    coins = np.array([300.0, -1_000.0, 1e5])
    books = world.holdings(*({0: size * 60_020.0} for size in coins))
    found = scenario_margin(revalue_grid(one, parameters), books, world.buckets(3, is_inverse=True))
    excess = 1_000.0 - 20_000_000.0 / 60_000.0
    np.testing.assert_allclose(found.delta_contingency, [0.0, 1_000.0 * 5e-5 * excess, 1e4])


def test_depeg_tiers_are_marginal() -> None:
    tiers = (
        DepegTier(notional_floor=1e6, rate=0.01),
        DepegTier(notional_floor=5e6, rate=0.02),
    )
    found = depeg_contingency(np.array([0.0, 1e6, 2e6, 6e6]), tiers)
    np.testing.assert_allclose(found, [0.0, 0.0, 1e4, 6e4])


def test_the_venues_own_profit_and_loss_replaces_revaluation() -> None:
    parameters = ScenarioGridParameters(
        price_shocks=(-0.1, 0.1), extra_scenarios=(ExtraScenario(price_shock=0.5, weight=0.5),)
    )
    ready = revalue_grid(
        world.instruments(volatility=np.full(world.N_INSTRUMENTS, np.nan)), parameters
    )
    held = Holdings(
        bucket=np.zeros(2, dtype=np.int64),
        instrument=np.array([4, 0]),
        quantity=np.array([-7.0, 1.0]),
        scenario_pnl=np.array([[10.0, -20.0, -3_000.0], [np.nan] * 3]),
    )
    found = scenario_margin(ready, held, world.buckets(1)).scenario_pnl[0]
    np.testing.assert_allclose(found, [10.0 - 600.2, -20.0 + 600.2, -1_500.0 + 1_500.5])


def test_linear_and_inverse_positions_in_one_bucket_are_refused() -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    with pytest.raises(ModelInputError, match="I0 is paid in another currency than its bucket"):
        scenario_margin(ready, world.holdings({0: 1.0}), world.buckets(1, is_inverse=True))


@pytest.mark.parametrize("quantity", [math.nan, math.inf])
def test_a_quantity_that_is_no_number_is_refused(quantity: float) -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    with pytest.raises(ModelInputError, match="quantity of I0"):
        scenario_margin(ready, world.holdings({0: quantity}), world.buckets(1))


def test_a_bucket_without_index_price_is_refused() -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    lacking = world.buckets(1)
    lacking.index_price[0] = math.nan
    with pytest.raises(ModelInputError, match="index_price is nan"):
        scenario_margin(ready, world.holdings({0: 1.0}), lacking)


def test_cells_that_do_not_fit_the_grid_are_refused() -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    book, one = world.holdings({0: 1.0}), world.buckets(1)
    own = Holdings(
        bucket=book.bucket,
        instrument=book.instrument,
        quantity=book.quantity,
        scenario_pnl=np.zeros((1, 3)),
    )
    with pytest.raises(ModelInputError, match="needs 27 cells"):
        scenario_margin(ready, own, one)
    exposures = held_bucket(ready, book, one).amounts
    assert set(exposures) >= {"futures_long", "option_net_short"}
    with pytest.raises(ModelInputError, match="1 buckets by 27 cells"):
        scenario_requirement(np.zeros((1, 3)), None, one, world.grid())  # type: ignore[arg-type]


def test_a_charge_below_zero_is_refused() -> None:
    ready = revalue_grid(world.instruments(), world.grid())
    charges = BucketCharges(competing_loss=np.array([-1.0]))
    with pytest.raises(ModelInputError, match="competing_loss needs 1 finite amounts"):
        scenario_margin(ready, world.holdings({0: 1.0}), world.buckets(1), charges)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"volatility_moves": ()}, "at least one"),
        ({"depeg_tiers": (DepegTier(notional_floor=1.0, rate=0.1),) * 2}, "strictly increasing"),
        ({"minimum_charge_tiers": (ChargeTier(charge_floor=1.0, multiplier=1.0),)}, "start at 1.0"),
        ({"extended_price_shocks": (0.5,)}, "extended_fraction is 0.0"),
        ({"extended_price_shocks": (0.1,), "extended_fraction": 1.0}, "at least the grid's"),
        (
            {"price_shocks": (0.0,), "extended_price_shocks": (0.5,), "extended_fraction": 1.0},
            "grid's range 0.0",
        ),
        ({"delta_shock_threshold": 1e6}, "delta_shock_threshold is 1000000.0"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        world.grid(**changed)

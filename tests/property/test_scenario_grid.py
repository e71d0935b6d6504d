"""What holds for portfolio margin by scenario grid, whatever the book."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelInputError
from engine.kernels.exact_sums import rounded
from engine.margin.scenario_candidates import candidate_margins, held_bucket
from engine.margin.scenario_grid import (
    ExtraScenario,
    GridRevaluation,
    Holdings,
    ScenarioGridParameters,
    ScenarioRequirement,
    bucket_scenario_pnl,
    offset_buckets,
    position_scenario_pnl,
    revalue_grid,
    scenario_margin,
)
from tests.worlds import grid as world

quick = settings(max_examples=60, deadline=None)
quantities = st.floats(-500.0, 500.0).map(lambda value: round(value, 3))
books = st.dictionaries(st.integers(0, world.N_INSTRUMENTS - 1), quantities, max_size=6)
short_options = st.dictionaries(
    st.sampled_from(world.OPTIONS), st.floats(-500.0, 0.0), min_size=1, max_size=4
)
settlements = st.booleans()
# Sums of positions are rounded once; what is compared here is built from a few such sums.
CLOSE = 1.0 + 1e-12


@cache
def revalued(parameters: ScenarioGridParameters, is_inverse: bool) -> GridRevaluation:
    return revalue_grid(world.instruments(is_inverse=is_inverse), parameters)


def margin(
    *found: dict[int, float],
    parameters: ScenarioGridParameters | None = None,
    is_inverse: bool = False,
) -> ScenarioRequirement:
    return scenario_margin(
        revalued(parameters or world.grid(), is_inverse),
        world.holdings(*found),
        world.buckets(len(found), is_inverse=is_inverse),
    )


def figures(found: ScenarioRequirement, row: int) -> dict[str, bytes]:
    return {
        field.name: np.ascontiguousarray(getattr(found, field.name)[row]).tobytes()
        for field in dataclasses.fields(found)
        if getattr(found, field.name) is not None
    }


@quick
@given(books, settlements)
def test_margin_is_finite_and_never_negative(book: dict[int, float], is_inverse: bool) -> None:
    found = margin(book, is_inverse=is_inverse)
    assert np.isfinite(found.scenario_pnl).all()
    for name in ("worst_loss", "roll_contingency", "risk_margin", "initial_margin"):
        assert getattr(found, name)[0] >= 0.0


@pytest.mark.parametrize("is_inverse", [False, True])
def test_margin_of_an_empty_book_is_zero(is_inverse: bool) -> None:
    found = margin({}, {0: 0.0, 4: 0.0}, is_inverse=is_inverse)
    assert found.risk_margin.tolist() == found.initial_margin.tolist() == [0.0, 0.0]
    assert not np.signbit(found.risk_margin).any()


@quick
@given(books, settlements, st.floats(1.0, 8.0))
def test_margin_grows_in_proportion_to_the_book(
    book: dict[int, float], is_inverse: bool, factor: float
) -> None:
    scaled = {key: factor * value for key, value in book.items()}
    found = margin(book, scaled, is_inverse=is_inverse)
    assert found.risk_margin[1] == pytest.approx(factor * found.risk_margin[0], rel=1e-9, abs=1e-9)
    assert found.risk_margin[1] * CLOSE >= found.risk_margin[0]


@quick
@given(books, settlements, st.floats(0.16, 0.9), st.booleans())
def test_a_wider_grid_never_lowers_the_worst_loss(
    book: dict[int, float], is_inverse: bool, shock: float, falls: bool
) -> None:
    more = ExtraScenario(price_shock=-shock if falls else shock, volatility_move="up")
    wider = margin(book, parameters=world.grid(extra_scenarios=(more,)), is_inverse=is_inverse)
    assert wider.worst_loss[0] >= margin(book, is_inverse=is_inverse).worst_loss[0]


@quick
@given(short_options, settlements, st.floats(0.0, 2.0))
def test_a_larger_volatility_rise_costs_whoever_is_short_options(
    book: dict[int, float], is_inverse: bool, more: float
) -> None:
    higher = world.grid(volatility_shock_up=0.5 + more, volatility_min=0.5 * more)
    found = margin(book, parameters=higher, is_inverse=is_inverse)
    assert found.worst_loss[0] * CLOSE >= margin(book, is_inverse=is_inverse).worst_loss[0]


@quick
@given(books, settlements, st.floats(1.0, 5.0))
def test_a_larger_weight_never_lowers_the_worst_loss(
    book: dict[int, float], is_inverse: bool, factor: float
) -> None:
    light = world.grid(extra_scenarios=(ExtraScenario(price_shock=0.5, weight=0.4),))
    heavy = world.grid(extra_scenarios=(ExtraScenario(price_shock=0.5, weight=0.4 * factor),))
    losses = [
        margin(book, parameters=one, is_inverse=is_inverse).worst_loss[0] for one in (light, heavy)
    ]
    assert losses[1] * CLOSE >= losses[0]


RATES = (
    "annualised_move_risk",
    "annualised_move_min",
    "futures_gross_rate",
    "futures_offset_rate",
    "option_gross_rate",
    "net_short_option_rate",
    "minimum_charge_rate",
    "contingency_amount",
    "initial_margin_factor",
)


@quick
@given(books, settlements, st.sampled_from(RATES), st.floats(0.0, 0.5))
def test_a_larger_rate_never_lowers_the_margin(
    book: dict[int, float], is_inverse: bool, name: str, more: float
) -> None:
    higher = world.grid(**{name: getattr(world.grid(), name) + more})
    found = margin(book, parameters=higher, is_inverse=is_inverse)
    assert found.initial_margin[0] >= margin(book, is_inverse=is_inverse).initial_margin[0]


@quick
@given(books, books, settlements)
def test_worst_loss_of_a_merged_book_is_at_most_the_sum(
    first: dict[int, float], second: dict[int, float], is_inverse: bool
) -> None:
    merged = {key: first.get(key, 0.0) + second.get(key, 0.0) for key in {**first, **second}}
    a, b, both = margin(first, second, merged, is_inverse=is_inverse).worst_loss
    assert both <= (a + b) * CLOSE + 1e-6


def test_offsetting_futures_together_owe_more_than_apart() -> None:
    """The counter-example to sub-additivity of the whole requirement, as venues publish it."""
    nothing = dict.fromkeys(("annualised_move_risk", "annualised_move_min"), 0.0)
    offsets_only = world.grid(
        price_shocks=(0.0,), futures_gross_rate=0.0, futures_offset_rate=0.02, **nothing
    )
    long, short = {0: 10.0}, {0: -10.0}
    # The same instrument on both sides is one position; two expiries offset.
    other = {1: -10.0}
    found = margin(long, short, other, {**long, **other}, parameters=offsets_only).risk_margin
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3] == pytest.approx(0.02 * 10.0 * 0.1 * world.INDEX_PRICE)


@quick
@given(st.lists(books, min_size=1, max_size=6), settlements, st.randoms(use_true_random=False))
def test_neither_order_nor_neighbours_change_a_bit(
    found: list[dict[int, float]], is_inverse: bool, random: object
) -> None:
    whole = margin(*found, is_inverse=is_inverse)
    held = world.holdings(*found)
    order = list(range(len(held)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = scenario_margin(
        revalued(world.grid(), is_inverse),
        Holdings(
            bucket=held.bucket[order],
            instrument=held.instrument[order],
            quantity=held.quantity[order],
        ),
        world.buckets(len(found), is_inverse=is_inverse),
    )
    for row, book in enumerate(found):
        alone = figures(margin(book, is_inverse=is_inverse), 0)
        assert figures(whole, row) == figures(shuffled, row) == alone


@quick
@given(books, settlements, st.floats(-500.0, 500.0))
def test_how_a_position_is_spread_over_rows_changes_no_bit(
    book: dict[int, float], is_inverse: bool, moved: float
) -> None:
    # Halves of a float add up to it exactly.
    halves = world.holdings({key: 0.5 * value for key, value in book.items()})
    extra = world.holdings({0: moved, 4: moved})
    back = world.holdings({0: -moved, 4: -moved})
    parts = [halves, extra, halves, back]
    spread = Holdings(
        bucket=np.concatenate([part.bucket for part in parts]),
        instrument=np.concatenate([part.instrument for part in parts]),
        quantity=np.concatenate([part.quantity for part in parts]),
    )
    one = world.buckets(1, is_inverse=is_inverse)
    found = scenario_margin(revalued(world.grid(), is_inverse), spread, one)
    assert figures(found, 0) == figures(margin(book, is_inverse=is_inverse), 0)


@quick
@given(st.permutations(range(world.N_INSTRUMENTS)), settlements)
def test_the_order_of_instruments_changes_no_bit(order: list[int], is_inverse: bool) -> None:
    straight = revalued(world.grid(), is_inverse)
    one = world.instruments(is_inverse=is_inverse)
    shuffled = revalue_grid(
        dataclasses.replace(
            one,
            **{field.name: getattr(one, field.name)[order] for field in dataclasses.fields(one)},
        ),
        world.grid(),
    )
    assert shuffled.unit_pnl.tobytes() == straight.unit_pnl[order].tobytes()


@quick
@given(books, settlements, st.lists(st.tuples(st.integers(0, 9), quantities), max_size=12))
def test_a_candidate_added_is_the_book_with_it_to_the_bit(
    book: dict[int, float], is_inverse: bool, candidates: list[tuple[int, float]]
) -> None:
    parameters = world.grid(
        minimum_charge_rate=0.01,
        delta_shock_threshold=1e5,
        delta_shock_slope=0.01,
        delta_shock_max=0.1,
        gain_offset_fraction=0.5,
    )
    ready, one = revalued(parameters, is_inverse), world.buckets(1, is_inverse=is_inverse)
    instrument = np.array([each[0] for each in candidates], dtype=np.int64)
    quantity = np.array([each[1] for each in candidates], dtype=np.float64)
    found = candidate_margins(held_bucket(ready, world.holdings(book), one), instrument, quantity)
    held = world.holdings(book)
    for row in range(len(candidates)):
        with_it = Holdings(
            bucket=np.zeros(len(held) + 1, dtype=np.int64),
            instrument=np.append(held.instrument, instrument[row]),
            quantity=np.append(held.quantity, quantity[row]),
        )
        assert figures(found, row) == figures(scenario_margin(ready, with_it, one), 0)


@quick
@given(books, settlements)
def test_positions_explain_the_cells_of_their_book(
    book: dict[int, float], is_inverse: bool
) -> None:
    ready, held = revalued(world.grid(), is_inverse), world.holdings(book)
    rows = position_scenario_pnl(ready.unit_pnl, held, ready.cells)
    whole = rounded(bucket_scenario_pnl(ready.unit_pnl, held, ready.cells, 1))[0]
    np.testing.assert_allclose(rows.sum(axis=0), whole, rtol=1e-9, atol=1e-6)


@quick
@given(st.floats(1e-6, 1e-3), st.sampled_from(world.FUTURES))
def test_inverse_and_linear_futures_agree_for_small_moves(shock: float, number: int) -> None:
    parameters = ScenarioGridParameters(price_shocks=(-shock, shock))
    linear = revalued(parameters, False)
    inverse = revalued(parameters, True)
    mark = linear.instruments.mark_price[number]
    # One coin long either way.
    in_coin = inverse.unit_pnl[number] * mark
    in_quote = linear.unit_pnl[number] / linear.instruments.contract_multiplier[number] / mark
    np.testing.assert_allclose(in_coin, in_quote, rtol=2.0 * shock)


@quick
@given(st.floats(-0.9, 5.0), st.sampled_from(world.OPTIONS))
def test_inverse_option_is_the_linear_one_less_its_premium_in_coin(
    shock: float, number: int
) -> None:
    parameters = ScenarioGridParameters(price_shocks=(shock,), volatility_moves=("up",))
    linear, inverse = (
        revalue_grid(world.instruments(is_inverse=b), parameters) for b in (False, True)
    )
    never = ScenarioGridParameters(price_shocks=(-0.999999999,))
    forward = linear.instruments.forward_price[number] * (1.0 + shock)
    # At a price of nothing a call is worth nothing: its loss is the premium. A put by parity.
    premium = -revalue_grid(world.instruments(), never).unit_pnl[number, 0]
    if not linear.instruments.is_call[number]:
        discount = np.exp(-0.02 * linear.instruments.years[number])
        strike = linear.instruments.strike_price[number]
        premium += 0.1 * discount * strike
    gain = linear.unit_pnl[number, 0] - premium * shock
    assert inverse.unit_pnl[number, 0] * forward == pytest.approx(gain, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "mark_price"), (1, "years"), (3, "mark_price"), (4, "volatility"), (5, "forward_price")],
)
@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_a_missing_price_raises_and_never_gives_zero(number: int, name: str, value: float) -> None:
    values = np.array(getattr(world.instruments(), name))
    values[number] = value
    ready = revalue_grid(world.instruments(**{name: values}), world.grid())
    one = world.buckets(1)
    with pytest.raises(ModelInputError, match=f"{name} of I{number}"):
        scenario_margin(ready, world.holdings({number: 1.0}), one)
    with pytest.raises(ModelInputError, match=f"{name} of I{number}"):
        candidate_margins(
            held_bucket(ready, world.holdings({}), one), np.array([number]), np.array([1.0])
        )
    # Who does not hold it is not held up by it.
    other = scenario_margin(ready, world.holdings({2: 1.0}), one)
    assert figures(other, 0) == figures(margin({2: 1.0}), 0)


@quick
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1e6),
)
def test_offsets_between_buckets_lie_between_netted_and_apart(
    cells: list[list[float]], fraction: float, cap: float
) -> None:
    pnl = np.array(cells)
    n = len(pnl)
    whole = offset_buckets(
        pnl, np.zeros(n, dtype=np.int64), 1, np.full(n, fraction), np.full(n, cap)
    )[0]
    worst = max(0.0, -whole.min())
    netted = max(0.0, -pnl.sum(axis=0).min())
    apart = np.maximum(-pnl.min(axis=1), 0.0).sum()
    assert netted * (1 - 1e-9) - 1e-6 <= worst <= apart * CLOSE + 1e-6

"""Laws of tiered margin: over all sizes, all orders of positions, and one position at a time."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.errors import ModelInputError, ParameterError
from engine.margin.tier_table import unusable_rows
from engine.margin.tiered import (
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    Tier,
    TieredParameters,
    TieredPosition,
    TieredPositions,
    TierTable,
    tier_table,
    tiered_margin,
    tiered_margins,
)
from engine.ticks import round_each_to_tick, round_to_tick
from tests.examples import examples

quick = settings(max_examples=examples(100, of=200), deadline=None)
# Relative size of binary noise in notional x rate - deduction, whose terms may nearly cancel.
NOISE = 1e-12

rates = st.integers(0, 1000).map(lambda number: number / 2000)
notionals = st.floats(0.0, 5e9)


@st.composite
def tier_lists(draw: st.DrawFn, *, rising: bool = True) -> NotionalTiers:
    """Draw published-like tiers; venues' rates rise."""
    floors = draw(st.lists(st.integers(1, 10**9), max_size=11, unique=True))
    floors = [0, *sorted(floors)]
    found = [draw(rates) for _ in floors]
    return NotionalTiers(
        tiers=tuple(
            Tier(notional_floor=float(floor), maintenance_margin_rate=rate)
            for floor, rate in zip(floors, sorted(found) if rising else found, strict=True)
        )
    )


@st.composite
def any_parameters(draw: st.DrawFn) -> TieredParameters:
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return draw(tier_lists())
    amount_tick = draw(st.sampled_from([None, 1e-6, 0.5]))
    if kind == 1:
        return SizeSlope(
            initial_margin_rate=draw(rates),
            maintenance_margin_rate=draw(rates),
            rate_slope_per_unit=draw(st.sampled_from([0.0, 5e-5, 4e-6])),
            size_threshold=draw(st.sampled_from([0.0, 100.0])),
            amount_tick=amount_tick,
        )
    lower = draw(st.sampled_from([0.0, 1e6]))
    return OpenInterestScaled(
        initial_margin_rate=draw(rates),
        maintenance_fraction=draw(st.sampled_from([0.5, 0.6, 1.0])),
        open_interest_lower_cap=lower,
        open_interest_upper_cap=draw(st.sampled_from([lower, 3e6])),
        rate_tick=1e-6,
        amount_tick=amount_tick,
    )


@st.composite
def books(draw: st.DrawFn) -> tuple[list[TieredPosition], dict[str, TieredParameters]]:
    symbols = draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, max_size=4, unique=True))
    parameters = {name: draw(any_parameters()) for name in symbols}
    settlement = draw(st.sampled_from(["linear", "inverse"]))
    positions = draw(
        st.lists(
            st.builds(
                TieredPosition,
                symbol=st.sampled_from(symbols),
                quantity=st.floats(-1e6, 1e6),
                mark_price=st.floats(0.01, 1e5),
                contract_multiplier=st.sampled_from([1.0, 0.01, 100.0]),
                settlement=st.just(settlement),
                leverage=st.sampled_from([None, 3.0, 10.0]),
                open_interest=st.floats(0.0, 1e6),
            ),
            max_size=8,
        )
    )
    return positions, parameters


def columns(
    symbol: list[int], notional: list[float], **others: list[float] | list[bool]
) -> TieredPositions:
    """Return positions of one unit each whose price is the notional."""
    n = len(symbol)
    absent = np.full(n, np.nan)
    return TieredPositions(
        symbol=np.array(symbol, dtype=np.int64),
        quantity=np.array(others.get("quantity", np.ones(n)), dtype=np.float64),
        mark_price=np.array(notional, dtype=np.float64),
        contract_multiplier=np.ones(n),
        is_inverse=np.array(others.get("is_inverse", np.zeros(n)), dtype=np.bool_),
        leverage=np.array(others.get("leverage", absent), dtype=np.float64),
        open_interest=np.array(others.get("open_interest", absent), dtype=np.float64),
    )


def maintenance(tiers: NotionalTiers, notional: list[float]) -> list[float]:
    """Return the maintenance margin at each notional; 0 is a flat position."""
    held = columns(
        [0] * len(notional),
        [each or 1.0 for each in notional],
        quantity=[0.0 if each == 0.0 else 1.0 for each in notional],
    )
    return tiered_margins(held, tier_table([tiers])).maintenance_margin.tolist()


def marginal_sum(tiers: NotionalTiers, notional: float) -> Fraction:
    """Return the sum over tiers of the part inside the tier x its rate, exactly."""
    ceilings = [*(Fraction(tier.notional_floor) for tier in tiers.tiers[1:]), None]
    total, found = Fraction(0), Fraction(notional)
    for tier, ceiling in zip(tiers.tiers, ceilings, strict=True):
        floor = Fraction(tier.notional_floor)
        top = found if ceiling is None else min(found, ceiling)
        rate = Fraction(str(tier.maintenance_margin_rate))
        total += max(top - floor, Fraction(0)) * rate
    return total


@quick
@given(tier_lists(), notionals, notionals)
def test_maintenance_never_falls_with_size(tiers: NotionalTiers, one: float, two: float) -> None:
    small, large = maintenance(tiers, sorted([one, two]))
    assert 0.0 <= small <= large + NOISE * max(one, two)


@quick
@given(tier_lists(), notionals, notionals)
def test_maintenance_is_convex_in_size(tiers: NotionalTiers, one: float, two: float) -> None:
    first, middle, last = maintenance(tiers, [one, 0.5 * (one + two), two])
    assert middle <= 0.5 * (first + last) + NOISE * max(one, two)


@quick
@given(tier_lists())
def test_maintenance_has_no_jump_at_a_tier_bound(tiers: NotionalTiers) -> None:
    for tier in tiers.tiers[1:]:
        floor = tier.notional_floor
        at, above = maintenance(tiers, [floor, math.nextafter(floor, math.inf)])
        assert above == pytest.approx(at, rel=1e-9, abs=NOISE * floor)


@quick
@given(tier_lists(rising=False), notionals)
def test_deductions_give_the_sum_over_tiers(tiers: NotionalTiers, notional: float) -> None:
    found = maintenance(tiers, [notional])[0]
    assert found == pytest.approx(float(marginal_sum(tiers, notional)), rel=1e-9, abs=1e-3)


@quick
@given(st.lists(tier_lists(), min_size=1, max_size=5), st.data())
def test_tier_is_the_last_whose_floor_is_below(
    parameters: list[NotionalTiers], data: st.DataObject
) -> None:
    table = tier_table(parameters)
    floors = [tier.notional_floor for each in parameters for tier in each.tiers[1:]] or [1.0]
    near = st.builds(math.nextafter, st.sampled_from(floors), st.sampled_from([0.0, math.inf]))
    near = near | st.sampled_from(floors)
    symbol = data.draw(st.lists(st.integers(0, len(parameters) - 1), max_size=20))
    notional = [data.draw(near | st.floats(0.01, 2e9)) for _ in symbol]
    found = tiered_margins(columns(symbol, notional), table).tier.tolist()
    for row, (code, value) in enumerate(zip(symbol, notional, strict=True)):
        below = [n for n, tier in enumerate(parameters[code].tiers) if tier.notional_floor < value]
        assert found[row] == below[-1]


@quick
@given(books(), st.randoms(use_true_random=False))
def test_order_of_positions_and_symbols_does_not_matter(book: object, shuffle: object) -> None:
    positions, parameters = book  # type: ignore[misc]
    order = list(range(len(positions)))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    other_way = dict(reversed(list(parameters.items())))
    before = tiered_margin(positions, parameters)
    after = tiered_margin([positions[row] for row in order], other_way)
    assert after.maintenance_margin == before.maintenance_margin
    assert after.initial_margin == before.initial_margin
    assert [before.positions[row] for row in order] == list(after.positions)


@quick
@given(books())
def test_long_book_gives_each_position_its_own_margin(book: object) -> None:
    positions, parameters = book  # type: ignore[misc]
    together = tiered_margin(positions, parameters)
    alone = [tiered_margin([each], parameters).positions[0] for each in positions]
    assert list(together.positions) == alone
    assert together.maintenance_margin == math.fsum(each.maintenance_margin for each in alone)


@quick
@given(books())
def test_long_and_short_of_one_size_have_one_margin(book: object) -> None:
    positions, parameters = book  # type: ignore[misc]
    turned = [replace(each, quantity=-each.quantity) for each in positions]
    assert tiered_margin(turned, parameters) == tiered_margin(positions, parameters)


@quick
@given(any_parameters(), st.sampled_from(["linear", "inverse"]))
def test_margin_of_nothing_is_zero(parameters: TieredParameters, settlement: str) -> None:
    nothing = tiered_margin([], {})
    assert (nothing.maintenance_margin, nothing.initial_margin) == (0.0, 0.0)
    flat = TieredPosition(
        symbol="A", quantity=0.0, mark_price=50.0, settlement=settlement, leverage=2.0,
        open_interest=1.0,
    )  # fmt: skip
    margin = tiered_margin([flat], {"A": parameters})
    assert (margin.maintenance_margin, margin.initial_margin) == (0.0, 0.0)


@quick
@given(st.lists(st.floats(-1e12, 1e12), max_size=20), st.sampled_from([1e-6, 0.5, 25.0]))
def test_rounding_an_array_is_rounding_each(values: list[float], tick: float) -> None:
    ticks = np.where(np.arange(len(values)) % 3 == 0, np.nan, tick)
    found = round_each_to_tick(np.array(values, dtype=np.float64), ticks, "up").tolist()
    for row, (value, rounded) in enumerate(zip(values, found, strict=True)):
        assert rounded == (value if row % 3 == 0 else round_to_tick(value, tick, "up"))


@pytest.mark.parametrize(
    "tiers",
    [
        [(0.0, 0.01), (100.0, None)],
        [(0.0, None), (100.0, 0.01)],
        [(1.0, 0.01)],
        [(0.0, 0.01), (0.0, 0.02)],
        [(0.0, 0.01), (200.0, 0.02), (100.0, 0.03)],
        [],
    ],
)
def test_tiers_with_a_gap_are_refused(tiers: list[tuple[float, float | None]]) -> None:
    for field in ("maintenance_margin_rate", "initial_margin_rate"):
        with pytest.raises(ParameterError):
            NotionalTiers(
                tiers=tuple(Tier(notional_floor=floor, **{field: rate}) for floor, rate in tiers)
            )


def test_missing_parameters_raise_and_are_never_a_margin_of_zero() -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=0.01),))
    held = TieredPosition(symbol="BTCUSDT", quantity=1.0, mark_price=100.0)
    with pytest.raises(ParameterError, match="BTCUSDT"):
        tiered_margin([held], {"ETHUSDT": tiers})
    # An index of -1 would find the last symbol's parameters.
    for symbol in (-1, 1):
        with pytest.raises(ModelInputError, match="no parameters"):
            tiered_margins(columns([symbol], [100.0]), tier_table([tiers]))
    with pytest.raises(ModelInputError, match="no parameters"):
        tiered_margins(columns([0], [100.0]), tier_table([]))
    scaled = OpenInterestScaled(
        initial_margin_rate=0.1, maintenance_fraction=0.5, open_interest_upper_cap=1.0
    )
    with pytest.raises(ModelInputError, match="open interest"):
        tiered_margin([held], {"BTCUSDT": scaled})


def test_every_unusable_position_is_named_with_its_reason() -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, leverage_max=20.0),))
    table = tier_table([tiers])
    positions = columns(
        [0, 0, 0, 0, 0, 7],
        [100.0, -1.0, math.nan, 100.0, 100.0, 100.0],
        quantity=[1.0, 1.0, 1.0, math.nan, 1.0, 1.0],
        leverage=[20.0, math.nan, math.nan, math.nan, 50.0, math.nan],
    )
    reasons = unusable_rows(positions, table)
    assert reasons[0] == ""
    assert reasons[1] == "mark_price is -1.0, limit > 0"
    assert reasons[2] == "mark_price is nan, limit > 0"
    assert "quantity nan" in reasons[3]
    assert reasons[4] == "leverage 50 is above 20, the largest of its tier"
    assert reasons[5] == "no parameters of its symbol"
    with pytest.raises(ModelInputError, match=r"positions\[1\].*and 4 more"):
        tiered_margins(positions, table)


def test_linear_and_inverse_positions_are_not_added_up() -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=0.01),))
    linear = TieredPosition(symbol="A", quantity=1.0, mark_price=10.0)
    with pytest.raises(ModelInputError, match="margin them apart"):
        tiered_margin([linear, replace(linear, settlement="inverse")], {"A": tiers})


def test_initial_margin_follows_leverage_then_rate_then_largest_leverage() -> None:
    held = TieredPosition(symbol="A", quantity=3.0, mark_price=100.0)
    by_largest = NotionalTiers(tiers=(Tier(notional_floor=0.0, leverage_max=20.0),))
    by_rate = NotionalTiers(
        tiers=(
            Tier(notional_floor=0.0, initial_margin_rate=0.1, leverage_max=20.0),
            Tier(notional_floor=200.0, initial_margin_rate=0.2, leverage_max=5.0),
        )
    )
    neither = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=0.01),))
    chosen = replace(held, leverage=4.0)
    assert tiered_margin([chosen], {"A": by_rate}).initial_margin == 75.0
    assert tiered_margin([held], {"A": by_rate}).initial_margin == 40.0
    assert tiered_margin([held], {"A": by_largest}).initial_margin == 15.0
    without = tiered_margin([held], {"A": neither})
    assert without.initial_margin is None
    assert without.positions[0].initial_margin is None


def test_document_with_a_wrong_key_rate_or_rule_is_refused() -> None:
    adapter: TypeAdapter[TieredParameters] = TypeAdapter(NotionalTiers | SizeSlope)
    good = {"rule": "notional_tiers", "tiers": [{"notional_floor": 0, "leverage_max": 40}]}
    assert adapter.validate_json(json.dumps(good)).maintenance_rates() == (0.0125,)
    tier = good["tiers"][0]
    for wrong in (
        {**good, "rule": "brackets"},
        {**good, "amount": 1},
        {**good, "tiers": [{**tier, "maintenance_margin_rate": 1.5}]},
        {**good, "tiers": [{**tier, "leverage_max": "40"}]},
        {**good, "tiers": []},
    ):
        with pytest.raises((ValidationError, ParameterError)):
            adapter.validate_json(json.dumps(wrong))


def published(frame: pd.DataFrame) -> NotionalTiers:
    return NotionalTiers(
        tiers=tuple(
            Tier(notional_floor=floor, maintenance_margin_rate=rate, leverage_max=leverage)
            for floor, rate, leverage in zip(
                frame["notional_floor"], frame["maint_margin_rate"], frame["max_leverage"],
                strict=True,
            )
        )
    )  # fmt: skip


def test_deductions_of_all_published_brackets_are_the_published_ones(real_data: Path) -> None:
    path = real_data / "binance_leverage_tiers.parquet"
    if not path.exists():
        pytest.skip(f"no published brackets at {path}")
    rows = pd.read_parquet(path).sort_values(["symbol", "as_of", "tier"])
    sets = [each for _, each in rows.groupby(["symbol", "as_of"], sort=True)]
    assert len(sets) > 400
    parameters = [published(each) for each in sets]
    wrong = [
        (each["symbol"].iloc[0], each["as_of"].iloc[0])
        for each, tiers in zip(sets, parameters, strict=True)
        if not np.allclose(tiers.maintenance_deductions(), each["cum_deduction"], atol=0.51, rtol=0)
    ]
    assert not wrong
    table = tier_table(parameters)
    check_bracket_caps(table, sets)


def check_bracket_caps(table: TierTable, sets: list[pd.DataFrame]) -> None:
    """Margin one position at the cap of each bracket; the bound belongs to the lower tier."""
    symbol = [code for code, each in enumerate(sets) for _ in range(len(each))]
    caps = list(itertools.chain.from_iterable(each["notional_cap"] for each in sets))
    margins = tiered_margins(columns(symbol, caps), table)
    tiers = list(itertools.chain.from_iterable(range(len(each)) for each in sets))
    assert margins.tier.tolist() == tiers
    expected = np.concatenate(
        [each["notional_cap"] * each["maint_margin_rate"] - each["cum_deduction"] for each in sets]
    )
    np.testing.assert_allclose(margins.maintenance_margin, expected, atol=0.51, rtol=1e-12)

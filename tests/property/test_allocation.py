"""Plans of collateral: exact, within every limit, and never worse than the clear rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from engine.allocation import (
    HOUSE,
    Acceptance,
    Asset,
    Holding,
    Need,
    Plan,
    Problem,
    Rail,
    greedy_plan,
    optimal_plan,
)
from engine.errors import ParameterError
from tests.property.allocation_problems import assets_of, random_problem

problems = st.builds(
    lambda seed, clients, venues, assets, house: random_problem(
        np.random.default_rng(seed),
        n_clients=clients,
        n_venues=venues,
        n_assets=assets,
        house_share=house,
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(2, 4),
    st.integers(1, 5),
    st.sampled_from([0.0, 5.0]),
)


def require_feasible(problem: Problem, plan: Plan) -> None:
    """Check a plan from its moves alone."""
    sent: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    counted: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    covered: dict[str, Decimal] = defaultdict(Decimal)
    needs = {need.need_id: need for need in problem.needs}
    for move in plan.moves:
        need, asset = needs[move.need_id], problem.assets[move.asset]
        rail = problem.rails[move.source, move.destination, move.asset]
        assert move.owner in (need.owner, HOUSE), "one client's collateral for another"
        assert move.destination == need.place
        assert rail.settles_within <= need.within
        assert rail.quantity_min <= move.quantity
        assert move.quantity == round(move.quantity, asset.scale)
        assert move.fee >= rail.fee + rail.fee_rate * move.quantity
        assert move.fee - (rail.fee + rail.fee_rate * move.quantity) < Decimal(10) ** -asset.scale
        kept = 1 - problem.acceptance[need.place, move.asset].haircut
        value = (move.quantity - move.fee) * asset.price * kept
        assert move.value == value > 0
        sent[move.source, move.asset] += move.quantity
        counted[need.place, move.asset] += value
        covered[need.need_id] += value
    for holding in problem.holdings:
        assert sent[holding.place, holding.asset] <= max(holding.quantity - holding.buffer, 0)
    for key, value in counted.items():
        limit = problem.acceptance[key].value_max
        assert limit is None or value <= limit
    missing = {name: need.amount - covered[name] for name, need in needs.items()}
    assert dict(plan.uncovered) == {name: each for name, each in missing.items() if each > 0}
    assert plan.cost == sum((move.cost for move in plan.moves), start=Decimal(0))


@given(problems)
@settings(max_examples=40, deadline=None)
def test_both_plans_keep_every_limit_and_the_optimum_is_never_worse(problem: Problem) -> None:
    greedy, found = greedy_plan(problem), optimal_plan(problem)
    require_feasible(problem, greedy)
    require_feasible(problem, found.plan)
    assert found.greedy == greedy
    ours, theirs = found.plan, greedy
    assert (ours.shortfall, ours.cost) <= (theirs.shortfall, theirs.cost)
    assert found.saving == theirs.cost - ours.cost


@given(problems)
@settings(max_examples=15, deadline=None)
def test_the_same_problem_gives_the_same_plan(problem: Problem) -> None:
    assert optimal_plan(problem) == optimal_plan(problem)


def one_need(
    offers: list[tuple[str, str, str, str]], amount: str, within_hours: int = 24
) -> Problem:
    """Return a problem of one need; an offer is (quantity, fee, fee rate, smallest transfer)."""
    asset = Asset(price=Decimal(1), scale=2)
    return Problem(
        assets={"USDC": asset},
        holdings=tuple(
            Holding(place=f"vault/{number}", asset="USDC", owner="C", quantity=Decimal(quantity))
            for number, (quantity, _, _, _) in enumerate(offers)
        ),
        needs=(
            Need(
                need_id="call-1",
                owner="C",
                place="venue/C",
                amount=Decimal(amount),
                within=timedelta(hours=within_hours),
            ),
        ),
        acceptance={("venue/C", "USDC"): Acceptance(haircut=Decimal("0.1"))},
        rails={
            (f"vault/{number}", "venue/C", "USDC"): Rail(
                fee=Decimal(fee), fee_rate=Decimal(rate), quantity_min=Decimal(least)
            )
            for number, (_, fee, rate, least) in enumerate(offers)
        },
    )


def cheapest_by_enumeration(offers: list[tuple[str, str, str, str]], amount: str) -> float | None:
    """Return the least cost over every choice of offers, each solved as a linear program."""
    best: float | None = None
    rows = [tuple(float(each) for each in offer) for offer in offers]
    for count in range(1, len(rows) + 1):
        for chosen in combinations(rows, count):
            fixed = sum(fee for _, fee, _, _ in chosen)
            found = linprog(
                [rate for _, _, rate, _ in chosen],
                A_ub=[[-0.9 * (1.0 - rate) for _, _, rate, _ in chosen]],
                b_ub=[-float(amount) - 0.9 * fixed],
                bounds=[(least, quantity) for quantity, _, _, least in chosen],
            )
            if found.success and (best is None or found.fun + fixed < best):
                best = float(found.fun + fixed)
    return best


offers_drawn = st.lists(
    st.tuples(
        st.integers(100, 5000).map(str),
        st.integers(0, 40).map(str),
        st.sampled_from(["0", "0.001", "0.01"]),
        st.integers(50, 100).map(str),
    ),
    min_size=1,
    max_size=5,
)


@given(offers_drawn, st.integers(100, 6000).map(str))
@settings(max_examples=60, deadline=None)
def test_the_optimum_is_the_best_of_every_choice_of_sources(
    offers: list[tuple[str, str, str, str]], amount: str
) -> None:
    best = cheapest_by_enumeration(offers, amount)
    found = optimal_plan(one_need(offers, amount))
    if best is None:
        assert found.plan.shortfall > 0
    elif found.plan.shortfall == 0:
        # Whole cents cost at most a cent per transfer more than fractions of one.
        assert best - 0.01 <= float(found.plan.cost) <= best * 1.001 + 0.02 * len(offers)
    else:
        # Only rounding to whole cents may stand between a fractional cover and this one.
        assert float(found.plan.shortfall) <= 0.03 * len(offers)


def test_one_cheap_large_source_beats_the_rule_that_starts_with_the_best_first_dollar() -> None:
    # The rule takes the free source first and then still has to pay the whole fee of the other.
    offers = [("100", "0", "0.04", "0"), ("1000", "5", "0", "0")]
    found = optimal_plan(one_need(offers, "850"))
    assert found.plan.shortfall == 0
    assert [move.source for move in found.plan.moves] == ["vault/1"]
    assert found.plan.cost == Decimal("5.00")
    assert found.greedy.cost >= found.plan.cost


def test_a_client_is_never_covered_with_the_collateral_of_another() -> None:
    problem = one_need([("1000", "0", "0", "0")], "100")
    others = replace(problem.holdings[0], owner="D")
    plan = optimal_plan(replace(problem, holdings=(others,))).plan
    assert plan.moves == ()
    assert plan.uncovered == (("call-1", Decimal(100)),)


def test_the_house_may_cover_anybody() -> None:
    problem = one_need([("1000", "0", "0", "0")], "100")
    house = replace(problem.holdings[0], owner=HOUSE)
    assert optimal_plan(replace(problem, holdings=(house,))).plan.shortfall == 0


def test_a_rail_that_settles_too_late_is_not_used() -> None:
    problem = one_need([("1000", "0", "0", "0")], "100", within_hours=1)
    key = ("vault/0", "venue/C", "USDC")
    slow = {key: replace(problem.rails[key], settles_within=timedelta(hours=2))}
    assert optimal_plan(replace(problem, rails=slow)).plan.moves == ()


def test_buffers_stay_and_the_missing_amount_is_named() -> None:
    problem = one_need([("1000", "0", "0", "0")], "900")
    kept = replace(problem.holdings[0], buffer=Decimal(500))
    plan = optimal_plan(replace(problem, holdings=(kept,))).plan
    assert [move.quantity for move in plan.moves] == [Decimal("500.00")]
    assert plan.uncovered == (("call-1", Decimal("450.00")),)


def test_an_asset_counts_no_further_than_its_concentration_limit() -> None:
    problem = one_need([("1000", "0", "0", "0")], "900")
    limit = {("venue/C", "USDC"): Acceptance(haircut=Decimal("0.1"), value_max=Decimal(90))}
    plan = optimal_plan(replace(problem, acceptance=limit)).plan
    assert sum(move.value for move in plan.moves) == Decimal(90)


def test_a_haircut_of_one_is_refused_by_name() -> None:
    problem = one_need([("1000", "0", "0", "0")], "900")
    with pytest.raises(ParameterError, match=r"haircut of USDC at venue/C is 1, limit is \[0, 1\)"):
        replace(problem, acceptance={("venue/C", "USDC"): Acceptance(haircut=Decimal(1))})


def test_no_need_has_an_empty_plan() -> None:
    problem = Problem(assets=assets_of(1), holdings=(), needs=(), acceptance={}, rails={})
    assert optimal_plan(problem).plan == Plan(moves=(), uncovered=(), cost=Decimal(0))

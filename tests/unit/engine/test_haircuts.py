"""Haircuts of single holdings."""

from __future__ import annotations

import numpy as np
import pytest

from engine.collateral.haircuts import (
    deposit_scaled_haircut,
    haircut_to_tick,
    schedule_haircut,
    size_penalised_haircut,
    tiered_haircut,
    tiered_haircuts,
    tiered_haircuts_with_fx,
)
from engine.collateral.items import CollateralItem, collateral_value
from engine.errors import ModelInputError
from engine.rules import HaircutTier

TIERS = (HaircutTier(0.0, 0.1), HaircutTier(100.0, 0.5), HaircutTier(200.0, 1.0))


def test_haircut_of_one_makes_collateral_worthless() -> None:
    item = CollateralItem(asset="X", market_value=100.0, haircut=1.0)
    assert collateral_value([item]).collateral_value == 0.0


def test_tiers_are_marginal() -> None:
    assert tiered_haircut(150.0, TIERS) == pytest.approx((100 * 0.1 + 50 * 0.5) / 150)


def test_value_beyond_a_tier_of_one_counts_for_nothing() -> None:
    at_bound = 200.0 * (1.0 - tiered_haircut(200.0, TIERS))
    beyond = 900.0 * (1.0 - tiered_haircut(900.0, TIERS))
    assert beyond == pytest.approx(at_bound)


def test_empty_holding_takes_the_first_tier() -> None:
    assert tiered_haircut(0.0, TIERS) == 0.1


def test_many_holdings_are_cut_as_one_would() -> None:
    basis = np.array([0.0, 50.0, 100.0, 150.0, 1e6])
    assert tiered_haircuts(basis, TIERS).tolist() == [tiered_haircut(b, TIERS) for b in basis]


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (HaircutTier(1.0, 0.1),),
        (HaircutTier(0.0, 0.1), HaircutTier(0.0, 0.2)),
        (HaircutTier(0.0, 0.1), HaircutTier(5.0, 0.2), HaircutTier(3.0, 0.3)),
    ],
)
def test_tiers_that_do_not_rise_from_zero_are_refused(tiers: tuple[HaircutTier, ...]) -> None:
    with pytest.raises(ModelInputError, match="floor"):
        tiered_haircut(10.0, tiers)


def test_currency_haircut_takes_no_more_than_the_tier_leaves() -> None:
    haircut, fx = tiered_haircuts_with_fx(np.array([300.0]), TIERS, np.array([0.08]))
    counted = 300.0 * (1.0 - haircut[0] - fx[0])
    assert counted == pytest.approx(100 * (1 - 0.1 - 0.08) + 100 * (1 - 0.5 - 0.08))


@pytest.mark.parametrize(
    ("years", "expected"), [(1.0, 0.005), (1.01, 0.02), (5.0, 0.02), (5.1, 0.04)]
)
def test_bound_of_a_maturity_bucket_belongs_to_the_shorter_one(
    years: float, expected: float
) -> None:
    assert schedule_haircut("sovereign", "1", years) == expected


def test_bond_without_maturity_is_refused() -> None:
    with pytest.raises(ModelInputError, match="maturity"):
        schedule_haircut("corporate", "1")


def test_small_holding_pays_no_size_penalty() -> None:
    assert size_penalised_haircut(0.1, quantity=100.0, size_penalty=0.001) == pytest.approx(0.1)


def test_deposits_below_the_scale_leave_the_haircut() -> None:
    assert deposit_scaled_haircut(0.1, deposits_value=499.0, scale_start=500.0) == 0.1


def test_twice_the_scale_halves_the_weight() -> None:
    scaled = deposit_scaled_haircut(0.1, deposits_value=1_000.0, scale_start=500.0)
    assert scaled == pytest.approx(0.55)


def test_haircut_rounds_up_but_not_above_one() -> None:
    assert haircut_to_tick(0.1201, 0.01) == 0.13
    assert haircut_to_tick(0.95, 0.3) == 1.0


def test_item_without_a_value_is_refused_by_name() -> None:
    with pytest.raises(ModelInputError, match="ETH needs quantity"):
        collateral_value([CollateralItem(asset="ETH")])

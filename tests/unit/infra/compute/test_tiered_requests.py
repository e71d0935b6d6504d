"""Requests for tiered margin, liquidation prices and margin levels: what each rule needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.errors import ContractViolation, MarginPlatformError, ModelInputError
from infra.compute import compute

POSITION: dict[str, Any] = {"symbol": "A", "quantity": 2, "mark_price": 100}
SCALED: dict[str, Any] = {
    "rule": "open_interest_scaled",
    "initial_margin_rate": 0.1,
    "maintenance_fraction": 0.5,
    "open_interest_upper_cap": 1000,
}
SLOPE: dict[str, Any] = {
    "rule": "size_slope",
    "initial_margin_rate": 0.02,
    "maintenance_margin_rate": 0.01,
    "rate_slope_per_unit": 0.001,
}
TIERS: dict[str, Any] = {
    "rule": "notional_tiers",
    "tiers": [{"notional_floor": 0, "maintenance_margin_rate": 0.01}],
}


def refusal(calculation: str, inputs: dict[str, Any]) -> type[MarginPlatformError]:
    with pytest.raises((ContractViolation, ModelInputError)) as caught:
        compute(calculation, inputs)
    assert str(caught.value)
    return ContractViolation if caught.type is ContractViolation else ModelInputError


def tiered(rules: dict[str, Any], **position: object) -> dict[str, Any]:
    return {"positions": [{**POSITION, **position}], "parameters": {"A": rules}}


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (TIERS, "tiers"),
        (SLOPE, "rate_slope_per_unit"),
        (SLOPE, "maintenance_margin_rate"),
        (SCALED, "maintenance_fraction"),
        (SCALED, "rule"),
    ],
)
def test_field_that_the_rule_needs_is_missing(rules: dict[str, Any], field: str) -> None:
    rest = {name: value for name, value in rules.items() if name != field}
    assert refusal("tiered_margin", tiered(rest, open_interest=1)) is ContractViolation


def test_open_interest_is_needed_only_when_the_caps_differ() -> None:
    assert refusal("tiered_margin", tiered(SCALED)) is ContractViolation
    assert refusal("tiered_margin", tiered(SCALED, open_interest=None)) is ContractViolation
    equal = {**SCALED, "open_interest_lower_cap": 1000}
    assert compute("tiered_margin", tiered(equal))["initial_margin"] == 20.0
    # 5 x 100 of 1,000: half of the way from 0.1 to 1.
    found = compute("tiered_margin", tiered(SCALED, open_interest=5))
    assert found["initial_margin"] == pytest.approx(110.0)
    assert found["maintenance_margin"] == 10.0


@pytest.mark.parametrize(
    "unused",
    [
        tiered({**TIERS, "rate_tick": -1, "initial_margin_rate": "x"}),
        tiered(TIERS, open_interest=-1),
        tiered({**SCALED, "open_interest_upper_cap": 0}, open_interest="x"),
        tiered({**SCALED, "open_interest_upper_cap": 0, "tiers": []}, leverage=-3),
    ],
)
def test_field_that_only_another_rule_uses_is_ignored(unused: dict[str, Any]) -> None:
    before = copy.deepcopy(unused)
    assert "maintenance_margin" in compute("tiered_margin", unused)
    assert unused == before


@pytest.mark.parametrize(
    "wrong",
    [
        tiered({**SCALED, "open_interest_lower_cap": 2000}, open_interest=1),
        tiered({**TIERS, "tiers": [{"notional_floor": 5, "maintenance_margin_rate": 0.01}]}),
        tiered(TIERS, symbol="B"),
        tiered(TIERS, quantity=1e308, mark_price=1e308),
        tiered({**TIERS, "rule": "brackets"}),
    ],
)
def test_unusable_value_is_a_model_input_error(wrong: dict[str, Any]) -> None:
    assert refusal("tiered_margin", wrong) is ModelInputError


def test_answer_leaves_out_what_a_rule_does_not_state() -> None:
    found = compute("tiered_margin", tiered(TIERS))
    assert "initial_margin" not in found
    assert found["positions"] == [
        {
            "symbol": "A",
            "notional": 200.0,
            "maintenance_margin": 2.0,
            "maintenance_margin_rate": 0.01,
            "maintenance_deduction": 0.0,
            "tier_deductions": [0.0],
        }
    ]
    only_initial = {**TIERS, "tiers": [{"notional_floor": 0, "initial_margin_rate": 0.1}]}
    row = compute("tiered_margin", tiered(only_initial))["positions"][0]  # type: ignore[index]
    assert row["maintenance_margin"] == 0.0
    assert "maintenance_margin_rate" not in row
    assert "tier_deductions" not in row


LIQUIDATION: dict[str, Any] = {
    "position": {"quantity": 1, "entry_price": 100},
    "collateral_balance": 20,
    "parameters": {"rule": "mark_notional", "maintenance_margin_rate": 0.01},
}
BY_FACTOR = {"rule": "risk_factor", "risk_factor_long": 0.1, "risk_factor_short": 0.1}


def test_liquidation_takes_collateral_or_leverage_and_orders_need_the_mark() -> None:
    assert refusal("liquidation_price", {**LIQUIDATION, "leverage": 5}) is ContractViolation
    by_leverage = {**LIQUIDATION, "collateral_balance": None, "leverage": 5}
    assert compute("liquidation_price", by_leverage) == compute("liquidation_price", LIQUIDATION)
    # Orders matter to one rule alone, and only there do they need a mark.
    with_orders = {**LIQUIDATION, "open_orders": [{"quantity": 0}], "mark_price": -1}
    assert compute("liquidation_price", with_orders) == compute("liquidation_price", LIQUIDATION)
    factors = {**LIQUIDATION, "parameters": BY_FACTOR}
    assert set(compute("liquidation_price", {**factors, "mark_price": -1})) == {"liquidation_price"}
    ordered = {**factors, "open_orders": [{"quantity": -1}]}
    assert refusal("liquidation_price", ordered) is ContractViolation
    found = compute("liquidation_price", {**ordered, "mark_price": 100})
    assert found["liquidation_price_all_sells_filled"] == 0.0


def test_price_that_is_never_reached_is_null_and_not_left_out() -> None:
    hedged = {
        **LIQUIDATION,
        "position": {"quantity": -100, "entry_price": 100, "settlement": "inverse"},
        "collateral_balance": 1.5,
    }
    found = compute("liquidation_price", hedged)
    assert found["liquidation_price"] is None
    assert found["bankruptcy_price"] is None


LEVELS: dict[str, Any] = {
    "margin_mode": "cross",
    "quantity": 1,
    "mark_price": 100,
    "parameters": {"risk_factor_long": 0.1, "risk_factor_short": 0.1},
}


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({**LEVELS, "margin_mode": "isolated"}, ContractViolation),
        ({**LEVELS, "margin_mode": "fully_collateralised"}, ContractViolation),
        (
            {
                **LEVELS,
                "margin_mode": "fully_collateralised",
                "parameters": {**LEVELS["parameters"], "price_max": 200},
                "open_orders": [{"quantity": 1}],
            },
            ContractViolation,
        ),
        (
            {
                **LEVELS,
                "margin_mode": "fully_collateralised",
                "parameters": {**LEVELS["parameters"], "price_max": 50},
            },
            ModelInputError,
        ),
        ({**LEVELS, "parameters": {**LEVELS["parameters"], "zz": None}}, ContractViolation),
        ({**LEVELS, "in_auction": 1}, ContractViolation),
    ],
)
def test_margin_mode_needs_its_parameters(
    inputs: dict[str, Any], kind: type[MarginPlatformError]
) -> None:
    assert refusal("margin_levels", inputs) is kind


def test_margin_mode_ignores_what_only_another_uses() -> None:
    unused = {"isolated_margin_factor": 7, "price_max": -1, "price_tick": 0}
    noisy = {**LEVELS, "auction_price": -1, "parameters": {**LEVELS["parameters"], **unused}}
    assert compute("margin_levels", noisy) == compute("margin_levels", LEVELS)

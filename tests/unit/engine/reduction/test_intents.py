"""What approvers see of a reduction is what is sent: one text, one hash, keys for ever."""

from __future__ import annotations

import uuid
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.approvals import ApprovalTier
from engine.errors import MarginPlatformError, ParameterError
from engine.reduction import ReductionTerms, intent_from, order_key
from tests.worlds.reductions import hedge, intent, leg, policy


def test_an_intent_is_read_back_from_its_text() -> None:
    whole = intent(hedge(), leg(number=2, instrument_id="sim:ETH-PERP"), kind="hedge_first")
    assert intent_from(whole.canonical) == whole
    assert whole.notional == 2 * 600_000


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"legs": 1}'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(MarginPlatformError):
        intent_from(text)


def test_a_text_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(MarginPlatformError, match="canonical"):
        intent_from(intent().canonical.replace(":", ": ", 1))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_any_change_of_a_leg_changes_the_hash_and_keeps_the_name(one: int, other: int) -> None:
    first, second = intent(leg(lots=one)), intent(leg(lots=other))
    assert (first.payload_hash == second.payload_hash) == (one == other)
    assert first.plan_id == second.plan_id


def test_keys_are_functions_of_plan_leg_and_slice() -> None:
    plan = intent().plan_id
    keys = {order_key(plan, n, k) for n in (1, 2) for k in (1, 2)}
    assert len(keys) == 4
    assert all(len(key) == 32 and key.isalnum() for key in keys)
    # For ever: orders that are at venues carry this one.
    text = '{"leg":1,"plan_id":"' + "0" * 32 + '","slice":1}'
    space = uuid.UUID("2d0b1c54-6f0e-5c4f-8e0a-6a3f1f5f9a61")
    assert order_key("0" * 32, 1, 1) == uuid.uuid5(space, text).hex
    assert intent(attempt=2).plan_id != plan


@pytest.mark.parametrize("changes", [
    {"lots": 0}, {"lots": True}, {"number": 0}, {"lot": Decimal(0)}, {"tick": Decimal("NaN")},
    {"mark_price": Decimal(-1)}, {"daily_volume": Decimal("Infinity")}, {"notional": Decimal(0)},
    {"exposure": Decimal("NaN")}, {"is_reduce_only": False}, {"account_id": "a b"},
])  # fmt: skip
def test_a_leg_that_makes_no_sense_is_refused(changes: dict) -> None:
    with pytest.raises(MarginPlatformError):
        leg(**changes)


def test_legs_are_numbered_and_touch_a_position_once() -> None:
    with pytest.raises(MarginPlatformError, match="in order"):
        intent(leg(number=2))
    with pytest.raises(MarginPlatformError, match="one leg"):
        intent(leg(), leg(number=2))


def test_the_mode_is_the_most_cautious_of_what_is_agreed_asked_and_allowed() -> None:
    open_house = policy(mode="shadow", mode_ceiling="automatic")
    assert open_house.mode_of("") == "shadow"
    assert open_house.mode_of("automatic") == "automatic"
    assert open_house.mode_of("automatic", "approval") == "approval"
    assert open_house.mode_of("approval", "automatic") == "approval"
    careful = policy(mode="shadow", mode_ceiling="approval")
    assert careful.mode_of("automatic") == "approval"


def test_nothing_goes_by_itself_but_small_plans_in_the_automatic_mode() -> None:
    rules = policy()
    assert rules.approvers_for("automatic", Decimal(1_000_000)) == 0
    assert rules.approvers_for("automatic", Decimal(1_000_001)) == 2
    assert rules.approvers_for("approval", Decimal(1)) == 1
    lenient = policy(tiers=(ApprovalTier(Decimal(0), 0),))
    assert lenient.approvers_for("approval", Decimal(1)) == 1


@pytest.mark.parametrize("changes", [
    {"mode": "automatic", "mode_ceiling": "shadow"},
    {"tiers": (ApprovalTier(Decimal(5), 1),)},
    {"terms": ReductionTerms(hedges=("sim:BTC-PERP",))},
])  # fmt: skip
def test_a_policy_that_contradicts_itself_is_refused(changes: dict) -> None:
    with pytest.raises(ParameterError):
        policy(**changes)
    assert replace(policy(), plan_lifetime_minutes=5.0).lifetime.total_seconds() == 300

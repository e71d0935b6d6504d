"""What a venue would liquidate, step by step, worked by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelInputError
from engine.reduction import AccountState, LiquidationRules, waterfall

UNIT = {"P": 100.0}


def tenth(equity: float, of_orders: float = 0.0):
    """Return a venue that asks a tenth of notional, and more for open orders."""

    def margin_of(left: Mapping[str, float], has_orders: bool) -> AccountState:
        notional = sum(abs(quantity) * UNIT[name] for name, quantity in left.items())
        return AccountState(
            maintenance_margin=0.1 * notional + of_orders * has_orders, equity=equity
        )

    return margin_of


def rules(**changes: object) -> LiquidationRules:
    facts: dict[str, object] = {"cancels_orders": True, "step_share": 0.5, "fee_rate": 0.01}
    return LiquidationRules(**{**facts, **changes})  # type: ignore[arg-type]


def test_an_account_that_covers_its_margin_is_left_alone() -> None:
    assert waterfall({"P": 10.0}, UNIT, rules(), tenth(100.0)).end == "covered"


def test_cancelling_orders_may_be_enough() -> None:
    found = waterfall({"P": 10.0}, UNIT, rules(), tenth(100.0, of_orders=5.0))
    assert (found.end, found.fees, found.notional) == ("restored", 0.0, 0.0)
    assert [step.action for step in found.steps] == ["cancel_orders"]


def test_steps_go_on_until_equity_less_fees_covers_what_is_left() -> None:
    # 10 contracts: margin 100. A half takes 500 at a fee of 5: 50 against 70 - 5.
    found = waterfall({"P": -10.0}, UNIT, rules(step_seconds=30.0), tenth(70.0))
    assert (found.end, found.fees, found.notional) == ("restored", 5.0, 500.0)
    last = found.steps[-1]
    assert dict(last.taken) == {"P": -5.0}
    assert (last.maintenance_margin, last.equity, last.after_seconds) == (50.0, 65.0, 30.0)


def test_full_takeover_leaves_nothing_and_may_end_below_zero() -> None:
    whole = rules(step_share=1.0)
    assert waterfall({"P": 10.0}, UNIT, whole, tenth(50.0)).end == "closed_out"
    assert waterfall({"P": 10.0}, UNIT, whole, tenth(5.0)).end == "bankrupt"


def test_small_positions_go_at_once_and_a_backstop_keeps_what_is_left() -> None:
    shares = rules(step_share=0.2, fee_rate=0.0, whole_below=2_000.0)
    assert len(waterfall({"P": 10.0}, UNIT, shares, tenth(70.0)).steps) == 2
    taken_over = rules(step_share=0.2, fee_rate=0.0, backstop_share=2 / 3)
    found = waterfall({"P": 10.0}, UNIT, taken_over, tenth(60.0))
    assert (found.end, found.fees, found.notional) == ("closed_out", 60.0, 1_000.0)


def test_an_unknown_margin_is_never_covered() -> None:
    with pytest.raises(ModelInputError, match="not finite"):
        waterfall({"P": 10.0}, UNIT, rules(), tenth(float("nan")))
    with pytest.raises(ModelInputError, match="no exposure of Q"):
        waterfall({"Q": 10.0}, UNIT, rules(), tenth(1.0))


@given(st.floats(0.05, 1.0), st.floats(0.0, 0.05), st.floats(-50.0, 500.0), st.floats(0.1, 100.0))
def test_every_waterfall_ends_and_takes_no_more_than_there_is(
    share: float, fee: float, equity: float, quantity: float
) -> None:
    found = waterfall({"P": quantity}, UNIT, rules(step_share=share, fee_rate=fee), tenth(equity))
    taken = sum(step.taken.get("P", 0.0) for step in found.steps)
    assert taken <= quantity * (1 + 1e-9)
    assert found.fees == pytest.approx(fee * found.notional)
    if found.end == "restored":
        assert found.steps[-1].maintenance_margin <= found.steps[-1].equity
    if found.end in ("closed_out", "bankrupt"):
        assert taken == pytest.approx(quantity)


@given(st.floats(0.0, 90.0), st.floats(0.0, 90.0))
def test_less_equity_never_costs_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    worse = waterfall({"P": 10.0}, UNIT, rules(), tenth(low))
    better = waterfall({"P": 10.0}, UNIT, rules(), tenth(high))
    assert worse.fees >= better.fees

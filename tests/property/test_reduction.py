"""Plans of reduction: they restore the ratio, and make no position larger or turn it round."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.assess import assess
from engine.reduction import ReductionPlan, ReductionTerms, plan_reduction
from engine.whatif import Candidate, Order
from tests.property.test_whatif import TRADED, close, prepared
from tests.worlds import small
from tests.worlds.applied import with_orders

TERMS = ReductionTerms(ratio_target=0.9, notional_max=1e12, volume_share_max=1.0)
LOT = Decimal("0.001")

quantities = st.floats(-20.0, 20.0).map(lambda value: round(value, 3)).filter(lambda q: q != 0.0)
books = st.dictionaries(st.sampled_from(TRADED), quantities, min_size=1, max_size=5)
pledged = st.floats(1_000.0, 400_000.0).map(lambda value: round(value, 2))
slow = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def require_reducing(book: dict[str, float], plan: ReductionPlan) -> None:
    """Check I-47: no order but towards zero, and none beyond it."""
    for order in plan.orders:
        held = Decimal(repr(book[order.instrument_id]))
        assert order.is_reduce_only
        assert (order.side == "sell") == (held > 0)
        assert 0 < order.quantity <= abs(held)
        assert order.quantity % LOT == 0


@slow
@given(books, pledged)
def test_a_plan_restores_the_ratio_or_says_that_it_cannot(
    book: dict[str, float], usd: float
) -> None:
    held = prepared(book, {"USD": usd})
    plan = plan_reduction(held, TERMS)
    require_reducing(book, plan)
    if plan.status == "not_needed":
        assert plan.orders == ()
        assert plan.ratio_after <= TERMS.ratio_target
    elif plan.status == "restores":
        assert plan.ratio_after <= TERMS.ratio_target * (1 + 1e-9)
        assert plan.after["requirement"] < plan.before["requirement"]
    else:
        assert plan.reason
        assert plan.ratio_after > TERMS.ratio_target


@slow
@given(books, pledged)
def test_its_figures_are_those_of_a_full_assessment(book: dict[str, float], usd: float) -> None:
    plan = plan_reduction(prepared(book, {"USD": usd}), TERMS)
    rules, _ = close()
    positions = small.position_set(*(("A", name, quantity) for name, quantity in book.items()))
    orders = tuple(
        Order(
            side=order.side,
            quantity=float(order.quantity),
            instrument_id=order.instrument_id,
            account_id=order.account_id,
        )
        for order in plan.orders
    )
    whole = assess(
        small.snapshot(),
        with_orders(positions, "A", Candidate(candidate_id="c", orders=orders), "A"),
        small.collateral_set(("A", "USD", usd)),
        rules,
    )
    assert plan.after["requirement"] == whole.requirements["requirement"].iloc[0]


@slow
@given(books, pledged)
def test_no_order_of_a_plan_is_a_lot_too_large(book: dict[str, float], usd: float) -> None:
    held = prepared(book, {"USD": usd})
    plan = plan_reduction(held, TERMS)
    if plan.status != "restores" or len(plan.orders) != 1:
        return
    # A single order was trimmed last: one lot less no longer restores the ratio.
    from engine.reduction.plan import _Search

    (order,) = plan.orders
    search = _Search(held, TERMS)
    sign = 1 if order.side == "buy" else -1
    fewer = order.quantity - LOT
    if fewer:
        key = (order.instrument_id, order.account_id)
        gaps, _ = search._priced([{key: sign * fewer}])
        assert gaps[0] > 0.0


def test_what_carries_the_risk_is_reduced_and_its_hedge_is_left_alone() -> None:
    book = {"binance:ETHUSDT": -60.0, "binance:BTCUSDT": 0.2}
    plan = plan_reduction(prepared(book, {"USD": 40_000.0}), TERMS)
    assert plan.status == "restores"
    assert [order.instrument_id for order in plan.orders] == ["binance:ETHUSDT"]
    assert plan.cost > 0.0


def test_a_limit_that_is_too_tight_is_named() -> None:
    tight = ReductionTerms(ratio_target=0.9, notional_max=100.0)
    plan = plan_reduction(prepared({"binance:ETHUSDT": -60.0}, {"USD": 1_000.0}), tight)
    assert plan.status == "insufficient"
    assert "limits of the terms" in plan.reason


def test_a_hedge_is_opened_only_where_the_terms_allow_it() -> None:
    option, perpetual = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-PERPETUAL"
    book = prepared({option: -20.0}, {"USD": 150_000.0})
    # Options that nobody quotes are dear to buy back.
    is_option = book.market.instrument_id == option
    spread = np.where(is_option, 5_000.0, book.market.half_spread)
    book = replace(book, market=replace(book.market, half_spread=spread))
    without = plan_reduction(book, TERMS)
    assert [order.is_reduce_only for order in without.orders] == [True]
    hedged = plan_reduction(book, replace(TERMS, hedges=(perpetual,)))
    assert hedged.status == "restores"
    assert [(order.instrument_id, order.side) for order in hedged.orders] == [(perpetual, "buy")]
    assert not hedged.orders[0].is_reduce_only
    assert hedged.cost < without.cost


def test_terms_refuse_a_ratio_above_one() -> None:
    from pydantic import TypeAdapter, ValidationError

    with pytest.raises(ValidationError, match="ratio_target"):
        TypeAdapter(ReductionTerms).validate_python({"ratio_target": 1.5})

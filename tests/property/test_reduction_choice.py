"""Hedge first or reduce only: the cheaper plan that restores, and the venue's own waterfall."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from engine.market import PreparedMarket, prepare
from engine.portfolio import portfolio
from engine.reduction import (
    LIQUIDATION,
    LiquidationRules,
    ReductionTerms,
    account_waterfalls,
    choose_reduction,
    legs_of,
    waterfall,
)
from engine.reduction.waterfall import AccountState
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet
from engine.venue_rules import venue_rules
from engine.whatif import PreparedBook, prepare_book
from tests.worlds import small, venues

OPTION, PERP = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-PERPETUAL"
TERMS = ReductionTerms(ratio_target=0.9, notional_max=1e12, volume_share_max=1.0)
RULES = LiquidationRules(cancels_orders=True, step_share=0.5, fee_rate=0.001, hedges_first=True)


@cache
def close() -> tuple[RuleBook, PreparedMarket]:
    like = next(one for one in venues.sets() if one.venue == "deribit")
    own = replace(like, model=LIQUIDATION, scope="*", parameters=RULES, parameters_hash="00")
    rules = venues.rules(small.agreement("A"), venues=venue_rules([*venues.sets(), own]))
    return rules, prepare(small.snapshot(), rules)


def book(mode: str, *, calls: float = -20.0, perps: float = 0.0, usd: float = 150_000.0,
         spread: float = 5_000.0, coins: float = 0.0) -> PreparedBook:  # fmt: skip
    """Return a book short of calls that nobody quotes closely, in an account of a mode."""
    rules, market = close()
    held = [("A", OPTION, calls)] + ([("A", PERP, perps)] if perps else [])
    positions = PositionSet(
        positions=small.positions(*held),
        open_orders=venues.no_orders(),
        accounts=venues.accounts(("A", "deribit", mode, np.nan)),
    )
    collateral = small.collateral_set(("A", "USD", usd))
    if coins:
        at_venue = small.collateral_set(("A", "BTC", coins)).holdings.assign(location="A-a")
        collateral = CollateralSet(at_venue)
    whole = portfolio(market, positions, collateral, rules)
    found = prepare_book(small.snapshot(), market, whole, positions, rules, "A")
    is_option = found.market.instrument_id == OPTION
    half = np.where(is_option, spread, found.market.half_spread)
    return replace(found, market=replace(found.market, half_spread=half))


PORTFOLIO, STANDARD = "segregated_portfolio", "segregated_standard"


def test_where_the_venue_lets_a_hedge_count_it_comes_first_if_it_is_cheaper() -> None:
    found = choose_reduction(book(PORTFOLIO), TERMS, 1e9)
    assert set(found.plans) == {"reduce_only", "hedge_first"}
    assert found.kind == "hedge_first", found.reason
    assert found.plans["hedge_first"].cost < found.plans["reduce_only"].cost
    assert found.plan.orders[0].instrument_id == PERP
    assert not found.plan.orders[0].is_reduce_only
    legs = legs_of(book(PORTFOLIO), found.plan.orders)
    assert legs[0].covers[0].instrument_id == OPTION
    assert legs[0].side == "buy"
    # Of an option the whole underlying counts.
    closing = legs_of(book(PORTFOLIO), found.plans["reduce_only"].orders)[0]
    assert closing.notional == Decimal("60000.0")


def test_in_a_standard_account_no_hedge_is_offered() -> None:
    found = choose_reduction(book(STANDARD), TERMS, 1e9)
    assert set(found.plans) == {"reduce_only"}
    assert "no hedge would count" in found.reason


def test_a_hedge_that_is_too_large_or_too_dear_is_not_taken() -> None:
    assert choose_reduction(book(PORTFOLIO), TERMS, 1_000.0).kind == "reduce_only"
    cheap = choose_reduction(book(PORTFOLIO, spread=0.001), TERMS, 1e9)
    assert cheap.kind == "reduce_only"
    assert "no hedge brings the ratio nearer per dollar" in cheap.reason


@pytest.mark.slow
def test_i47_what_is_held_of_the_hedge_is_never_turned_round() -> None:
    for perps in (-3_000.0, 3_000.0):
        held = book(PORTFOLIO, perps=perps)
        for plan in choose_reduction(held, TERMS, 1e12).plans.values():
            for order in plan.orders:
                if order.instrument_id != PERP:
                    continue
                sign = 1 if order.side == "buy" else -1
                if order.is_reduce_only:
                    assert sign * perps < 0 and order.quantity <= abs(Decimal(repr(perps)))
                else:
                    assert sign * perps > 0, "a hedge adds to what is held, or opens"


# With a single coin it is bankrupt after the most steps there may be, which takes a while.
@pytest.mark.parametrize("coins", [3.0, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_venue_that_hedges_first_opens_before_it_closes(coins: float) -> None:
    held = book(PORTFOLIO, coins=coins)
    (account,) = account_waterfalls(held)
    assert account.standing == "below"
    assert account.waterfall is not None
    first, second, *rest = account.waterfall.steps
    assert [first.action, second.action] == ["cancel_orders", "hedge"]
    assert {step.action for step in rest} <= {"liquidate"}
    # The calls are bought back in direction: futures are opened long.
    assert second.taken[PERP] < 0.0
    assert second.maintenance_margin < first.maintenance_margin


def test_a_hedge_may_be_all_that_a_venue_does() -> None:
    def margin_of(left, has_orders: bool) -> AccountState:
        net = abs(sum(left.values()))
        return AccountState(maintenance_margin=10.0 * net + 1.0, equity=20.0)

    def hedge_of(left):
        return {"F": -sum(left.values())}

    found = waterfall({"C": -10.0}, {"C": 50.0, "F": 100.0}, RULES, margin_of, hedge_of)
    assert [step.action for step in found.steps] == ["cancel_orders", "hedge"]
    assert (found.end, found.fees, found.notional) == ("restored", 1.0, 1_000.0)
    # Bought, so taken with a minus.
    assert dict(found.steps[1].taken) == {"F": -10.0}
    plain = waterfall({"C": -10.0}, {"C": 50.0}, replace(RULES, hedges_first=False), margin_of)
    assert "hedge" not in [step.action for step in plain.steps]

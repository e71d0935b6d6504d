"""What the venues would take of a book's accounts, on the venues' own margin."""

from __future__ import annotations

from datetime import date

import pytest

from engine.market import prepare
from engine.portfolio import portfolio
from engine.reduction import LIQUIDATION, LiquidationRules, account_waterfalls
from engine.snapshot import PositionSet
from engine.venue_rules import ParameterSet, venue_rules
from engine.whatif import PreparedBook, prepare_book
from tests.worlds import small, venues

PERP = "binance:BTCUSDT"
RULES = LiquidationRules(
    cancels_orders=True, step_share=0.2, fee_rate=0.01, step_seconds=30.0, whole_below=1_000.0
)


def prepared(quantity: float, usdt: float, *, rules_known: bool = True) -> PreparedBook:
    own = ParameterSet(
        venue="binance",
        model=LIQUIDATION,
        scope="*",
        effective_date=date(2026, 1, 1),
        source="typed here",
        evidence="documented",
        parameters=RULES,
        parameters_hash="00",
    )
    sets = [*venues.sets(), *([own] if rules_known else [])]
    rules = venues.rules(small.agreement("A"), venues=venue_rules(sets))
    positions = PositionSet(
        positions=small.positions(("A", PERP, quantity)),
        open_orders=venues.no_orders(),
        accounts=venues.accounts(("A", "binance", "usdm_cross", 20.0)),
    )
    collateral = small.collateral_set(("A", "USDT", usdt))
    holdings = collateral.holdings.assign(location="A-a")
    collateral = type(collateral)(holdings)
    snapshot = small.snapshot()
    market = prepare(snapshot, rules)
    book = portfolio(market, positions, collateral, rules)
    return prepare_book(snapshot, market, book, positions, rules, "A")


def test_an_account_above_its_maintenance_is_left_alone() -> None:
    (account,) = account_waterfalls(prepared(2.0, 10_000.0))
    assert (account.standing, account.waterfall) == ("covered", None)


def test_an_account_below_is_taken_down_until_its_margin_is_covered() -> None:
    # 120,000 USD of notional: 0.5 % less 50 is 550 of maintenance; 480 are there.
    (account,) = account_waterfalls(prepared(2.0, 480.0))
    assert account.maintenance_margin == pytest.approx(550.0)
    assert account.standing == "below"
    assert account.evidence == "documented"
    found = account.waterfall
    assert found is not None
    steps = [step for step in found.steps if step.action == "liquidate"]
    # Fees of 1 % eat the equity faster than a fifth of margin frees it: nothing is left.
    assert steps[0].fee == pytest.approx(0.01 * 0.2 * 120_000.0)
    assert steps[0].maintenance_margin == pytest.approx(96_000.0 * 0.005 - 50.0)
    assert found.end == "bankrupt"
    assert found.notional == pytest.approx(120_000.0)


def test_rules_that_are_not_known_are_said_to_be_so() -> None:
    (account,) = account_waterfalls(prepared(2.0, 480.0, rules_known=False))
    assert (account.standing, account.waterfall) == ("below", None)
    assert "binance/liquidation/usdm_cross" in account.reason

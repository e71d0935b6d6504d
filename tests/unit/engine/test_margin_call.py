"""Decisions of the house, and calls on loans."""

from __future__ import annotations

from decimal import Decimal
from time import process_time

import numpy as np
import pytest

from engine.calls.credit_support import CallTerms, transfer_for
from engine.calls.loan_margin_call import loan_margin_call
from engine.calls.margin_call import (
    CallDecision,
    CallInputs,
    Holdings,
    decide_call,
    decide_calls,
    margin_call,
)
from engine.errors import ModelInputError
from engine.money import Money
from engine.rules import Agreement
from tests.worlds import small


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def decided(
    requirement: str,
    collateral: str,
    *,
    pending: str = "0",
    fresh: bool = True,
    has_open_break: bool = False,
    terms: Agreement | None = None,
) -> CallDecision:
    agreement = terms or small.agreement(
        "A", minimum_transfer_amount=100.0, rounding_increment=10.0
    )
    return decide_call(
        usd(requirement),
        usd(collateral),
        agreement,
        fresh=fresh,
        has_open_break=has_open_break,
        pending=usd(pending),
    )


def test_deficit_is_called_and_rounded_up() -> None:
    found = decided("1234.56", "1000.00")
    assert (found.action, found.amount) == ("call", usd("240"))


def test_excess_is_returned_and_rounded_down() -> None:
    found = decided("1000.00", "1234.56")
    assert (found.action, found.amount) == ("return", usd("-230"))


@pytest.mark.parametrize(("fresh", "has_open_break"), [(False, False), (True, True), (False, True)])
def test_return_is_withheld_unless_inputs_are_fresh_and_books_agree(
    fresh: bool, has_open_break: bool
) -> None:
    found = decided("1000.00", "1234.56", fresh=fresh, has_open_break=has_open_break)
    assert found.action == "blocked"
    assert found.amount == usd("0")
    assert found.withheld == usd("-230")


@pytest.mark.parametrize(("fresh", "has_open_break"), [(False, False), (True, True)])
def test_call_is_never_withheld(fresh: bool, has_open_break: bool) -> None:
    found = decided("1234.56", "1000.00", fresh=fresh, has_open_break=has_open_break)
    assert found.action == "call"


def test_amount_equal_to_the_minimum_moves() -> None:
    assert decided("0.3", "0.1", terms=small.agreement("A", minimum_transfer_amount=0.2,
                   rounding_increment=0.1)).amount == usd("0.2")  # fmt: skip
    assert decided("1099.99", "1000.00").action == "none"


def test_threshold_comes_before_the_independent_amount() -> None:
    terms = small.agreement("A", threshold=500.0, independent_amount=200.0)
    assert decided("400", "0", terms=terms).credit_support_amount == usd("200")
    assert decided("900", "0", terms=terms).credit_support_amount == usd("600")


def test_transfer_on_its_way_in_is_not_called_twice() -> None:
    assert decided("2000", "1000", pending="1000").action == "none"
    assert decided("2000", "1000", pending="400").amount == usd("600")


def test_transfer_on_its_way_in_releases_nothing() -> None:
    assert decided("1000", "1000", pending="5000").action == "none"
    assert decided("1000", "1500", pending="5000").amount == usd("-500")


def test_return_on_its_way_out_is_not_returned_twice() -> None:
    assert decided("1000", "1500", pending="-500").action == "none"


def test_return_below_the_increment_is_no_action() -> None:
    terms = small.agreement("A", minimum_transfer_amount=0.0, rounding_increment=100.0)
    found = decided("1000", "1099", terms=terms)
    assert (found.action, str(found.amount.amount)) == ("none", "0")


def test_other_currency_is_refused() -> None:
    with pytest.raises(ModelInputError, match="EUR amount under an agreement in USD"):
        decide_call(
            usd("1"),
            Money(Decimal(1), "EUR"),
            small.agreement("A"),
            fresh=True,
            has_open_break=False,
            pending=usd("0"),
        )


def test_many_decisions_equal_single_ones_and_take_under_a_second_per_100_000() -> None:
    generator = np.random.default_rng(5)
    n = 20_000
    cents = generator.integers(0, 10**8, (2, n)).tolist()
    requirement, collateral = (
        np.array([Decimal(each) / 100 for each in row], dtype=object) for row in cents
    )
    pending = np.array([Decimal(int(each)) for each in generator.integers(-9, 9, n)], dtype=object)
    releasable = generator.random(n) < 0.5
    agreements = [small.agreement("A", threshold=float(1_000 * (i % 3))) for i in range(n)]
    started = process_time()
    found = decide_calls(
        Holdings(
            agreements=agreements,
            requirement=requirement,
            collateral=collateral,
            pending=pending,
            is_releasable=releasable,
        )
    )
    elapsed = process_time() - started
    # Five times the budget, so that a busy machine does not fail the test.
    assert elapsed < 5.0 * n / 100_000
    for row in range(0, n, 997):
        one = decide_call(
            Money(requirement[row], "USD"),
            Money(collateral[row], "USD"),
            agreements[row],
            fresh=bool(releasable[row]),
            has_open_break=False,
            pending=Money(pending[row], "USD"),
        )
        assert (found.action[row], found.amount[row]) == (one.action, one.amount.amount)
        assert found.withheld[row] == one.withheld.amount


def test_numbers_are_taken_as_written() -> None:
    terms = CallTerms(
        agreement="one_way", threshold=Decimal(0), minimum_transfer_amount=Decimal("0.2")
    )
    # 0.3 - 0.1 is below 0.2 in binary.
    found = margin_call(CallInputs(exposure=0.3, collateral=((0.1, 0.0),)), terms)
    assert (found.action, found.transfer_amount) == ("call", 0.2)


def test_two_way_agreement_has_its_own_minimum_each_way() -> None:
    terms = CallTerms(
        agreement="two_way",
        threshold=Decimal(0),
        minimum_transfer_amount=Decimal(50),
        minimum_transfer_amount_payable=Decimal(10),
    )
    assert transfer_for(Decimal(-20), terms) == -20
    assert transfer_for(Decimal(20), terms) == 0


def test_loan_at_its_maintenance_ratio_is_not_called() -> None:
    found = loan_margin_call(
        1_000.0,
        [(1_275.0, 0.2)],
        initial_margin_ratio=1.05,
        maintenance_margin_ratio=1.02,
    )
    assert not found.margin_call
    assert (found.call_amount, found.excess_collateral) == (0.0, 0.0)


def test_loan_without_collateral_has_no_loan_to_value() -> None:
    found = loan_margin_call(100.0, [], initial_margin_ratio=1.2, maintenance_margin_ratio=1.1)
    assert (found.call_amount, found.loan_to_value) == (120.0, None)


def test_maintenance_above_initial_is_refused() -> None:
    with pytest.raises(ModelInputError, match="maintenance_margin_ratio"):
        loan_margin_call(1.0, [], initial_margin_ratio=1.1, maintenance_margin_ratio=1.2)

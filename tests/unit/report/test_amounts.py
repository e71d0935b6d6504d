"""Figures as people read them."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.report.amounts import brief, count, exact, percent, short, signed, total
from infra.report.page.cells import plain_number

amounts = st.decimals(min_value=-(10**14), max_value=10**14, places=2)


@given(amounts)
def test_an_exact_amount_reads_back_as_itself(amount: Decimal) -> None:
    text = exact(amount)
    assert "-" not in text
    assert Decimal(text.replace(",", "").replace("−", "-")) == amount


@given(st.floats(min_value=1e-2, max_value=9e14))
def test_a_short_amount_is_within_half_a_percent(amount: float) -> None:
    number, _, unit = short(amount).partition("\xa0")
    factor = {"": 1.0, "k": 1e3, "M": 1e6, "bn": 1e9, "T": 1e12}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(amount, rel=0.0051, abs=0.0051)


@given(amounts)
def test_a_short_amount_has_at_most_four_digits(amount: Decimal) -> None:
    digits = [c for c in short(amount) if c.isdigit()]
    assert len(digits) <= 4


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("999500"), "1.00\xa0M"),
        (Decimal("999499"), "999\xa0k"),
        (Decimal("-12449000"), "−12.4\xa0M"),
        (0, "0"),
        (None, "—"),
        (float("nan"), "—"),
        (Decimal("NaN"), "—"),
    ],
)
def test_short_amounts_at_the_borders(amount: object, text: str) -> None:
    assert short(amount) == text


def test_a_rounded_zero_has_no_minus() -> None:
    assert exact(Decimal("-0.00")) == "0.00"
    assert percent(-0.0001) == "0.0\xa0%"
    assert signed(Decimal("0.00")) == "0.00"


def test_gains_have_a_plus_and_losses_a_real_minus() -> None:
    assert signed(Decimal("1234.5")) == "+1,234.50"
    assert signed(Decimal("-1234.5")) == "−1,234.50"


def test_a_bitcoin_amount_keeps_its_eight_decimals() -> None:
    assert exact(Decimal("0.12345678")) == "0.12345678"


def test_brief_amounts_drop_zeros_that_say_nothing() -> None:
    assert [brief(x) for x in (5e6, 12.5e6, 1e5, 0.0)] == ["5\xa0M", "12.5\xa0M", "100\xa0k", "0"]


def test_total_is_exact_and_leaves_out_what_is_absent() -> None:
    assert total([Decimal("0.1")] * 3 + [None]) == Decimal("0.3")


def test_a_quantity_shows_its_digits_and_no_float_noise() -> None:
    assert plain_number(606678645.19000006) == "606,678,645.19"
    assert plain_number(-0.00001234) == "−0.00001234"
    assert plain_number(2461000.0) == "2,461,000"
    assert plain_number(0.0) == "0"


def test_count_separates_thousands() -> None:
    assert count(64210) == "64,210"


def test_a_tie_is_rounded_alike_whatever_the_thread_has_set() -> None:
    tie = Decimal("0.000001385")
    with localcontext() as context:
        context.rounding = ROUND_HALF_UP
        half_up = exact(tie, 8)
    assert half_up == exact(tie, 8) == "0.00000138"

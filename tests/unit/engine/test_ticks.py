"""Rounding to ticks, and of many amounts at once."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.money import Rounding, exact, round_amounts, round_to_decimals, to_money
from engine.ticks import round_to_tick


def test_binary_noise_buys_no_tick() -> None:
    assert round_to_tick(0.1 + 0.2, 0.1, "up") == 0.3
    assert round_to_tick(0.3 - 1e-17, 0.1, "down") == 0.3


def test_real_excess_buys_a_tick() -> None:
    assert round_to_tick(0.30002, 0.1, "up") == 0.4


@pytest.mark.parametrize(("value", "expected"), [(4.5, 4.0), (-279.99, -279.0), (0.2, 0.0)])
def test_truncation_goes_towards_zero(value: float, expected: float) -> None:
    assert round_to_tick(value, 1.0, "toward_zero") == expected


def test_tick_of_zero_is_refused() -> None:
    with pytest.raises(ModelInputError, match="not above 0"):
        round_to_tick(1.0, 0.0, "up")


def test_ratio_beyond_the_digits_of_money_is_refused() -> None:
    with pytest.raises(ModelInputError, match="too many digits"):
        round_to_tick(1e300, 1e-10, "up")


def test_number_is_taken_as_written() -> None:
    assert exact(0.1) + exact(0.2) == Decimal("0.3")


@pytest.mark.parametrize("rounding", list(Rounding))
def test_many_amounts_round_as_one_would(rounding: Rounding) -> None:
    amounts = np.array([0.0, 1.005, -1.005, 2.675, -1e-12, 123456789.123456789, 0.1 + 0.2])
    decimals = np.array([2, 2, 2, 2, 8, 8, 1])
    found = round_amounts(amounts, decimals, rounding)
    pairs = zip(amounts.tolist(), decimals.tolist(), strict=True)
    assert found.tolist() == [to_money(a, "USD", d, rounding).amount for a, d in pairs]


def test_negative_zero_is_written_as_zero() -> None:
    tiny = round_amounts(np.array([-1e-20]), np.array([2]), Rounding.SETTLEMENT)
    assert str(tiny[0]) == "0.00"
    assert str(round_to_decimals(Decimal("-0.000001"), 2, Rounding.SETTLEMENT)) == "0.00"


@pytest.mark.parametrize("amount", [np.nan, np.inf])
def test_amount_that_is_not_finite_is_no_money(amount: float) -> None:
    with pytest.raises(ModelInputError, match="finite"):
        round_amounts(np.array([1.0, amount]), np.array([2, 2]), Rounding.SETTLEMENT)

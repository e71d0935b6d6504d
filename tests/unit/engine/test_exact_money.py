"""Money is the same whoever computes it, never a float, of any length, in any year (I-03, I-29)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_UP, Decimal, getcontext

import pytest

from engine.errors import ModelInputError
from engine.money import Money, Rounding, to_money
from engine.times import close_of, to_nanoseconds
from engine.transfers import TransferIntent


def amounts() -> list[str]:
    """Return roundings, sums and a product that another precision would change."""
    third = to_money(1 / 3, "USD", 8, Rounding.SETTLEMENT)
    large = Money(Decimal("123456789012345678901234567890.12345678"), "USD")
    return [
        str(third.amount), str((large + third).amount), str((-large).amount),
        str(to_money(0.1 + 0.2, "USD", 2, Rounding.REQUIREMENT).amount),
    ]  # fmt: skip


def careless() -> list[str]:
    """Compute in a thread of which somebody has set the context to three digits, rounded up."""
    context = getcontext()
    context.prec, context.rounding = 3, ROUND_UP
    return amounts()


def test_i29_money_does_not_depend_on_the_context_of_a_thread() -> None:
    expected = amounts()
    assert expected[1] == "123456789012345678901234567890.45679011"
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(work) for work in (careless, amounts, careless)]
        assert [one.result() for one in asked] == [expected] * 3


@pytest.mark.parametrize("value", [0.5, 1, "1", None, True])
def test_i03_nothing_but_a_decimal_becomes_money(value: object) -> None:
    with pytest.raises(ModelInputError, match="Money needs a Decimal"):
        Money(value, "USD")  # type: ignore[arg-type]


def test_i03_two_assets_are_never_added() -> None:
    with pytest.raises(ModelInputError, match="cannot combine"):
        Money(Decimal(1), "BTC") + Money(Decimal(1), "KRW")


def test_i03_a_token_of_eighteen_decimals_is_exact_up_to_its_limit_and_refused_beyond() -> None:
    most = 10**38 - 1
    whole = Decimal("99999999999999999999.999999999999999999")
    smallest = Decimal("0.000000000000000001")
    assert (Money(whole, "TOKEN") + Money(smallest, "TOKEN")).amount == Decimal(10) ** 20
    assert intent(most).quantity == whole
    for amount in (10**38, 2**127, 0, -1):
        with pytest.raises(ModelInputError, match="amount"):
            intent(amount)


def intent(amount: int) -> TransferIntent:
    return TransferIntent(
        purpose="call-1", leg=1, source="sim/a", destination="sim/b", asset="TOKEN",
        amount=amount, scale=18,
    )  # fmt: skip


@pytest.mark.parametrize(
    "day", [date(2028, 2, 29), date(2038, 1, 19), date(2100, 2, 28), date(2027, 12, 31)]
)
def test_days_at_the_edges_of_calendars_close_at_the_next_midnight(day: date) -> None:
    close = close_of(day)
    assert close == datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    # Seconds since 1970 leave 32 bits on 2038-01-19; nanoseconds have 64 until 2262.
    assert to_nanoseconds(close) == int(close.timestamp()) * 1_000_000_000

"""Positions built by fills, and cash among the accounts of a contract."""

from __future__ import annotations

import pytest

from engine.errors import ModelInputError
from engine.settlement.mark_to_market import mark_to_market_settlement
from engine.settlement.position import Fill, PositionTerms, position_pnl

LINEAR = PositionTerms()


def test_fills_that_add_up_to_nothing_leave_nothing_open() -> None:
    found = position_pnl([Fill(0.1, 10.0), Fill(0.2, 10.0), Fill(-0.3, 12.0)], LINEAR)
    assert found.quantity == 0.0
    assert found.average_entry_price is None
    assert found.realized_pnl == pytest.approx(0.6)


def test_partial_close_leaves_the_average() -> None:
    found = position_pnl([Fill(4.0, 10.0), Fill(-1.0, 20.0)], LINEAR)
    assert (found.average_entry_price, found.realized_pnl) == (10.0, 10.0)


def test_fill_that_turns_the_position_opens_the_rest_at_its_own_price() -> None:
    found = position_pnl([Fill(1.0, 10.0), Fill(-3.0, 14.0)], LINEAR, mark_price=13.0)
    assert (found.quantity, found.average_entry_price) == (-2.0, 14.0)
    assert (found.realized_pnl, found.unrealized_pnl, found.total_pnl) == (4.0, 2.0, 6.0)


def test_average_is_null_where_flat() -> None:
    found = position_pnl([Fill(1.0, 10.0), Fill(-1.0, 11.0), Fill(2.0, 12.0)], LINEAR)
    assert found.average_entry_after_fills == (10.0, None, 12.0)


def test_inverse_profit_is_in_coin() -> None:
    terms = PositionTerms("inverse", 100.0, "harmonic")
    found = position_pnl([Fill(10.0, 5_000.0)], terms, mark_price=10_000.0)
    assert found.unrealized_pnl == pytest.approx(10 * 100 * (1 / 5_000 - 1 / 10_000))
    assert found.notional == pytest.approx(0.1)


def test_funding_counts_in_the_total_but_not_in_the_running_profit() -> None:
    found = position_pnl([Fill(1.0, 10.0, 0.1)], LINEAR, mark_price=10.0, funding_received=5.0)
    assert (found.fees, found.realized_pnl, found.total_pnl) == (1.0, 4.0, 4.0)
    assert found.realized_pnl_after_fills == (-1.0,)


@pytest.mark.parametrize("fill", [Fill(0.0, 1.0), Fill(1.0, 0.0), Fill(1.0, float("nan"))])
def test_unusable_fill_is_refused(fill: Fill) -> None:
    with pytest.raises(ModelInputError, match="fill of"):
        position_pnl([fill], LINEAR)


def test_truncation_leaves_a_remainder_that_nobody_received() -> None:
    found = mark_to_market_settlement([110.1, -55.0, -56.0, 0.9], 5.0, amount_tick=1.0)
    assert found.variation_margins == (550.0, -275.0, -280.0, 4.0)
    assert found.undistributed_remainder == 1.0

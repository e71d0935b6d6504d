"""Equity after collateral rates against maintenance margin."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collateral.unified_margin_ratio import (
    UnifiedAccount,
    UnifiedAsset,
    UnifiedLoan,
    unified_margin_ratio,
)
from engine.errors import ModelInputError

BITCOIN = UnifiedAsset(asset="BTC", quantity=1.0, mark_price=100.0, collateral_rate=0.9)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e5), st.floats(0.0, 1.0))
def test_a_debt_counts_in_full_and_an_asset_after_its_rate(
    quantity: float, price: float, rate: float
) -> None:
    asset = UnifiedAsset(asset="A", quantity=quantity, mark_price=price, collateral_rate=rate)
    equity = unified_margin_ratio(UnifiedAccount(assets=[asset])).adjusted_equity_usd
    assert equity == (quantity * price * rate if quantity > 0.0 else quantity * price)


def test_what_cannot_be_stated_is_absent_and_never_zero() -> None:
    nothing_to_maintain = unified_margin_ratio(UnifiedAccount(assets=[BITCOIN]))
    assert nothing_to_maintain.margin_ratio is None
    assert nothing_to_maintain.initial_margin_rate is None
    assert nothing_to_maintain.available_balance_usd is None
    debt = replace(BITCOIN, quantity=-1.0)
    account = UnifiedAccount(
        assets=[debt], positions_maintenance_margin_usd=10.0, positions_initial_margin_usd=20.0
    )
    under_water = unified_margin_ratio(account)
    assert under_water.margin_ratio == -10.0
    assert under_water.maintenance_margin_rate is None
    assert under_water.initial_margin_rate is None
    assert under_water.available_balance_usd == -120.0


def test_rates_are_truncated_and_the_ratio_is_not() -> None:
    account = UnifiedAccount(
        assets=[BITCOIN],
        loans=[
            UnifiedLoan(asset="ETH", quantity=2.0, mark_price=10.0, maintenance_margin_rate=0.1)
        ],
        positions_maintenance_margin_usd=5.0,
        positions_initial_margin_usd=10.0,
        open_order_loss_usd=1.0,
        rate_tick=0.01,
    )
    found = unified_margin_ratio(account)
    assert found.adjusted_equity_usd == 89.0
    assert found.maintenance_margin_usd == 7.0
    assert found.margin_ratio == 89.0 / 7.0
    assert (found.maintenance_margin_rate, found.initial_margin_rate) == (0.07, 0.11)


@pytest.mark.parametrize(("price", "rate"), [(0.0, 0.9), (100.0, 1.1), (float("nan"), 0.9)])
def test_unusable_price_or_rate_is_refused(price: float, rate: float) -> None:
    with pytest.raises(ModelInputError, match="'BTC'"):
        unified_margin_ratio(
            UnifiedAccount(assets=[replace(BITCOIN, mark_price=price, collateral_rate=rate)])
        )

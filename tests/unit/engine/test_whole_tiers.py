"""Tiers whose rate applies to the whole of a position: margin jumps at their floors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.margin.tier_table import TieredPositions, tier_table, tiered_margins
from engine.margin.tiered import NotionalTiers, Tier
from engine.margin.tiered_liquidation import Cover, tiered_liquidation_prices

RATES = ((0.0, 0.004, 0.008), (100_000.0, 0.01, 0.02), (500_000.0, 0.05, 0.1))
WHOLE = NotionalTiers(
    tiers=tuple(
        Tier(notional_floor=floor, maintenance_margin_rate=m, initial_margin_rate=i)
        for floor, m, i in RATES
    ),
    rate_applies="whole",
)


def positions(quantity: float, price: float, *, is_inverse: bool = False) -> TieredPositions:
    return TieredPositions(
        symbol=np.zeros(1, dtype=np.int64),
        quantity=np.array([quantity]),
        mark_price=np.array([price]),
        contract_multiplier=np.ones(1),
        is_inverse=np.array([is_inverse]),
        leverage=np.array([np.nan]),
        open_interest=np.array([np.nan]),
    )


@pytest.mark.parametrize(
    ("notional", "maintenance", "initial"),
    [
        (50_000.0, 200.0, 400.0),
        # The upper bound belongs to the lower tier; just beyond it the whole has the next rate.
        (100_000.0, 400.0, 800.0),
        (100_100.0, 1_001.0, 2_002.0),
        (600_000.0, 30_000.0, 60_000.0),
    ],
)
def test_the_last_tier_has_all_of_it(notional: float, maintenance: float, initial: float) -> None:
    found = tiered_margins(positions(notional / 100.0, 100.0), tier_table([WHOLE]))
    assert found.maintenance_margin.tolist() == pytest.approx([maintenance])
    assert found.initial_margin.tolist() == pytest.approx([initial])
    assert found.maintenance_deduction.tolist() == [0.0]


def test_marginal_is_what_is_meant_where_nothing_is_said() -> None:
    marginal = NotionalTiers(tiers=WHOLE.tiers)
    found = tiered_margins(positions(6_000.0, 100.0), tier_table([marginal]))
    assert found.maintenance_margin.tolist() == pytest.approx([400.0 + 4_000.0 + 5_000.0])


def test_the_largest_position_is_above_the_last_floor() -> None:
    with pytest.raises(ParameterError, match="notional_max"):
        NotionalTiers(tiers=WHOLE.tiers, notional_max=500_000.0)


@settings(max_examples=150, deadline=None)
@given(
    size=st.floats(1.0, 9_000.0),
    equity=st.floats(0.001, 0.5),
    is_long=st.booleans(),
    is_inverse=st.booleans(),
)
def test_the_liquidation_price_is_the_first_on_the_way_at_which_equity_falls_short(
    size: float, equity: float, is_long: bool, is_inverse: bool
) -> None:
    price = 100.0
    units = size * price * price if is_inverse else size
    held = positions(units if is_long else -units, price, is_inverse=is_inverse)
    table = tier_table([WHOLE])
    notional = float(held.notional()[0])
    balance = equity * notional
    cover = Cover(
        equity=np.array([balance]),
        other_maintenance_margin=np.zeros(1),
        taker_fee_rate=np.zeros(1),
    )

    def surplus(at: np.ndarray) -> np.ndarray:
        moved = units / at if is_inverse else units * at
        gain = (units / price - units / at) if is_inverse else units * (at - price)
        rate = np.select([moved <= floor for floor in (100_000.0, 500_000.0)], [0.004, 0.01], 0.05)
        return balance + (gain if is_long else -gain) - rate * moved

    if surplus(np.array([price]))[0] <= 0.0:
        return
    found = float(tiered_liquidation_prices(held, table, cover)[0])
    way = np.geomspace(price, price / 1e3 if is_long else price * 1e3, 200_001)
    short = np.flatnonzero(surplus(way) < 0.0)
    if not len(short):
        # Not on the way: it is never reached, or farther than was looked.
        assert found <= way[-1] if is_long else found >= way[-1]
        return
    first, before = way[short[0]], way[short[0] - 1]
    low, high = sorted((first, before))
    assert low * (1.0 - 1e-9) <= found <= high * (1.0 + 1e-9)

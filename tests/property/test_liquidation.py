"""Laws of liquidation prices: what holds at the price, and on which side of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import ModelInputError
from engine.margin.close_out_price import CloseOutParameters, IndexedPosition, close_out_price
from engine.margin.liquidation_price import (
    CrossAccount,
    HeldPosition,
    NotionalMaintenance,
    OtherPosition,
    RiskFactorMaintenance,
    liquidation_price,
)
from engine.margin.tiered import (
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    Tier,
    TieredParameters,
    TieredPositions,
    tier_table,
    tiered_margins,
)
from engine.margin.tiered_liquidation import Cover, account_cover, tiered_liquidation_prices
from engine.settlement.position import PositionTerms
from tests.property.test_tiered import tier_lists

quick = settings(max_examples=300, deadline=None)
INVERSE = PositionTerms("inverse", 1.0)
RATE = NotionalMaintenance(rule="mark_notional", maintenance_margin_rate=0.005)


@dataclass(frozen=True)
class Case:
    """One position with its cover; the reciprocal of the price counts when inverse."""

    parameters: TieredParameters
    quantity: float
    mark_price: float
    is_inverse: bool
    equity: float
    others: float
    fee: float

    def positions(self, price: float) -> TieredPositions:
        one = np.ones(1)
        return TieredPositions(
            symbol=np.zeros(1, dtype=np.int64),
            quantity=self.quantity * one,
            mark_price=price * one,
            contract_multiplier=one,
            is_inverse=np.array([self.is_inverse]),
            leverage=math.nan * one,
            open_interest=one,
        )

    def price(self) -> float:
        one = np.ones(1)
        cover = Cover(
            equity=self.equity * one,
            other_maintenance_margin=self.others * one,
            taker_fee_rate=self.fee * one,
        )
        table = tier_table([self.parameters])
        return float(tiered_liquidation_prices(self.positions(self.mark_price), table, cover)[0])

    def surplus(self, price: float) -> float:
        """Return equity above all requirements and fees when the position's mark is ``price``."""
        terms = PositionTerms("inverse" if self.is_inverse else "linear")
        own = tiered_margins(self.positions(price), tier_table([self.parameters]))
        fees = self.fee * terms.notional(self.quantity, price)
        profit = terms.profit(self.quantity, self.mark_price, price)
        return self.equity + profit - self.others - fees - float(own.maintenance_margin[0])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    is_inverse = draw(st.booleans())
    parameters = draw(
        tier_lists()
        | st.builds(
            SizeSlope,
            initial_margin_rate=st.just(0.02),
            maintenance_margin_rate=st.sampled_from([0.0, 0.01, 0.2]),
            rate_slope_per_unit=st.sampled_from([0.0, 5e-5, 1e-3, 0.05]),
            size_threshold=st.sampled_from([0.0, 30.0]),
        )
        | st.just(OpenInterestScaled(initial_margin_rate=0.1, maintenance_fraction=0.6))
    )
    mark_price = draw(st.floats(0.5, 1e5))
    notional = draw(st.floats(1.0, 2e9 if isinstance(parameters, NotionalTiers) else 1e3))
    units = notional * mark_price if is_inverse else notional / mark_price
    return Case(
        parameters=parameters,
        quantity=draw(st.sampled_from([1.0, -1.0])) * units,
        mark_price=mark_price,
        is_inverse=is_inverse,
        equity=notional * draw(st.floats(-0.5, 2.5)),
        others=notional * draw(st.sampled_from([0.0, 0.1])),
        fee=draw(st.sampled_from([0.0, 0.0005])),
    )


@quick
@given(cases())
def test_at_the_liquidation_price_equity_equals_maintenance(case: Case) -> None:
    price = case.price()
    assume(0.0 < price < math.inf)
    terms = PositionTerms("inverse" if case.is_inverse else "linear")
    scale = sum(terms.notional(case.quantity, each) for each in (price, case.mark_price))
    assert abs(case.surplus(price)) <= 1e-9 * scale


@quick
@given(cases())
def test_account_is_above_water_on_one_side_and_below_on_the_other(case: Case) -> None:
    price = case.price()
    is_long = case.quantity > 0.0
    if 0.0 < price < math.inf:
        better, worse = (
            (price * 1.001, price * 0.999) if is_long else (price / 1.001, price * 1.001)
        )
        assert case.surplus(better) > 0.0 > case.surplus(worse)
    elif (price == 0.0) == is_long:
        # Never liquidated: covered at the worst price of all, 0 for a long, any for a short.
        assert case.surplus(case.mark_price * (1e-6 if is_long else 1e6)) >= 0.0
    else:
        assert case.surplus(case.mark_price * (1e6 if is_long else 1e-6)) <= 0.0


@quick
@given(cases(), st.floats(1.0, 1e9))
def test_more_collateral_never_brings_liquidation_nearer(case: Case, added: float) -> None:
    before, after = case.price(), replace(case, equity=case.equity + added).price()
    if case.quantity > 0.0:
        assert after <= before * (1.0 + 1e-12)
    else:
        assert after >= before * (1.0 - 1e-12)


@quick
@given(cases())
def test_margin_of_other_positions_is_collateral_less(case: Case) -> None:
    alone = replace(case, equity=case.equity - case.others, others=0.0)
    assert case.price() == pytest.approx(alone.price(), rel=1e-9, abs=1e-9)


@quick
@given(
    st.sampled_from([1.0, -1.0]),
    st.booleans(),
    st.floats(0.0, 0.4),
    st.floats(0.01, 0.9),
    st.floats(0.0, 0.01),
)
def test_one_tier_gives_the_price_of_a_single_rate(
    side: float, is_inverse: bool, rate: float, share: float, fee: float
) -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=rate),))
    terms = PositionTerms("inverse" if is_inverse else "linear")
    held = HeldPosition(side * 3.0, 50.0, terms)
    equity = share * terms.notional(3.0, 50.0)
    single = liquidation_price(
        CrossAccount(position=held, collateral_balance=equity),
        NotionalMaintenance(rule="mark_notional", maintenance_margin_rate=rate, taker_fee_rate=fee),
    ).liquidation_price
    case = Case(tiers, side * 3.0, 50.0, is_inverse, equity, 0.0, fee)
    assert case.price() == (math.inf if single is None else pytest.approx(single, rel=1e-12))


@quick
@given(st.sampled_from([1.0, -1.0]), st.floats(1e-6, 1e-2), st.floats(0.0, 0.2))
def test_linear_and_inverse_agree_in_the_limit_of_small_moves(
    side: float, move: float, rate: float
) -> None:
    """Covered for a move h above its maintenance, either is liquidated after h + O(h^2)."""
    rule = NotionalMaintenance(rule="entry_notional", maintenance_margin_rate=rate)
    found = []
    for terms, quantity in ((PositionTerms(), side), (INVERSE, side * 100.0)):
        notional = terms.notional(quantity, 100.0)
        account = CrossAccount(
            position=HeldPosition(quantity, 100.0, terms),
            collateral_balance=(rate + move) * notional,
        )
        price = liquidation_price(account, rule).liquidation_price
        assert price is not None
        found.append(price / 100.0 - 1.0)
    linear, inverse = found
    assert linear == pytest.approx(-side * move, rel=1e-6)
    assert abs(linear - inverse) <= 2.0 * move**2


@quick
@given(st.floats(1e-6, 1e-2), st.floats(0.0, 0.2))
def test_linear_long_mirrors_inverse_short_in_the_limit(move: float, rate: float) -> None:
    """Maintenance of both falls as they lose: they meet it after the same small move."""
    rule = NotionalMaintenance(rule="mark_notional", maintenance_margin_rate=rate)
    found = []
    for terms, quantity in ((PositionTerms(), 1.0), (INVERSE, -100.0)):
        notional = terms.notional(quantity, 100.0)
        account = CrossAccount(
            position=HeldPosition(quantity, 100.0, terms),
            collateral_balance=(rate + move) * notional,
        )
        price = liquidation_price(account, rule).liquidation_price
        assert price is not None
        found.append(abs(price / 100.0 - 1.0))
    assert abs(found[0] - found[1]) <= 4.0 * move**2


def test_binance_example_finds_its_own_brackets() -> None:
    """Binance FAQ b3c689c1f50a44cabb3a84e663b81d93, cross margin of BTCUSDT and ETHUSDT."""
    bitcoin = [(0, 0.004), (5e4, 0.005), (25e4, 0.01), (1e6, 0.025), (1e7, 0.05), (2e7, 0.1)]
    ether = [(0, 0.005), (1e4, 0.0065), (1e5, 0.01), (5e5, 0.02), (1e6, 0.05), (2e6, 0.1)]
    table = tier_table(
        [
            NotionalTiers(
                tiers=tuple(
                    Tier(notional_floor=floor, maintenance_margin_rate=rate) for floor, rate in rows
                )
            )
            for rows in (bitcoin, ether)
        ]
    )
    quantity, mark = np.array([109.488, 3683.979]), np.array([31967.27, 1335.18])
    entry = np.array([32481.98, 1456.84])
    positions = TieredPositions(
        symbol=np.arange(2),
        quantity=quantity,
        mark_price=mark,
        contract_multiplier=np.ones(2),
        is_inverse=np.zeros(2, dtype=np.bool_),
        leverage=np.full(2, np.nan),
        open_interest=np.full(2, np.nan),
    )
    equity = np.array([1535443.01 + float((quantity * (mark - entry)).sum())])
    cover = account_cover(np.zeros(2, dtype=np.int64), equity, tiered_margins(positions, table))
    assert cover.other_maintenance_margin.round(3).tolist() == [356512.508, 71200.811]
    prices = tiered_liquidation_prices(positions, table, cover)
    assert prices.round(2).tolist() == [26316.89, 1153.26]


def test_flat_position_has_no_liquidation_price() -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=0.01),))
    assert math.isnan(Case(tiers, 0.0, 100.0, False, 10.0, 0.0, 0.0).price())
    with pytest.raises(ModelInputError, match="flat"):
        liquidation_price(
            CrossAccount(position=HeldPosition(0.0, 100.0), collateral_balance=1.0), RATE
        )


def test_extremes_read_as_never_or_always() -> None:
    tiers = NotionalTiers(tiers=(Tier(notional_floor=0.0, maintenance_margin_rate=0.01),))
    covered_long = Case(tiers, 1.0, 100.0, False, 100.0, 0.0, 0.0)
    hedged_short = Case(tiers, -100.0, 100.0, True, 1.0, 0.0, 0.0)
    lost_short = Case(tiers, -1.0, 100.0, False, -100.0, 0.0, 0.0)
    lost_long = Case(tiers, 100.0, 100.0, True, -1.0, 0.0, 0.0)
    assert [each.price() for each in (covered_long, hedged_short)] == [0.0, math.inf]
    assert [each.price() for each in (lost_short, lost_long)] == [0.0, math.inf]


def test_requirement_that_outgrows_the_value_of_a_long_is_always_past_liquidation() -> None:
    tiers = NotionalTiers(
        tiers=(
            Tier(notional_floor=0.0, maintenance_margin_rate=0.5),
            Tier(notional_floor=100.0, maintenance_margin_rate=1.0),
        )
    )
    assert Case(tiers, 2.0, 100.0, False, 100.0, 0.0, 0.0).price() == math.inf
    assert Case(tiers, 2.0, 100.0, False, 180.0, 0.0, 0.0).price() == pytest.approx(20.0)


def test_slope_that_outgrows_the_value_of_an_inverse_short_is_always_past_liquidation() -> None:
    steep = SizeSlope(
        initial_margin_rate=0.02,
        maintenance_margin_rate=0.01,
        rate_slope_per_unit=0.05,
        size_threshold=30.0,
    )
    # 100 coins short with an equity of 70: short of its margin at every price.
    lost = Case(steep, -100.0, 1.0, True, 70.0, 0.0, 0.0)
    assert max(lost.surplus(price) for price in np.linspace(0.01, 100.0, 2000)) < 0.0
    assert lost.price() == 0.0


def test_price_tick_rounds_against_the_position() -> None:
    rule = replace(RATE, price_tick=0.5)
    for quantity, expected in ((1.0, 90.5), (-1.0, 109.0)):
        account = CrossAccount(position=HeldPosition(quantity, 100.0), collateral_balance=10.0)
        assert liquidation_price(account, rule).liquidation_price == expected


def test_linear_long_whose_maintenance_falls_as_fast_is_refused() -> None:
    account = CrossAccount(position=HeldPosition(1.0, 100.0), collateral_balance=10.0)
    whole = RiskFactorMaintenance(
        risk_factor_long=0.6, risk_factor_short=0.6, linear_slippage_factor=0.3,
        quadratic_slippage_factor=0.1,
    )  # fmt: skip
    for rule in (replace(RATE, maintenance_margin_rate=1.0), whole):
        with pytest.raises(ModelInputError, match="fall as fast"):
            liquidation_price(account, rule)
    with pytest.raises(ModelInputError, match="limit <= 1"):
        liquidation_price(account, replace(RATE, maintenance_margin_rate=1.5))


def test_other_positions_of_another_settlement_are_refused() -> None:
    other = OtherPosition(
        held=HeldPosition(1.0, 100.0, INVERSE), mark_price=100.0, maintenance_margin_rate=0.01
    )
    account = CrossAccount(
        position=HeldPosition(1.0, 100.0), collateral_balance=10.0, other_positions=[other]
    )
    with pytest.raises(ModelInputError, match="no margin currency in common"):
        liquidation_price(account, RATE)


@quick
@given(
    st.floats(0.01, 100.0),
    st.sampled_from([1.0, -1.0]),
    st.floats(-1.5, 1.5),
    st.floats(0.001, 1.0),
    st.floats(0.0, 1.0),
)
def test_close_out_lies_between_index_and_largest_concession(
    size: float, side: float, equity_ratio: float, rate: float, spread: float
) -> None:
    quantity, index_price = side * size, 1000.0
    margin = size * index_price * rate
    cash = equity_ratio * margin - quantity * index_price
    held = IndexedPosition(
        symbol="A", quantity=quantity, index_price=index_price, maintenance_margin_rate=rate
    )
    found = close_out_price(
        [held],
        CloseOutParameters(spread_to_maintenance_ratio=spread),
        cash_balance=cash,
        close_symbol="A",
    )
    concession = side * (index_price - found.close_out_price)
    assert -1e-9 <= concession <= index_price * rate * spread + 1e-9
    # Sold at the bankruptcy amount, the account is left with nothing.
    assert cash + found.bankruptcy_amount == pytest.approx(0.0, abs=1e-6 * (abs(cash) + 1.0))


@pytest.mark.parametrize("change", [0.0, 0.1, -0.3])
def test_change_that_does_not_reduce_the_position_is_refused(change: float) -> None:
    held = IndexedPosition(symbol="A", quantity=0.2, index_price=100.0, maintenance_margin_rate=0.1)
    for positions, symbol in (([held], "A"), ([held], "B"), ([held, held], "A")):
        with pytest.raises(ModelInputError):
            close_out_price(
                positions, CloseOutParameters(), cash_balance=0.0, close_symbol=symbol,
                close_quantity=change,
            )  # fmt: skip

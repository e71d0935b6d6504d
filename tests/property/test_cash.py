"""What holds for all holdings and positions: value grows with quantity, cash sums to zero."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.calls.margin_call import decide_call
from engine.collateral.valuation import value_collateral
from engine.money import Money, Rounding, round_amounts, to_money
from engine.rules import Agreement, RuleBook
from engine.settlement.day import DaySettlement, settle_day
from engine.settlement.position import Fill, PositionTerms, position_pnl
from engine.snapshot import Snapshot
from tests.worlds import small

quick = settings(max_examples=60, deadline=None)
ASSETS = ("USD", "USDT", "BTC", "ETH", "SOL", "FTT", "DOGE")
PRICES = {"USDT": 1.0, "BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "FTT": 2.0, "DOGE": 0.1}
HELD = tuple(small.instruments()["instrument_id"])

cents = st.integers(0, 10**12).map(lambda value: Money(Decimal(value) / 100, "USD"))
quantities = st.floats(0.0, 1e6, allow_subnormal=False)
signed = st.floats(-1e4, 1e4).map(lambda value: round(value, 3)).filter(lambda value: value != 0.0)
prices = st.floats(1e-3, 1e6)


@cache
def market() -> tuple[Snapshot, RuleBook]:
    return small.snapshot(), small.rules(small.agreement("A"))


def collateral_worth(book: dict[str, float]) -> float:
    rows = pd.DataFrame(
        {
            "netting_set_id": "A",
            "location": "custodian",
            "asset": pd.Series(list(book), dtype="str"),
            "state": "settled",
            "quantity": pd.Series(list(book.values()), dtype="float64"),
        }
    )
    return float(value_collateral(rows, PRICES, market()[1], {})["collateral_value"].sum())


def settled(rows: list[tuple[str, str, float, float]]) -> DaySettlement:
    columns = ["account_id", "instrument_id", "quantity", "settled_price"]
    frame = pd.DataFrame(rows, columns=columns).assign(netting_set_id="A")
    return settle_day(market()[0], frame, market()[1])


@quick
@given(st.dictionaries(st.sampled_from(ASSETS), quantities), st.sampled_from(ASSETS), quantities)
def test_more_collateral_is_never_worth_less(
    book: dict[str, float], asset: str, more: float
) -> None:
    before = collateral_worth(book)
    after = collateral_worth({**book, asset: book.get(asset, 0.0) + more})
    # Sums of a few terms differ by their rounding.
    assert after >= before * (1.0 - 1e-12)


@quick
@given(st.dictionaries(st.sampled_from(ASSETS), quantities, min_size=1))
def test_collateral_is_worth_at_most_its_market_value(book: dict[str, float]) -> None:
    market_value = sum(
        quantity * PRICES.get(asset, 1.0) for asset, quantity in book.items() if asset != "DOGE"
    )
    assert 0.0 <= collateral_worth(book) <= market_value * (1.0 + 1e-12)


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    return small.agreement(
        "A",
        threshold=draw(st.sampled_from([0.0, 0.1, 1e5])),
        minimum_transfer_amount=draw(st.sampled_from([0.0, 0.3, 5e4])),
        rounding_increment=draw(st.sampled_from([0.01, 0.1, 1e4])),
        independent_amount=draw(st.sampled_from([0.0, 0.2, 1e4])),
    )


@quick
@given(cents, cents, agreements(), st.booleans(), st.booleans())
def test_call_restores_the_credit_support_amount_within_one_increment(
    requirement: Money, collateral: Money, terms: Agreement, fresh: bool, has_open_break: bool
) -> None:
    found = decide_call(
        requirement,
        collateral,
        terms,
        fresh=fresh,
        has_open_break=has_open_break,
        pending=Money(Decimal(0), "USD"),
    )
    increment = Decimal(repr(terms.rounding_increment))
    minimum = Decimal(repr(terms.minimum_transfer_amount))
    after = collateral.amount + found.amount.amount - found.credit_support_amount.amount
    if found.action == "call":
        assert 0 <= after < increment
    elif found.action == "return":
        assert fresh and not has_open_break
        assert 0 <= after < increment
    elif found.action == "blocked":
        assert not (fresh and not has_open_break)
        assert found.amount.amount == 0 > found.withheld.amount
    else:
        # Nothing moves: the difference is below the minimum, or a return below one increment.
        assert abs(after) < minimum or 0 <= after < increment
    assert (found.amount.amount / increment) % 1 == 0


@quick
@given(cents, cents, cents, agreements())
def test_money_on_its_way_in_never_raises_a_call_or_a_return(
    requirement: Money, collateral: Money, pending: Money, terms: Agreement
) -> None:
    without, with_pending = (
        decide_call(
            requirement, collateral, terms, fresh=True, has_open_break=False, pending=each
        ).amount.amount
        for each in (Money(Decimal(0), "USD"), pending)
    )
    if without > 0:
        assert 0 <= with_pending <= without
    else:
        assert with_pending == without


@quick
@given(st.sampled_from(HELD), signed, prices)
def test_opposite_positions_settle_to_exactly_nothing(
    instrument: str, quantity: float, price: float
) -> None:
    found = settled(
        [("long", instrument, quantity, price), ("short", instrument, -quantity, price)]
    ).settlements
    by_kind = found.groupby("kind")
    assert (by_kind["amount"].sum() == 0.0).all()
    assert all(sum(rows["amount_exact"], Decimal(0)) == 0 for _, rows in by_kind)


@quick
@given(st.sampled_from(HELD), st.lists(signed, min_size=1, max_size=6), prices)
def test_closed_set_of_accounts_settles_to_nothing(
    instrument: str, sizes: list[float], price: float
) -> None:
    # The last account takes the other side of all the others.
    sizes = [*sizes, -float(np.sum(sizes))]
    rows = [(f"account-{i}", instrument, size, price) for i, size in enumerate(sizes)]
    found = settled(rows).settlements
    for _, group in found.groupby("kind"):
        scale = max(-group["amount_exact"].iloc[0].as_tuple().exponent, 0)
        gross = float(group["amount"].abs().sum())
        assert abs(float(group["amount"].sum())) <= 1e-12 * gross + 1e-300
        # Each account is rounded by half a unit of its asset at most.
        units = abs(sum(group["amount_exact"], Decimal(0))) * 10**scale
        assert units <= Decimal(len(group)) / 2 + Decimal(repr(1e-12 * gross * 10.0**scale))


@quick
@given(st.lists(st.tuples(st.sampled_from(HELD), signed, prices), max_size=8), st.randoms())
def test_order_of_positions_changes_no_settlement(
    held: list[tuple[str, float, float]], random: object
) -> None:
    rows = [(f"account-{i}", *each) for i, each in enumerate(held)]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = settled(rows), settled(shuffled)
    pd.testing.assert_frame_equal(first.settlements, second.settlements, check_exact=True)
    pd.testing.assert_frame_equal(first.unsettled, second.unsettled)


@quick
@given(
    st.lists(st.tuples(signed, prices, st.floats(-0.01, 0.01)), min_size=1, max_size=8),
    prices,
    st.sampled_from(["linear", "inverse"]),
    st.sampled_from(["arithmetic", "harmonic"]),
)
def test_profit_of_a_position_is_its_cash_flow(
    fills: list[tuple[float, float, float]], mark: float, settlement: str, rule: str
) -> None:
    """Total profit depends on the fills and the mark alone where the average keeps the cost."""
    if (settlement, rule) not in (("linear", "arithmetic"), ("inverse", "harmonic")):
        return
    terms = PositionTerms(settlement, 1.0, rule)  # type: ignore[arg-type]
    found = position_pnl([Fill(*each) for each in fills], terms, mark_price=mark)
    flows = [terms.profit(quantity, price, mark) for quantity, price, _ in fills]
    fees = sum(rate * terms.notional(quantity, price) for quantity, price, rate in fills)
    scale = sum(terms.notional(q, p) + terms.notional(q, mark) for q, p, _ in fills)
    assert found.total_pnl == pytest.approx(sum(flows) - fees, abs=1e-9 * scale)


@quick
@given(
    st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=20),
    st.integers(0, 18),
    st.sampled_from(list(Rounding)),
)
def test_many_amounts_round_as_each_alone(
    amounts: list[float], decimals: int, rounding: Rounding
) -> None:
    found = round_amounts(np.array(amounts), np.full(len(amounts), decimals), rounding)
    assert found.tolist() == [to_money(a, "X", decimals, rounding).amount for a in amounts]


@st.composite
def amounts_near_a_tie(draw: st.DrawFn) -> tuple[float, int]:
    """Return a float at most three steps from where a direction or a guard digit tips over."""
    scale = draw(st.integers(0, 12))
    ticks = draw(st.integers(-(10**16), 10**16)) // 10 ** draw(st.integers(0, 16))
    part = draw(st.sampled_from([0.0, 0.5, 0.0001, 0.00005, 0.49995, 0.50005, 0.99995]))
    amount = (ticks + part) / 10**scale
    for _ in range(draw(st.integers(0, 3))):
        amount = float(np.nextafter(amount, draw(st.sampled_from([-np.inf, np.inf]))))
    return amount, scale


@settings(max_examples=400, deadline=None)
@given(st.lists(amounts_near_a_tie(), min_size=1), st.sampled_from(list(Rounding)))
def test_amounts_near_a_tie_round_as_decimals_do(
    amounts: list[tuple[float, int]], rounding: Rounding
) -> None:
    values, scales = zip(*amounts, strict=True)
    found = round_amounts(np.array(values), np.array(scales), rounding)
    alone = [to_money(value, "X", scale, rounding).amount for value, scale in amounts]
    assert [str(amount) for amount in found] == [str(amount) for amount in alone]

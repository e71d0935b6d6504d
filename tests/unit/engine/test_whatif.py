"""A what-if answers what a full assessment of the changed book would: the same bits."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.assess import assess
from engine.market import PreparedMarket, prepare
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet
from engine.whatif import (
    ANSWERED,
    OUTSIDE,
    Candidate,
    Order,
    PreparedBook,
    Transfer,
    WhatIf,
    prepare_book,
    what_if,
)
from engine.whatif.admission import Admitted, admitted
from engine.whatif.repeated_orders import Admissions
from tests.worlds import small
from tests.worlds.applied import with_orders, with_transfers

PERP, INVERSE, ETH = "binance:BTCUSDT", "deribit:BTC-PERPETUAL", "binance:ETHUSDT"
SPOT, NEW, SOL = "binance:BTCUSDT-SPOT", "binance:NEWUSDT", "binance:SOLUSDT"
CALL, PUT = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-26JUN26-60000-P"
FUTURE, ETH_CALL, QUANTO = "deribit:BTC-26JUN26", "bybit:ETH-26JUN26-3000-C", "okx:ETH-BTC-QUANTO"
SAME = (
    "book", "core_margin", "stressed_margin", "offset_margin", "anti_procyclicality", "gap_add_on",
    "liquidity_add_on", "wrong_way_add_on", "stress_grid_margin", "stress_grid_floor",
    "requirement", "collateral_value", "excess", "margin_ratio", "requirement_amount",
    "collateral_amount", "call_action", "call_amount", "withheld_amount",
)  # fmt: skip
HELD = (
    ("A", PERP, 2.0), ("A", ETH, -30.5), ("A", NEW, 1e5), ("A", CALL, -3.1), ("A", PUT, 0.7),
    ("A", INVERSE, 250.0), ("B", SOL, 40.0),
)  # fmt: skip
PLEDGED = (("A", "USDT", 150_000.0), ("A", "BTC", 3.2), ("B", "USD", 1e6))
ORDERS = pd.DataFrame(
    {
        "netting_set_id": ["A", "A", "A", "B"],
        "account_id": ["A-a", "A-a", "A-a", "B-a"],
        "order_id": ["o1", "o2", "o3", "o4"],
        "instrument_id": [PERP, ETH, ETH_CALL, SOL],
        "side": ["buy", "sell", "sell", "buy"],
        "remaining_quantity": [0.4, 12.0, 7.0, 1.0],
    }
)


def buy(quantity: float, instrument: str, **options: object) -> Order:
    return Order(side="buy", quantity=quantity, instrument_id=instrument, **options)  # type: ignore[arg-type]


def sell(quantity: float, instrument: str, **options: object) -> Order:
    return Order(side="sell", quantity=quantity, instrument_id=instrument, **options)  # type: ignore[arg-type]


def bring(quantity: float, asset: str, place: str | None = None) -> Transfer:
    return Transfer(asset=asset, quantity=quantity, source=OUTSIDE, destination=place)


def take(quantity: float, asset: str, place: str | None = None) -> Transfer:
    return Transfer(asset=asset, quantity=quantity, source=place, destination=OUTSIDE)


def candidate(*parts: Order | Transfer, name: str = "c") -> Candidate:
    return Candidate(
        candidate_id=name,
        orders=tuple(part for part in parts if isinstance(part, Order)),
        transfers=tuple(part for part in parts if isinstance(part, Transfer)),
    )


@cache
def market_of(confidence: float = 0.99) -> tuple[RuleBook, PreparedMarket]:
    rules = small.rules(
        small.agreement("A", confidence=confidence, threshold=1_000.0), small.agreement("B")
    )
    return rules, prepare(small.snapshot(), rules)


def close_of(
    held: tuple[tuple[str, str, float], ...] = HELD,
    pledged: tuple[tuple[str, str, float], ...] = PLEDGED,
    orders: pd.DataFrame | None = None,
) -> tuple[PositionSet, CollateralSet]:
    return small.position_set(*held, orders=orders), small.collateral_set(*pledged)


def prepared(
    positions: PositionSet,
    collateral: CollateralSet,
    rules: RuleBook | None = None,
    market: PreparedMarket | None = None,
) -> PreparedBook:
    known_rules, known_market = market_of()
    rules, market = rules or known_rules, market or known_market
    book = portfolio(market, positions, collateral, rules)
    return prepare_book(small.snapshot(), market, book, positions, rules, "A")


def assert_equals_assessment(
    asked: list[Candidate],
    positions: PositionSet,
    collateral: CollateralSet,
    rules: RuleBook | None = None,
    market: PreparedMarket | None = None,
) -> WhatIf:
    """Ask all at once, and compare each with the assessment of the book that has it."""
    rules = rules or market_of()[0]
    found = what_if(prepared(positions, collateral, rules, market), asked)
    whole = assess(small.snapshot(), positions, collateral, rules).requirements
    assert_same(found.before.iloc[0], whole[whole["netting_set_id"] == "A"].iloc[0])
    for each, (_, answer) in zip(asked, found.candidates.iterrows(), strict=True):
        assert answer["answer"] == ANSWERED, answer["reason"]
        whole = assess(
            small.snapshot(),
            with_orders(positions, "A", each, "A-a"),
            with_transfers(collateral, "A", each, "custodian"),
            rules,
        ).requirements
        assert_same(answer, whole[whole["netting_set_id"] == "A"].iloc[0])
    return found


def assert_same(ours: pd.Series, theirs: pd.Series) -> None:
    for name in SAME:
        assert ours[name] == theirs[name], (name, ours[name], theirs[name])


def with_floor() -> tuple[RuleBook, PreparedMarket]:
    """Return rules whose stress grid binds."""
    rules, _ = market_of()
    assert rules.house.stress_grid is not None
    grid = replace(rules.house.stress_grid, binds=True)
    bound = replace(rules, house=replace(rules.house, stress_grid=grid))
    return bound, prepare(small.snapshot(), bound)


SINGLE = [
    candidate(buy(0.3, PERP)),
    candidate(sell(2.0, PERP)),
    candidate(sell(5.7, PERP)),
    candidate(buy(30.5, ETH)),
    candidate(buy(61.0, ETH)),
    candidate(buy(1.1, CALL)),
    candidate(buy(3.1, CALL)),
    candidate(sell(2.0, PUT)),
    candidate(sell(700.0, INVERSE)),
    candidate(buy(123.0, FUTURE)),
    candidate(buy(0.5, SPOT)),
    candidate(sell(9.0, ETH_CALL)),
    candidate(buy(250.0, QUANTO)),
    candidate(sell(100.0, SOL)),
    candidate(sell(1e5, NEW)),
    candidate(buy(33.0, NEW)),
]
TRANSFERS = [
    candidate(bring(500_000.0, "USDT")),
    candidate(bring(2.5, "BTC")),
    candidate(bring(40.0, "ETH")),
    candidate(bring(10.0, "SOL", "vault")),
    candidate(bring(100_000.0, "USD", "vault")),
    candidate(take(50_000.0, "USDT")),
    candidate(take(3.2, "BTC")),
    candidate(Transfer(asset="BTC", quantity=1.2, source="custodian", destination="vault")),
]
BASKETS = [
    candidate(sell(2.0, PERP), buy(2.0, FUTURE)),
    candidate(sell(1.0, CALL), sell(1.0, PUT), buy(0.2, PERP)),
    candidate(buy(0.1, PERP), buy(0.2, PERP), sell(0.3, PERP)),
    candidate(buy(10.0, ETH), bring(1.0, "ETH"), take(1_000.0, "USDT")),
    candidate(sell(2.0, PERP), buy(30.5, ETH), sell(1e5, NEW), buy(3.1, CALL), sell(0.7, PUT),
              sell(250.0, INVERSE)),
    candidate(buy(7.0, SOL), sell(12.0, QUANTO), buy(1.0, ETH_CALL)),
]  # fmt: skip


def test_orders_in_every_kind_of_instrument_equal_a_full_assessment() -> None:
    assert_equals_assessment(SINGLE, *close_of())


def test_transfers_in_and_out_equal_a_full_assessment() -> None:
    assert_equals_assessment(TRANSFERS, *close_of())


def test_baskets_equal_a_full_assessment() -> None:
    found = assert_equals_assessment(BASKETS, *close_of())
    # The fifth closes every position: nothing is left to be margined, collateral falls or not.
    assert found.candidates["requirement"].iloc[4] == 0.0


def test_worse_side_of_open_orders_is_found_anew_for_each_candidate() -> None:
    asked = [*SINGLE[:6], *SINGLE[11:14], *TRANSFERS[:3], *BASKETS[:4]]
    found = assert_equals_assessment(asked, *close_of(orders=ORDERS))
    assert found.candidates["book"].nunique() > 1


@pytest.mark.parametrize("confidence", [0.95, 0.975, 0.9837, 0.995])
def test_other_confidence_levels_equal_a_full_assessment(confidence: float) -> None:
    rules, market = market_of(confidence)
    asked = [SINGLE[0], SINGLE[5], SINGLE[11], TRANSFERS[1], BASKETS[0]]
    assert_equals_assessment(asked, *close_of(), rules, market)


def test_every_add_on_takes_part() -> None:
    house = market_of()[0].house
    harsh = replace(
        house,
        gap=replace(house.gap, share=1.0),
        liquidity=replace(house.liquidity, volume_share_free=0.0),
    )
    rules = replace(market_of()[0], house=harsh)
    market = prepare(small.snapshot(), rules)
    asked = [SINGLE[0], SINGLE[2], SINGLE[5], TRANSFERS[1], TRANSFERS[2], BASKETS[3]]
    pledged = (("A", "BTC", 3.2), ("A", "SOL", 900.0), ("B", "USD", 1.0))
    held = (("A", PERP, 20.0), ("A", SOL, 800.0), ("A", NEW, 1e5), ("B", SOL, 4.0))
    found = assert_equals_assessment(
        [asked[0], asked[1], asked[2], asked[3], asked[4]],
        *close_of(held, pledged),
        rules,
        market,
    )
    for name in ("gap_add_on", "liquidity_add_on", "wrong_way_add_on", "anti_procyclicality"):
        assert (found.candidates[name] > 0.0).any(), name


def test_quantities_over_several_accounts_add_up_as_in_a_full_assessment() -> None:
    rows = small.positions(("A", PERP, 0.1), ("A", ETH, 0.3))
    parts = [rows]
    for account, quantity in (("A-b", 0.2), ("A-c", 1e-9), ("A-d", 1e3 / 3.0)):
        parts.append(rows.assign(account_id=account, quantity=quantity))
    positions = PositionSet(pd.concat(parts, ignore_index=True), small.no_orders())
    rules = small.rules(small.agreement("A"))
    asked = [
        candidate(buy(0.7, PERP, account_id=account)) for account in ("A-a", "A-b", "A-c", "A-d")
    ]
    asked.append(candidate(sell(0.1, PERP, account_id="A-a"), buy(0.4, ETH, account_id="A-c")))
    market = prepare(small.snapshot(), rules)
    assert_equals_assessment(asked, positions, small.collateral_set(), rules, market)


def test_netting_set_without_any_position_can_be_asked() -> None:
    positions, collateral = close_of((("B", SOL, 1.0),), (("A", "BTC", 1.0),))
    assert_equals_assessment([SINGLE[0], SINGLE[5], TRANSFERS[0]], positions, collateral)


def test_answers_do_not_depend_on_what_else_is_asked() -> None:
    book = prepared(*close_of(orders=ORDERS))
    asked = [*SINGLE, *TRANSFERS, *BASKETS] * 70
    together = what_if(book, asked).candidates
    alone = pd.concat([what_if(book, [each]).candidates for each in asked[:30]], ignore_index=True)
    pd.testing.assert_frame_equal(together.iloc[:30], alone, check_exact=True)
    n = len(SINGLE) + len(TRANSFERS) + len(BASKETS)
    last = together.iloc[-n:].reset_index(drop=True)
    pd.testing.assert_frame_equal(together.iloc[:n], last, check_exact=True)


def test_price_of_a_fill_moves_cash_and_not_the_requirement() -> None:
    book = prepared(*close_of())
    at_mark, cheap, coin = what_if(
        book,
        [
            candidate(buy(2.0, PERP)),
            candidate(buy(2.0, PERP, price=59_000.0)),
            candidate(sell(10.0, INVERSE, price=50_000.0), buy(1.0, CALL, price=0.12)),
        ],
    ).candidates["variation"]
    assert at_mark == 0.0
    assert cheap == pytest.approx(2.0 * 1_000.0)
    # Ten short contracts of 10 USD, paid in BTC, and a call bought 0.02 BTC above its mark.
    inverse = -100.0 * (1.0 / 50_000.0 - 1.0 / 60_000.0) * 60_000.0
    assert coin == pytest.approx(inverse - 0.02 * 60_000.0)
    requirement = what_if(book, [candidate(buy(2.0, PERP))]).candidates["requirement"]
    priced = what_if(book, [candidate(buy(2.0, PERP, price=1.0))]).candidates["requirement"]
    assert requirement.iloc[0] == priced.iloc[0]


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    what_if(prepared(*close_of()), SINGLE, lambda done, total: told.append((done, total)))
    assert told[-1] == (len(SINGLE), len(SINGLE))


def test_candidate_and_its_opposite_leave_the_book_as_it_was() -> None:
    found = what_if(
        prepared(*close_of(orders=ORDERS)),
        [
            candidate(buy(4.0, PERP), sell(4.0, PERP)),
            candidate(bring(1.5, "BTC"), take(1.5, "BTC")),
        ],
    )
    for _, answer in found.candidates.iterrows():
        assert answer["requirement"] == pytest.approx(
            found.before["requirement"].iloc[0], rel=1e-12
        )
        assert answer["collateral_value"] == pytest.approx(
            found.before["collateral_value"].iloc[0], rel=1e-12
        )


def test_nothing_asked_is_nothing_answered() -> None:
    found = what_if(prepared(*close_of()), [])
    assert found.candidates.empty
    assert np.isfinite(found.before["requirement"].iloc[0])


def test_a_stress_grid_that_binds_binds_candidates_too() -> None:
    rules, market = with_floor()
    found = assert_equals_assessment(SINGLE, *close_of(orders=ORDERS), rules=rules, market=market)
    assert (found.candidates["stress_grid_floor"] > 0.0).any()
    assert found.candidates["stress_grid_margin"].nunique() > 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell", "hold"]),
            st.sampled_from([0.1, 0.3, 1.0, 7.05, 40.0, 1e9, 0.0, -1.0, math.inf, math.nan]),
            st.sampled_from([PERP, NEW, CALL, SOL, INVERSE, "binance:GONE"]),
            st.sampled_from([None, None, 100.0, 0.0, math.nan]),
            st.sampled_from([None, None, "A-a", "A-b"]),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(deadline=None, max_examples=60)
def test_an_order_in_a_known_instrument_is_admitted_as_the_first_one_was(
    asked: list[tuple[str, float, str, float | None, str | None]],
) -> None:
    book = prepared(*close_of(orders=ORDERS))
    admit = Admissions(book)
    for side, quantity, name, price, account in asked:
        order = Order(side=side, quantity=quantity, instrument_id=name, price=price,
                      account_id=account)  # type: ignore[arg-type]  # fmt: skip
        ours, theirs = admit(candidate(order)), admitted(book, candidate(order))
        assert type(ours) is type(theirs)
        # Dataclasses compare by value, errors by what they say.
        assert (ours == theirs) if isinstance(ours, Admitted) else (str(ours) == str(theirs))

"""What cannot be answered is refused by name, in its row, and never looks like a safe figure."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.errors import MissingDataError, ModelInputError, OpenBreak, StaleMarkError
from engine.market import prepare
from engine.portfolio import portfolio
from engine.snapshot import CollateralSet, PositionSet
from engine.whatif import (
    ANSWERED,
    OUTSIDE,
    REFUSED,
    WHATIF_COLUMNS,
    Candidate,
    Order,
    PreparedBook,
    Transfer,
    prepare_book,
    what_if,
)
from engine.whatif import answer as answer_module
from tests.worlds import small

PERP, ETH, CALL = "binance:BTCUSDT", "binance:ETHUSDT", "deribit:BTC-26JUN26-60000-C"
HELD = (("A", PERP, 2.0), ("A", "deribit:BTC-PERPETUAL", 10.0), ("B", ETH, 1.0))


def book_of(
    held: tuple[tuple[str, str, float], ...] = HELD,
    positions: PositionSet | None = None,
    collateral: CollateralSet | None = None,
    **frames: pd.DataFrame,
) -> PreparedBook:
    rules = small.rules(small.agreement("A"), small.agreement("B"))
    snapshot = small.snapshot(**frames)
    market = prepare(snapshot, rules)
    positions = positions or small.position_set(*held)
    if collateral is None:
        collateral = small.collateral_set(("A", "USDT", 1_000.0), ("B", "USDT", 1.0))
    whole = portfolio(market, positions, collateral, rules)
    return prepare_book(snapshot, market, whole, positions, rules, "A")


def order(**changes: object) -> Candidate:
    facts: dict[str, object] = {"side": "buy", "quantity": 1.0, "instrument_id": PERP}
    return Candidate(candidate_id="c", orders=(Order(**{**facts, **changes}),))  # type: ignore[arg-type]


def transfer(**changes: object) -> Candidate:
    facts: dict[str, object] = {"asset": "USDT", "quantity": 10.0}
    return Candidate(candidate_id="c", transfers=(Transfer(**{**facts, **changes}),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (order(quantity=0.0), "quantity of binance:BTCUSDT is 0, limit above 0"),
        (order(quantity=-3.0), "quantity of binance:BTCUSDT is -3, limit above 0"),
        (order(quantity=math.nan), "quantity of binance:BTCUSDT is nan, limit above 0 and finite"),
        (order(quantity=math.inf), "quantity of binance:BTCUSDT is inf, limit above 0 and finite"),
        (order(price=0.0), "price of binance:BTCUSDT is 0, limit above 0"),
        (order(price=math.nan), "price of binance:BTCUSDT is nan"),
        (order(quantity=0.0005), "is 0.0005, no multiple of its lot of 0.001"),
        (order(quantity=1e7), "30.0 days of the average volume of BTC, limit 10: split the order"),
        (order(quantity=1e300), "days of the average volume of BTC, limit 10"),
        (order(side="hold"), "side of binance:BTCUSDT is 'hold', limit buy or sell"),
        (order(instrument_id="binance:NOPE"), "unknown instrument binance:NOPE: name one of the"),
        (order(account_id="A-z"), "A has no account A-z at binance, where binance:BTCUSDT trades"),
        (transfer(quantity=0.0), "quantity of USDT is 0, limit above 0"),
        (transfer(quantity=math.nan), "quantity of USDT is nan"),
        (transfer(asset="GOLD"), "no collateral parameters of GOLD: name one of"),
        (transfer(asset="BNB"), "no usable price of BNB: bring it"),
        (transfer(quantity=1e13), "is 10,000,000,000,000 USD, limit 1,000,000,000,000"),
        (transfer(source=None, destination=OUTSIDE, quantity=1_000.5), "where 1000 are settled"),
        (transfer(source="vault", destination=OUTSIDE), "out of vault, where 0 are settled"),
        (transfer(source="custodian", destination="custodian"), "to the same place"),
        (Candidate(candidate_id="c"), "has 0 orders and transfers, limit 1 to 1000"),
        (Candidate(candidate_id="c", fault="line 3 is no JSON"), "line 3 is no JSON"),
    ],
)  # fmt: skip
def test_bad_candidate_is_refused_in_its_row_and_the_others_are_answered(
    asked: Candidate, reason: str
) -> None:
    good = order(quantity=0.5)
    found = what_if(book_of(), [good, asked, good]).candidates
    assert found["answer"].tolist() == [ANSWERED, REFUSED, ANSWERED]
    assert reason in found["reason"].iloc[1]
    assert found["reason"].iloc[[0, 2]].tolist() == ["", ""]
    figures = found.loc[1, list(WHATIF_COLUMNS[4:])]
    assert figures.isna().all()
    assert found["requirement"].iloc[0] == found["requirement"].iloc[2] > 0.0


def test_basket_with_one_bad_part_is_refused_in_whole() -> None:
    parts = (*order().orders, *order(instrument_id="binance:NOPE").orders)
    found = what_if(book_of(), [Candidate(candidate_id="c", orders=parts)]).candidates
    assert found["answer"].tolist() == [REFUSED]
    assert list(found.columns) == list(WHATIF_COLUMNS)


def test_basket_may_not_take_out_more_than_it_leaves() -> None:
    out = Transfer(asset="USDT", quantity=600.0, source=None, destination=OUTSIDE)
    back = Transfer(asset="USDT", quantity=300.0)
    found = what_if(
        book_of(),
        [
            Candidate(candidate_id="twice", transfers=(out, out)),
            Candidate(candidate_id="refilled", transfers=(out, back, out)),
        ],
    ).candidates
    assert found["answer"].tolist() == [REFUSED, ANSWERED]
    assert "where 400 are settled" in found["reason"].iloc[0]


def test_order_in_an_instrument_without_a_fresh_price_is_refused() -> None:
    marks = small.marks(small.instruments())
    old = marks["instrument_id"] == ETH
    marks.loc[old, "observed_utc"] -= pd.Timedelta(hours=20)
    marks = marks[marks["instrument_id"] != CALL]
    found = what_if(
        book_of(held=(("A", PERP, 2.0),), marks=marks),
        [order(instrument_id=ETH), order(instrument_id=CALL), order()],
    ).candidates
    assert found["answer"].tolist() == [REFUSED, REFUSED, ANSWERED]
    assert "mark of binance:ETHUSDT is 20.0 h old, limit 12 h" in found["reason"].iloc[0]
    assert f"no mark of {CALL}" in found["reason"].iloc[1]


def test_order_in_an_instrument_that_expires_today_is_refused() -> None:
    table = small.instruments()
    table.loc[table["instrument_id"] == CALL, "expiry_utc"] = pd.Timestamp(
        "2026-03-10T08:00Z"
    ).as_unit("ms")
    found = what_if(book_of(instruments=table), [order(instrument_id=CALL)]).candidates
    assert f"{CALL} has expired" in found["reason"].iloc[0]


def test_ineligible_collateral_is_answered_and_said_to_count_nothing() -> None:
    rules = small.rules(small.agreement("A"))
    usdt = replace(rules.house.collateral["USDT"], eligible=False)
    house = replace(rules.house, collateral={**rules.house.collateral, "USDT": usdt})
    rules, snapshot = replace(rules, house=house), small.snapshot()
    market, positions = prepare(snapshot, rules), small.position_set(("A", PERP, 1.0))
    whole = portfolio(market, positions, small.collateral_set(), rules)
    book = prepare_book(snapshot, market, whole, positions, rules, "A")
    found = what_if(book, [transfer()]).candidates.iloc[0]
    assert found["answer"] == ANSWERED
    assert found["collateral_value"] == 0.0
    assert found["notes"] == "USDT is not eligible: it counts nothing"


def test_account_that_is_assumed_is_named() -> None:
    rows = small.positions(*HELD)
    other = rows[rows["instrument_id"] == PERP].assign(account_id="A-b", quantity=5.0)
    book = book_of(positions=PositionSet(pd.concat([rows, other]), small.no_orders()))
    found = what_if(book, [order(), order(instrument_id="bybit:ETH-26JUN26-3000-C")]).candidates
    assert found["notes"].tolist() == ["A-b of 2 accounts at binance", "no account at bybit yet"]


def test_unknown_netting_set_is_refused_with_names_that_are_known() -> None:
    rules, snapshot = small.rules(small.agreement("A")), small.snapshot()
    market, positions = prepare(snapshot, rules), small.position_set(("A", PERP, 1.0))
    whole = portfolio(market, positions, small.collateral_set(), rules)
    with pytest.raises(MissingDataError, match=r"no netting set AA among 1; .* A"):
        prepare_book(snapshot, market, whole, positions, rules, "AA")


def test_held_netting_set_is_refused() -> None:
    marks = small.marks(small.instruments())
    marks.loc[marks["instrument_id"] == PERP, "observed_utc"] -= pd.Timedelta(hours=20)
    with pytest.raises(StaleMarkError, match=r"A is held: mark of binance:BTCUSDT is 20\.0 h old"):
        book_of(marks=marks)


def test_failed_netting_set_is_refused() -> None:
    table = small.instruments()
    with pytest.raises(MissingDataError, match="A cannot be margined: unknown instrument"):
        book_of(instruments=table[table["instrument_id"] != PERP].reset_index(drop=True))


def test_open_break_of_a_position_is_refused_by_name() -> None:
    rows = small.positions(*HELD)
    rows.loc[(rows["source"] == "venue") & (rows["instrument_id"] == PERP), "quantity"] = 2.5
    message = r"A has an open break: brk-\w+: binance:BTCUSDT of A-a differs by 0\.5, tolerance"
    with pytest.raises(OpenBreak, match=message):
        book_of(positions=PositionSet(rows, small.no_orders()))


def test_open_break_of_a_balance_is_refused_by_name() -> None:
    holdings = small.collateral_set(("A", "USDT", 1_000.0)).holdings
    holdings.loc[holdings["source"] == "venue", "quantity"] = 999.0
    with pytest.raises(OpenBreak, match="USDT settled of custodian differs by 1"):
        book_of(collateral=CollateralSet(holdings))


@pytest.mark.parametrize("identifier", ["A", ""])
def test_holding_in_quarantine_is_an_open_break(identifier: str) -> None:
    faults = pd.DataFrame(
        {"dataset": ["collateral"], "identifier": [identifier], "reason": ["quantity is 'abc'"]}
    )
    with pytest.raises(OpenBreak, match=r"a row of collateral is in quarantine \(quantity is"):
        book_of(faults=faults)


def test_break_of_another_netting_set_is_no_obstacle() -> None:
    rows = small.positions(*HELD)
    rows.loc[(rows["source"] == "venue") & (rows["instrument_id"] == ETH), "quantity"] = 2.5
    book = book_of(positions=PositionSet(rows, small.no_orders()))
    assert what_if(book, [order()]).candidates["answer"].tolist() == [ANSWERED]


def test_too_many_candidates_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_module, "CANDIDATES_MAX", 3)
    with pytest.raises(ModelInputError, match="4 candidates, limit 3: split them"):
        what_if(book_of(), [order()] * 4)


def test_refused_candidates_do_not_change_the_figures_of_the_others() -> None:
    asked = [order(quantity=q) for q in (0.5, 0.0, 1.5, math.nan, 3.0)]
    book = book_of()
    found = what_if(book, asked).candidates
    clean = what_if(book, asked[::2]).candidates
    assert np.array_equal(found["requirement"].iloc[::2], clean["requirement"])

"""What holds for every candidate: it equals the assessment of the book that has it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.assess import assess, portfolio, prepare
from engine.market import PreparedMarket
from engine.rules import RuleBook
from engine.whatif import Candidate, Order, PreparedBook, Transfer, prepare_book, what_if
from tests.examples import examples
from tests.worlds import small
from tests.worlds.applied import with_orders, with_transfers

TRADED = (
    "binance:BTCUSDT",
    "binance:BTCUSDT-SPOT",
    "binance:ETHUSDT",
    "binance:NEWUSDT",
    "binance:SOLUSDT",
    "bybit:ETH-26JUN26-3000-C",
    "deribit:BTC-26JUN26",
    "deribit:BTC-26JUN26-60000-C",
    "deribit:BTC-26JUN26-60000-P",
    "deribit:BTC-PERPETUAL",
    "okx:ETH-BTC-QUANTO",
)
quantities = st.floats(-50.0, 50.0).map(lambda value: round(value, 3))
books = st.dictionaries(st.sampled_from(TRADED), quantities, min_size=1, max_size=6)
parts = st.dictionaries(
    st.sampled_from(TRADED), quantities.filter(lambda q: q != 0.0), min_size=1, max_size=3
)
pledged = st.dictionaries(
    st.sampled_from(("BTC", "ETH", "SOL", "USDT", "USD")),
    st.floats(1.0, 500.0).map(lambda value: round(value, 2)),
    max_size=3,
)
SAME = (
    "requirement", "stress_grid_margin", "collateral_value", "requirement_amount",
    "call_amount", "call_action",
)  # fmt: skip
quick = settings(
    max_examples=examples(12, of=25), deadline=None, suppress_health_check=list(HealthCheck)
)


@cache
def close() -> tuple[RuleBook, PreparedMarket]:
    rules = small.rules(small.agreement("A"))
    return rules, prepare(small.snapshot(), rules)


def prepared(book: dict[str, float], held: dict[str, float]) -> PreparedBook:
    rules, market = close()
    positions = small.position_set(*(("A", name, quantity) for name, quantity in book.items()))
    collateral = small.collateral_set(*(("A", asset, q) for asset, q in held.items()))
    whole = portfolio(market, positions, collateral, rules)
    return prepare_book(small.snapshot(), market, whole, positions, rules, "A")


def candidate(orders: dict[str, float], brought: dict[str, float] | None = None) -> Candidate:
    return Candidate(
        candidate_id="c",
        orders=tuple(
            Order(side="buy" if q > 0.0 else "sell", quantity=abs(q), instrument_id=name)
            for name, q in orders.items()
        ),
        transfers=tuple(Transfer(asset=a, quantity=q) for a, q in (brought or {}).items()),
    )


@quick
@given(books, pledged, parts, pledged)
def test_answer_is_the_assessment_of_the_book_with_the_candidate(
    book: dict[str, float], held: dict[str, float], orders: dict[str, float],
    brought: dict[str, float],
) -> None:  # fmt: skip
    asked = candidate(orders, brought)
    answer = what_if(prepared(book, held), [asked]).candidates.iloc[0]
    assert answer["answer"] == "answered", answer["reason"]
    positions = small.position_set(*(("A", name, quantity) for name, quantity in book.items()))
    collateral = small.collateral_set(*(("A", asset, q) for asset, q in held.items()))
    (whole,) = assess(
        small.snapshot(),
        with_orders(positions, "A", asked, "A-a"),
        with_transfers(collateral, "A", asked, "custodian"),
        close()[0],
    ).requirements.to_dict("records")
    for name in SAME:
        assert answer[name] == whole[name], (name, answer[name], whole[name])


@quick
@given(books, parts)
def test_candidate_and_its_opposite_return_to_the_start(
    book: dict[str, float], orders: dict[str, float]
) -> None:
    there = candidate(orders)
    back = candidate({name: -quantity for name, quantity in orders.items()})
    both = Candidate(candidate_id="both", orders=there.orders + back.orders)
    found = what_if(prepared(book, {}), [both])
    start = float(found.before["requirement"].iloc[0])
    # Quantities return up to the last bit of a float.
    assert float(found.candidates["requirement"].iloc[0]) == pytest.approx(
        start, rel=1e-9, abs=1e-6
    )


@quick
@given(books)
def test_closing_every_position_needs_nothing(book: dict[str, float]) -> None:
    held = {name: quantity for name, quantity in book.items() if quantity != 0.0}
    if not held:
        return
    closing = candidate({name: -quantity for name, quantity in held.items()})
    found = what_if(prepared(book, {"BTC": 2.0}), [closing]).candidates
    assert found["requirement"].iloc[0] == 0.0


@quick
@given(st.sampled_from(TRADED), st.floats(1.0, 50.0), st.floats(0.05, 0.95))
def test_selling_part_of_the_only_position_never_needs_more(
    instrument: str, quantity: float, share: float
) -> None:
    """A law for one instrument alone: in a book, a smaller position may hedge less."""
    quantity = round(quantity, 1)
    sold = round(quantity * share, 1)
    if not 0.0 < sold < quantity:
        return
    found = what_if(prepared({instrument: quantity}, {}), [candidate({instrument: -sold})])
    after = float(found.candidates["requirement"].iloc[0])
    assert after <= float(found.before["requirement"].iloc[0]) * (1.0 + 1e-12)


@quick
@given(books, st.lists(parts, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_order_of_the_candidates_changes_no_bit(
    book: dict[str, float], asked: list[dict[str, float]], random: object
) -> None:
    candidates = [candidate(orders) for orders in asked]
    order = list(range(len(candidates)))
    random.shuffle(order)  # type: ignore[attr-defined]
    ready = prepared(book, {"ETH": 5.0})
    straight = what_if(ready, candidates).candidates["requirement"].to_numpy()
    shuffled = what_if(ready, [candidates[i] for i in order]).candidates["requirement"].to_numpy()
    assert np.array_equal(straight[order], shuffled)

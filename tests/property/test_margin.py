"""What holds for every book: coherence of the core, monotony, and indifference to order."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.assess import blocks_of, combine, margin_block, portfolio, prepare
from engine.assessment import Assessment
from engine.market import PreparedMarket
from engine.rules import RuleBook
from engine.snapshot import PositionSet, Snapshot
from tests.examples import examples
from tests.worlds import small

HELD = (
    "binance:BTCUSDT",
    "binance:ETHUSDT",
    "binance:SOLUSDT",
    "deribit:BTC-PERPETUAL",
    "deribit:BTC-26JUN26-60000-C",
    "deribit:BTC-26JUN26-60000-P",
    "bybit:ETH-26JUN26-3000-C",
)
quantities = st.floats(-50.0, 50.0).map(lambda value: round(value, 3))
books = st.dictionaries(st.sampled_from(HELD), quantities, min_size=1, max_size=5)
quick = settings(
    max_examples=examples(12, of=25), deadline=None, suppress_health_check=list(HealthCheck)
)


@cache
def market() -> tuple[Snapshot, RuleBook, PreparedMarket]:
    snapshot = small.snapshot()
    rules = small.rules(*(small.agreement(name) for name in "ABC"))
    return snapshot, rules, prepare(snapshot, rules)


def margined(rows: pd.DataFrame) -> Assessment:
    snapshot, rules, ready = market()
    positions = PositionSet(rows, small.no_orders())
    book = portfolio(ready, positions, small.collateral_set(), rules)
    blocks = [margin_block(ready, block) for block in blocks_of(book, ready, rules.house)]
    return combine(ready, book, blocks, snapshot, positions, rules)


def rows_of(**held: dict[str, float]) -> pd.DataFrame:
    return small.positions(
        *((name, instrument, q) for name, book in held.items() for instrument, q in book.items())
    )


def column(found: Assessment, name: str) -> dict[str, float]:
    frame = found.requirements.set_index("netting_set_id")
    return {str(key): float(value) for key, value in frame[name].items()}


@quick
@given(books)
def test_requirement_is_finite_and_never_negative(book: dict[str, float]) -> None:
    found = margined(rows_of(A=book)).requirements
    parts = found[["core_margin", "offset_margin", "gap_add_on", "liquidity_add_on", "requirement"]]
    assert np.isfinite(parts.to_numpy()).all()
    assert (parts.to_numpy() >= 0.0).all()


@quick
@given(books, books)
def test_core_of_a_merged_book_is_at_most_the_sum_of_its_parts(
    first: dict[str, float], second: dict[str, float]
) -> None:
    merged = {key: first.get(key, 0.0) + second.get(key, 0.0) for key in {**first, **second}}
    core = column(margined(rows_of(A=first, B=second, C=merged)), "core_margin")
    assert core.get("C", 0.0) <= core["A"] + core["B"] + 1e-6


@quick
@given(books, st.sampled_from([2.0, 4.0]))
def test_core_scales_with_the_book(book: dict[str, float], factor: float) -> None:
    scaled = {key: factor * value for key, value in book.items()}
    core = column(margined(rows_of(A=book, B=scaled)), "core_margin")
    assert core["B"] == pytest.approx(factor * core["A"], rel=1e-12)


@quick
@given(st.sampled_from(HELD), st.floats(0.001, 10.0), st.floats(1.0, 5.0))
def test_requirement_of_one_instrument_grows_with_its_size(
    instrument: str, quantity: float, factor: float
) -> None:
    found = column(
        margined(rows_of(A={instrument: quantity}, B={instrument: quantity * factor})),
        "requirement",
    )
    assert found["B"] >= found["A"] * (1.0 - 1e-12)


@quick
@given(books, books, st.randoms(use_true_random=False))
def test_order_of_the_input_rows_changes_no_bit(
    first: dict[str, float], second: dict[str, float], random: object
) -> None:
    rows = rows_of(A=first, B=second)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight, shuffled = margined(rows), margined(rows.iloc[order].reset_index(drop=True))
    pd.testing.assert_frame_equal(straight.requirements, shuffled.requirements, check_exact=True)
    pd.testing.assert_frame_equal(straight.contributions, shuffled.contributions, check_exact=True)


@quick
@given(books, books)
def test_neighbours_do_not_change_a_netting_set(
    first: dict[str, float], second: dict[str, float]
) -> None:
    alone = column(margined(rows_of(A=first)), "requirement")["A"]
    assert column(margined(rows_of(A=first, B=second)), "requirement")["A"] == alone


@quick
@given(books)
def test_contributions_sum_to_the_requirement(book: dict[str, float]) -> None:
    found = margined(rows_of(A=book))
    total = float(found.contributions["contribution"].sum())
    assert total == pytest.approx(column(found, "requirement")["A"], rel=1e-9, abs=1e-6)

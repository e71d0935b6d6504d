"""The live book of wide books: kept legs, running totals and clocks, against a whole assessment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.assess import assess
from engine.intraday import LiveBook
from engine.intraday.freshness import Freshness
from engine.rules import RuleBook
from tests.worlds import live, small

# Books that hold much of everything, so that a move of one underlying is a small part of them.
HELD = tuple(
    (owner, name, round(quantity * (3_000.0 if "SOL" in name else 1.0), 2))
    for k, owner in enumerate("ABCD")
    for name, quantity in zip(
        sorted(small.instruments()["instrument_id"].astype(str)),
        np.random.default_rng(k).normal(0.0, 20.0, len(small.instruments())),
        strict=True,
    )
)


def wide_book() -> tuple[LiveBook, RuleBook]:
    rules = live.rules()
    # One scenario in the tail: the fewer are to be confirmed, the sooner a difference is quicker.
    rules = replace(
        rules,
        agreements={name: replace(one, confidence=0.998) for name, one in rules.agreements.items()},
    )
    collateral = small.collateral_set(*live.PLEDGED)
    return (
        LiveBook.open(small.snapshot(), small.position_set(*HELD), collateral, rules),
        rules,
    )


def run(book: LiveBook, rules: RuleBook) -> int:
    rng = np.random.default_rng(7)
    marks = small.marks(small.instruments()).set_index("instrument_id")["mark_price"]
    n_steps = 0
    for k in range(6):
        name = ("bybit:ETH-26JUN26-3000-C", "binance:SOLUSDT")[k % 2]
        prices = {name: float(marks[name]) * float(rng.uniform(0.7, 1.4))}
        book.apply_marks(live.ticked(book, prices, 60 * (k + 1)))
        rows = np.arange(4) if k % 4 else np.array([1, 3])
        book.figures(rows)
        found = book.figures()
        live.require_equal(found, assess(*book.inputs(), rules))
        n_steps += int((book._standing.running._books.n_steps > 0).sum())
    return n_steps


def test_wide_books_equal_the_assessment_by_differences() -> None:
    book, rules = wide_book()
    assert run(book, rules) > 5
    drift = book.rebuild()
    assert drift.largest == 0.0
    assert 0.0 <= drift.running < 1e-14


def test_clocks_tell_whose_figures_are_of_now() -> None:
    fresh = Freshness(4, 3)
    owners, underlyings = np.array([0, 1, 1]), np.array([0, 1, 2])
    fresh.lay_out((owners, underlyings), (np.array([0, 2]), np.array([2, 2])))
    every, nothing = np.arange(4), np.zeros(0, dtype=np.int64)
    assert not fresh.is_current(every).any()
    fresh.computed(every)
    assert fresh.is_current(every).all()
    fresh.moved(np.array([1]), nothing)
    assert fresh.is_current(every).tolist() == [True, False, True, True]
    fresh.moved(nothing, np.array([2]))
    assert fresh.is_current(every).tolist() == [False, False, False, True]
    fresh.computed(np.array([0, 1]))
    assert fresh.is_current(np.array([2, 0, 1])).tolist() == [False, True, True]
    fresh.changed(np.array([3]))
    fresh.computed(every)
    # What has changed rests on everything until it is laid out.
    fresh.moved(np.array([0]), nothing)
    assert fresh.is_current(every).tolist() == [False, True, True, False]
    assert fresh.is_current(nothing).tolist() == []

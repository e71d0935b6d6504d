"""Laws of accounts at Derive: the models' figures, order, size, long options, what-if."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.assess import assess
from engine.market import PreparedMarket, prepare
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import PositionSet, Snapshot
from engine.venue_accounts import VenueMargins, venue_margins
from engine.whatif import Candidate, Order, prepare_book, what_if
from tests.examples import examples
from tests.worlds import derive, small, venues
from tests.worlds.applied import with_orders
from tests.worlds.derive_models import model_portfolio, model_standard

SETTINGS = settings(
    max_examples=examples(8, of=12), deadline=None, suppress_health_check=list(HealthCheck)
)
OPTIONS = (derive.CALL, derive.PUT, derive.HIGH_CALL, derive.LOW_PUT, derive.NEAR_CALL)
TRADED = (derive.PERP, *OPTIONS)
QUANTITIES = st.floats(-50.0, 50.0).map(lambda q: round(q, 3)).filter(lambda q: q != 0.0)
BOOKS = st.dictionaries(st.sampled_from(TRADED), QUANTITIES, min_size=1, max_size=6)
MODES = st.sampled_from(["portfolio", "standard"])


@cache
def close() -> tuple[Snapshot, RuleBook, PreparedMarket]:
    shipped = derive.rules()
    rules = replace(shipped, agreements={"A": small.agreement("A")})
    market = derive.snapshot()
    return market, rules, prepare(market, rules)


def position_set(book: dict[str, float], mode: str, **options: object) -> PositionSet:
    held = [("A", name, quantity) for name, quantity in book.items()]
    rows = derive.accounts(("A", mode))
    return venues.position_set(held, rows, **options)  # type: ignore[arg-type]


def margins_of(positions: PositionSet) -> VenueMargins:
    snapshot, rules, _ = close()
    return venue_margins(snapshot, positions, small.collateral_set(), rules)


@SETTINGS
@given(book=BOOKS)
def test_any_book_has_the_margin_of_the_models(book: dict[str, float]) -> None:
    rows = tuple(book.items())
    found = margins_of(position_set(book, "portfolio")).margins.iloc[0]
    model = model_portfolio(rows)
    assert found["initial_margin"] == pytest.approx(model.initial_margin, rel=1e-9, abs=1e-6)
    assert found["maintenance_margin"] == pytest.approx(
        model.maintenance_margin, rel=1e-9, abs=1e-6
    )
    found = margins_of(position_set(book, "standard")).margins.iloc[0]
    assert (found["initial_margin"], found["maintenance_margin"]) == pytest.approx(
        model_standard(rows), rel=1e-9, abs=1e-6
    )


@SETTINGS
@given(book=BOOKS, mode=MODES, seed=st.integers(0, 2**16))
def test_the_order_of_rows_moves_no_bit(book: dict[str, float], mode: str, seed: int) -> None:
    positions = position_set(book, mode)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(positions.positions))
    mixed = positions.positions.iloc[order].reset_index(drop=True)
    before, after = margins_of(positions), margins_of(replace(positions, positions=mixed))
    for each in fields(VenueMargins):
        pd.testing.assert_frame_equal(
            getattr(before, each.name), getattr(after, each.name), check_exact=True
        )


@SETTINGS
@given(book=BOOKS, mode=MODES, factor=st.sampled_from([2.0, 3.5]))
def test_margins_grow_with_the_book_in_proportion(
    book: dict[str, float], mode: str, factor: float
) -> None:
    one = margins_of(position_set(book, mode)).margins.iloc[0]
    grown = {name: quantity * factor for name, quantity in book.items()}
    other = margins_of(position_set(grown, mode)).margins.iloc[0]
    for name in ("initial_margin", "maintenance_margin"):
        assert other[name] == pytest.approx(one[name] * factor, rel=1e-9, abs=1e-6)
        assert one[name] >= 0.0


@SETTINGS
@given(book=BOOKS, bought=st.sampled_from(OPTIONS), size=st.floats(0.1, 20.0))
def test_a_bought_option_never_raises_the_standard_margin(
    book: dict[str, float], bought: str, size: float
) -> None:
    before = margins_of(position_set(book, "standard")).margins.iloc[0]
    more = {**book, bought: book.get(bought, 0.0) + size}
    after = margins_of(position_set(more, "standard")).margins.iloc[0]
    for name in ("initial_margin", "maintenance_margin"):
        assert after[name] <= before[name] * (1.0 + 1e-12) + 1e-6


@SETTINGS
@given(book=BOOKS)
def test_positions_add_up_to_the_loss_of_the_worst_scenario(book: dict[str, float]) -> None:
    found = margins_of(position_set(book, "portfolio"))
    worst = found.scenarios[found.scenarios["is_worst"]]
    if worst.empty:
        assert found.positions["worst_cell_pnl"].isna().all()
        return
    total = found.positions["worst_cell_pnl"].sum()
    assert total == pytest.approx(worst["pnl"].iloc[0], rel=1e-9, abs=1e-6)


@SETTINGS
@given(
    book=BOOKS,
    mode=MODES,
    traded=st.lists(st.tuples(st.sampled_from(TRADED), QUANTITIES), min_size=1, max_size=3),
    resting=st.booleans(),
)
def test_a_candidate_is_answered_as_the_assessment_of_the_book_that_has_it(
    book: dict[str, float], mode: str, traded: list[tuple[str, float]], resting: bool
) -> None:
    snapshot, rules, market = close()
    orders = venues.orders(("A", derive.PERP, "sell", 3.0), ("A", derive.CALL, "buy", 1.5))
    options = {"orders": orders} if resting else {}
    positions = position_set(book, mode, **options)
    collateral = small.collateral_set(("A", "USDC", 1e6))
    whole = portfolio(market, positions, collateral, rules)
    asked = Candidate(
        candidate_id="c",
        orders=tuple(
            Order(side="buy" if q > 0.0 else "sell", quantity=abs(q), instrument_id=name)
            for name, q in traded
        ),
    )
    found = what_if(
        prepare_book(snapshot, market, whole, positions, rules, "A"), [asked]
    ).candidates.iloc[0]
    changed = with_orders(positions, "A", asked, "A-a")
    theirs = assess(snapshot, changed, collateral, rules).requirements.iloc[0]
    for name in ("requirement", "venue_initial_margin", "venue_maintenance_margin", "binding"):
        assert found[name] == theirs[name], name

"""What holds for every sequence of changes: the live book equals an assessment of what it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.errors import ModelInputError
from engine.intraday import (
    CollateralReport,
    Degradation,
    Fill,
    LiveBook,
    OrderReport,
    PositionReport,
    TransferReport,
)
from engine.snapshot import LastFresh
from tests.worlds import live, small

TRADED = tuple(small.instruments()["instrument_id"].astype(str))
MARKS = small.marks(small.instruments()).set_index("instrument_id")["mark_price"].to_dict()
SOURCES = ((), (), ("venue",), ("oms", "clearing"))
Change = Callable[[LiveBook], object]
quick = settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
moves = st.floats(0.7, 1.4).map(lambda value: round(value, 4))
sets = st.sampled_from("ABCD")


@st.composite
def ticks(draw: st.DrawFn) -> Change:
    names = draw(st.lists(st.sampled_from(TRADED), min_size=1, max_size=4, unique=True))
    prices = {name: MARKS[name] * draw(moves) for name in names}
    for asset in draw(st.lists(st.sampled_from(("BTC", "ETH", "USDT", "EUR")), max_size=2)):
        prices[asset] = small.PRICES.get(asset, 1.0) * draw(moves)
    return lambda book: book.apply_marks(live.ticked(book, prices, 120))


@st.composite
def fills(draw: st.DrawFn) -> Change:
    owner, name, sources = draw(sets), draw(st.sampled_from(TRADED)), draw(st.sampled_from(SOURCES))
    quantity = draw(st.floats(-30.0, 30.0).map(lambda q: round(q, 2)).filter(lambda q: q != 0.0))
    fill = Fill(f"{owner}-a", name, quantity, MARKS[name] * draw(moves), sources)
    return lambda book: book.apply_fill(fill)


@st.composite
def reports(draw: st.DrawFn) -> Change:
    report = PositionReport(
        f"{draw(sets)}-a", draw(st.sampled_from(TRADED)),
        draw(st.sampled_from((0.0, 1.0, -2.5, 7.1))), draw(st.sampled_from(SOURCES)),
    )  # fmt: skip
    return lambda book: book.apply_position(report)


@st.composite
def orders(draw: st.DrawFn) -> Change:
    order = OrderReport(
        f"{draw(sets)}-a", draw(st.sampled_from(("o1", "o2", "o3"))),
        draw(st.sampled_from(TRADED)), draw(st.sampled_from(("buy", "sell"))),
        draw(st.sampled_from((0.0, 0.1, 0.2, 3.0, 25.0))), 100.0,
    )  # fmt: skip
    return lambda book: book.apply_order(order)


@st.composite
def deposits(draw: st.DrawFn) -> Change:
    report = CollateralReport(
        draw(sets), draw(st.sampled_from(("custodian", "A-a", "binance"))),
        draw(st.sampled_from(("BTC", "ETH", "USDT", "USD", "SOL"))),
        draw(st.sampled_from((0.0, 0.3, 5.0, 4_000.0))),
        draw(st.sampled_from(("settled", "settled", "pending"))), draw(st.sampled_from(SOURCES)),
    )  # fmt: skip
    return lambda book: book.apply_collateral(report)


@st.composite
def transfers(draw: st.DrawFn) -> Change:
    owner, asset = draw(sets), draw(st.sampled_from(("BTC", "USDT")))
    quantity = draw(st.sampled_from((0.4, 1.0, 2_000.0)))
    state = draw(st.sampled_from(("sent", "sent", "debited", "credited", "rejected")))
    key = f"{owner}-{asset}-{quantity}"
    report = TransferReport(key, owner, asset, "custodian", quantity, state)
    return lambda book: book.apply_transfer(report)


@st.composite
def advances(draw: st.DrawFn) -> Change:
    later = timedelta(hours=draw(st.sampled_from((1, 7, 13, 24 * 110))))
    return lambda book: book.advance(max(book.as_of, small.AS_OF + later))


changes = st.one_of(ticks(), ticks(), fills(), reports(), orders(), deposits(), transfers())
states = st.builds(
    Degradation,
    st.sampled_from(("venue", "account", "underlying", "location")),
    st.sampled_from(("binance", "deribit", "A-a", "BTC", "ETH", "custodian")),
    st.sampled_from(("stale", "uncertain", "down", "no_quorum")),
    st.sampled_from((0.0, 5.0, 600.0, 90_000.0)),
)


@quick
@given(st.lists(st.one_of(changes, advances()), min_size=1, max_size=12), st.data())
def test_figures_equal_the_assessment_of_what_is_held(
    sequence: list[Change], data: st.DataObject
) -> None:
    day = small.snapshot().business_date
    fresh = LastFresh(
        pd.DataFrame(
            {
                "netting_set_id": ["A", "B"],
                "business_date": pd.Timestamp(day),
                "requirement": [30_000.0, 9_000.0],
            }
        )
    )
    book, rules = live.opened(fresh)
    for change in sequence:
        change(book)
        if data.draw(st.booleans()):
            rows = np.array(data.draw(st.lists(st.integers(0, 3), min_size=1, unique=True)))
            book.figures(rows)
    live.require_equal(book.figures(), live.assessed(book, rules, fresh))
    assert book.rebuild().largest == 0.0
    live.require_equal(book.figures(), live.assessed(book, rules, fresh))


@quick
@given(st.lists(st.one_of(changes, advances()), max_size=8), st.lists(changes, max_size=4))
def test_state_survives_a_restart_and_depends_on_the_changes_alone(
    before: list[Change], after: list[Change]
) -> None:
    """I-37, I-38: a saved state is the same bytes once loaded, and goes on as before."""
    book, rules = live.opened()
    twin, _ = live.opened()
    for change in before:
        change(book)
        book.figures(np.array([0, 2]))
        change(twin)
    assert book.state_hash() == twin.state_hash()
    state = book.save()
    positions = small.position_set(*live.HELD)
    again = LiveBook.load(state, small.snapshot(), positions, rules)
    loaded = again.save()
    assert sorted(loaded) == sorted(state)
    for name, values in state.items():
        assert loaded[name].dtype == values.dtype and loaded[name].tobytes() == values.tobytes(), (
            name
        )
    for change in after:
        change(book)
        change(again)
    assert again.state_hash() == book.state_hash()
    whole = live.assessed(again, rules)
    live.require_equal(again.figures(), whole)
    live.require_equal(book.figures(), whole)


@cache
def shared() -> LiveBook:
    """Return a book that examples share; what they distrust is trusted again at their end."""
    return live.opened()[0]


def distrusted(state: Degradation, sequence: list[Change]) -> None:
    book = shared()
    before = book.figures()
    counted = _counted(book)
    touched = book.degrade(state)
    try:
        for change in [None, *sequence]:
            if change is not None:
                change(book)
            now = book.figures(touched)
            least = before.requirement[touched]
            known = np.isfinite(least)
            assert (now.requirement[known] >= least[known]).all()
            known = np.isfinite(before.owed[touched])
            assert (now.owed[known] >= before.owed[touched][known]).all()
            assert not now.is_releasable.any()
            assert not (now.status == "assessed").any()
    finally:
        later = Degradation(state.scope, state.name, state.state, state.age_seconds + 7_200.0)
        excess = book.figures(touched).excess
        book.degrade(later)
        # With less collateral there is less that may fall: it is the shortfall that only grows.
        assert not (book.figures(touched).excess > excess).any()
        if state.scope in ("location", "account"):
            for key, quantity in _counted(book).items():
                if key[1] == state.name and key in counted:
                    assert quantity <= counted[key]
                elif key[1] == state.name:
                    assert quantity == 0.0
        book.degrade(Degradation(state.scope, state.name, "fresh"))


def _counted(book: LiveBook) -> dict[tuple[str, ...], float]:
    rows = book.inputs()[2].holdings
    rows = rows[rows["state"] == "settled"]
    keys = rows[["netting_set_id", "location", "asset", "source"]].itertuples(index=False)
    return dict(zip((tuple(key) for key in keys), rows["quantity"], strict=True))


distrust = settings(
    max_examples=30, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip


@distrust
@given(states, st.lists(changes, max_size=5))
def test_what_is_not_trusted_never_lowers_a_requirement_nor_releases(
    state: Degradation, sequence: list[Change]
) -> None:
    """I-23, I-30, I-31: whatever is reported meanwhile."""
    distrusted(state, sequence)


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(distrust, max_examples=250_000)
@given(states, st.lists(changes, max_size=5))
def test_a_million_states_of_distrust_never_release(
    state: Degradation, sequence: list[Change]
) -> None:
    """I-23, I-30, I-31 at the size of a release."""
    distrusted(state, sequence)


@quick
@given(st.lists(st.one_of(ticks(), ticks(), fills(), orders()), min_size=1, max_size=4))
def test_owed_is_what_the_assessment_owes_where_venues_are_known(sequence: list[Change]) -> None:
    book, rules = live.opened_with_accounts()
    for change in sequence:
        with contextlib.suppress(ModelInputError):
            # Reports of netting sets that this book does not have are refused.
            change(book)
    live.require_equal(book.figures(), live.assessed(book, rules))

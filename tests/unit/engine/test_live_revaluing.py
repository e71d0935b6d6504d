"""Rows revalued in place: the bits of ``engine.market.unit_figures``, whatever moves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intraday.changes import MarkChanges
from engine.intraday.live_market import LiveMarket
from engine.intraday.market_rows import rows_of
from engine.market import unit_figures
from tests.worlds import small

MOVES = st.floats(0.5, 2.0)


@pytest.fixture(scope="module")
def markets() -> dict[bool, LiveMarket]:
    """Return a market with a stress grid, and one without."""
    rules = small.rules(small.agreement("A"))
    plain = replace(rules, house=replace(rules.house, stress_grid=None))
    return {True: LiveMarket(small.snapshot(), rules), False: LiveMarket(small.snapshot(), plain)}


def assert_twin(live: LiveMarket, rows: np.ndarray) -> None:
    market, house = live.prepared, live._rules.house
    twin = unit_figures(
        rows_of(live.instruments, rows), market.scenarios, live._spread[rows], house
    )
    for name in ("historical", "special", "unit_value", "delta_notional", "half_spread"):
        ours, theirs = getattr(market, name)[rows], np.ascontiguousarray(getattr(twin, name))
        assert ours.tobytes() == theirs.tobytes(), name
    tiled = live.tiled.tiles.transpose(1, 0, 2).reshape(live.tiled.n_instruments, -1)[rows]
    order = live.tiled.order
    assert np.array_equal(tiled[:, : len(order)], market.historical[rows][:, order])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), has_grid=st.booleans())
def test_rows_in_place_have_the_bits_of_rows_by_themselves(
    markets: dict[bool, LiveMarket], data: st.DataObject, has_grid: bool
) -> None:
    live = markets[has_grid]
    n, start = live.prepared.n_instruments, small.marks(small.instruments())
    chosen = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    rows = np.array(sorted(chosen), dtype=np.int64)
    by = np.array(data.draw(st.lists(MOVES, min_size=len(rows), max_size=len(rows))))
    coin = live.prepared.assets.index("BTC")
    moved = live.apply(
        MarkChanges(
            rows, start["mark_price"].to_numpy()[rows] * by, start["mark_iv"].to_numpy()[rows] * by,
            start["forward_price"].to_numpy()[rows] * by, np.array([coin]),
            np.array([small.PRICES["BTC"] * data.draw(MOVES)]), int(live.observed_ns.max()) + 1,
        )
    )  # fmt: skip
    assert live._revaluer.revalue(moved.instrument).size == 0
    assert_twin(live, moved.instrument)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("binance:BTCUSDT", "mark_price", 1e201),
        ("deribit:BTC-26JUN26-60000-C", "mark_iv", 2e3),
        ("binance:ETHUSDT", "mark_iv", 2e3),
    ],
)
def test_what_the_stress_grid_cannot_hold_is_left_to_the_twin_and_comes_back(
    name: str, field: str, value: float
) -> None:
    live = LiveMarket(small.snapshot(), small.rules(small.agreement("A")))
    row = int(np.flatnonzero(live.prepared.instrument_id == name)[0])
    rows, nothing = np.array([row]), np.array([np.nan])
    before = live.instruments.mark_price[row], live.instruments.volatility[row]
    given_values = {"mark_price": nothing, "mark_iv": nothing, "forward_price": nothing}

    def told(**values: np.ndarray) -> np.ndarray:
        marks = {**given_values, **values}
        observed = int(live.observed_ns.max()) + 1
        none = np.zeros(0)
        return live.apply(
            MarkChanges(rows, *marks.values(), none.astype(np.int64), none, observed)
        ).usability

    assert told(**{field: np.array([value])}).tolist() == [row]
    assert "too large" in live.prepared.fault[row]
    assert_twin(live, rows)
    back = before[0] if field == "mark_price" else 0.5
    assert told(**{field: np.array([back])}).tolist() == [row]
    assert not live.prepared.fault[row]
    assert told(mark_price=np.array([before[0] * 1.01])).size == 0
    assert_twin(live, rows)

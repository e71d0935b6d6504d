"""What holds for every tick: whom the bound calls safe is inside the band that is watched."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.intraday import LiveBook, LiveFigures, PositionReport, triggers
from engine.intraday.movement import Movement
from engine.intraday.screening import Screen
from engine.policies.utilisation import utilisation
from tests.worlds import live, small

TRADED = tuple(small.instruments()["instrument_id"].astype(str))
MARKS = small.marks(small.instruments()).set_index("instrument_id")["mark_price"].to_dict()
ASSETS = ("BTC", "ETH", "USDT", "EUR", "SOL")
THRESHOLD = np.array([0.0, 5_000.0, 0.0, 0.0])


def used(found: LiveFigures) -> np.ndarray:
    return utilisation(found.owed, found.cover, THRESHOLD[found.row], np.zeros(len(found.row)))


@cache
def pair() -> tuple[LiveBook, LiveBook]:
    """Return a book that is screened and one that is looked at whole; examples share them."""
    return live.opened()[0], live.opened()[0]


def watched(width: float) -> LiveBook:
    """Return the screened book at the marks of the snapshot, each band around where it stands."""
    start = {**MARKS, **{asset: small.PRICES.get(asset, 1.0) for asset in ASSETS}, "EUR": 1.1}
    for each in pair():
        each.apply_marks(live.ticked(each, start))
    book, _ = pair()
    book.rebuild()
    look(book, np.arange(4), width)
    return book


def look(book: LiveBook, rows: np.ndarray, width: float) -> None:
    """Compute figures and put the bands around where they are, as who decides on them does."""
    level = np.minimum(used(book.figures(rows)), 1.5)
    book.watch(rows, level * (1.0 - width), level * (1.0 + width))


def require_cold_is_bound(book: LiveBook) -> None:
    """Fail if a netting set whose triggers have not been passed is not inside by its bound."""
    watch = book._watch
    cold = np.flatnonzero(~watch._triggers.is_hot & watch._is_laid_out)
    bounds = watch._screen.bounds(watch._movement, cold)
    assert (bounds < watch._distance[cold]).all(), (cold, bounds, watch._distance[cold])


def check(width: float, ticks: list[dict[str, float]], *, looks: list[bool]) -> int:
    """Apply ticks; fail unless who is not screened in is inside; return how many those were."""
    book, n_safe = watched(width), 0
    for k, (factors, is_looked_at) in enumerate(zip(ticks, looks, strict=True)):
        prices = {
            name: MARKS.get(name, small.PRICES.get(name, 1.0)) * factor
            for name, factor in factors.items()
        }
        for each in pair():
            each.apply_marks(live.ticked(each, prices, 60 * (k + 1)))
        require_cold_is_bound(book)
        safe = np.setdiff1d(np.arange(4), book.screened())
        low, high = book.bands(safe)
        now = used(pair()[1].figures())[safe]
        inside = (now < high) & (now >= low)
        assert inside.all(), (safe, now, low, high)
        n_safe += len(safe)
        if is_looked_at:
            look(book, book.screened(), width)
    return n_safe


def sequences(size: float) -> st.SearchStrategy[list[tuple[dict[str, float], bool]]]:
    factors = st.floats(1.0 - size, 1.0 + size).map(lambda value: round(value, 6))
    tick = st.dictionaries(st.sampled_from(TRADED + ASSETS), factors, min_size=1, max_size=5)
    return st.lists(st.tuples(tick, st.booleans()), min_size=1, max_size=8)


phases = [Phase.explicit, Phase.generate]
quick = settings(
    max_examples=40, deadline=None, phases=phases, suppress_health_check=list(HealthCheck)
)
many = settings(
    max_examples=60_000, deadline=None, phases=phases, suppress_health_check=list(HealthCheck)
)
sizes = st.sampled_from((0.0005, 0.005, 0.05)).flatmap(sequences)
widths = st.sampled_from((0.01, 0.1, 0.3))


@pytest.fixture(params=[0, triggers.HOT_MAX], ids=["by triggers", "by bounds"])
def hot_max(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let triggers be laid out at every screen, or never: four netting sets are not many."""
    monkeypatch.setattr(triggers, "HOT_MAX", request.param)
    return int(request.param)


@quick
@given(sizes, widths)
@pytest.mark.usefixtures("hot_max")
def test_what_is_not_screened_in_is_inside_its_band(
    sequence: list[tuple[dict[str, float], bool]], width: float
) -> None:
    check(width, [tick for tick, _ in sequence], looks=[looked for _, looked in sequence])


@pytest.mark.slow
@pytest.mark.timeout(0)
@many
@given(sizes, widths)
@pytest.mark.usefixtures("hot_max")
def test_a_million_figures_that_are_not_screened_in_are_inside_their_bands(
    sequence: list[tuple[dict[str, float], bool]], width: float
) -> None:
    check(width, [tick for tick, _ in sequence], looks=[looked for _, looked in sequence])


@pytest.mark.usefixtures("hot_max")
def test_a_small_tick_screens_nobody_in() -> None:
    """The bound has to be of use: a basis point of a wide band concerns nobody."""
    assert check(0.3, [{"binance:BTCUSDT": 1.0001, "BTC": 1.0001}], looks=[False]) == 4


@pytest.mark.usefixtures("hot_max")
def test_a_large_tick_screens_its_holders_in() -> None:
    book = watched(0.1)
    book.apply_marks(live.ticked(book, {"binance:ETHUSDT": 3_600.0}))
    assert book.screened().tolist() == [1]


def test_who_is_not_watched_is_never_called_safe() -> None:
    book, _ = live.opened()
    book.figures()
    book.apply_marks(live.ticked(book, {"binance:SOLUSDT": 150.01}))
    assert book.screened().tolist() == [2]


def test_who_only_looks_takes_nothing_from_who_decides() -> None:
    """The board may ask between a report, or a market that moves on, and the next decision."""
    book = live.opened()[0]
    look(book, np.arange(4), 0.1)
    account = f"{book.netting_set_id[1]}-a"
    book.apply_position(PositionReport(account, "binance:ETHUSDT", 1.0))
    book.shown(np.arange(4))
    assert book.screened().tolist() == [1]
    book = live.opened()[0]
    look(book, np.arange(4), 0.01)
    book.apply_marks(live.ticked(book, {"binance:ETHUSDT": 4_500.0, "ETH": 4_500.0}))
    book.shown(np.arange(4))
    assert book.screened().tolist() == [1]
    look(book, book.screened(), 0.1)
    book.apply_marks(live.ticked(book, {"binance:BTCUSDT": 60_001.0, "BTC": 60_001.0}))
    book.shown(np.arange(4))
    assert book.screened().tolist() == []


def test_a_tick_that_passes_no_trigger_computes_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "HOT_MAX", 0)
    book = watched(0.3)
    assert book.screened().tolist() == []
    monkeypatch.setattr(triggers, "HOT_MAX", 4)
    looked_at: list[np.ndarray] = []
    bounds = Screen.bounds

    def noted(screen: Screen, movement: Movement, rows: np.ndarray) -> np.ndarray:
        looked_at.append(rows)
        return bounds(screen, movement, rows)

    monkeypatch.setattr(Screen, "bounds", noted)
    book.apply_marks(live.ticked(book, {"binance:BTCUSDT": 60_001.0, "BTC": 60_001.0}))
    assert book.screened().tolist() == []
    assert [rows.size for rows in looked_at] == [0]
    book.apply_marks(live.ticked(book, {"binance:ETHUSDT": 3_060.0, "ETH": 3_060.0}, 120))
    book.screened()
    assert [rows.tolist() for rows in looked_at[1:]] == [[1]]

"""The ladder over all paths: no flapping, monotone, and never lower for want of knowledge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.policies.ladder import Readings, at_rest, restored, step_ladder, sweep
from engine.policies.ladder_parameters import LEVEL_NAMES, Ladder, LadderRung
from engine.policies.ladder_terms import terms_of

SECOND = 1_000_000_000
N_LEVELS = len(LEVEL_NAMES)


@dataclass(frozen=True)
class Tick:
    """One reading of one netting set, and the seconds since the one before."""

    wait: float
    ratio: float
    fresh: bool
    floor: int


RATIOS = st.one_of(
    st.floats(0.5, 1.6), st.sampled_from([0.0, 0.85, 0.9, 1.0, 1.1, 1.25, np.inf, np.nan])
)
TICKS = st.builds(
    Tick,
    wait=st.sampled_from([0.0, 0.5, 1.0, 4.0, 9.0, 30.0]),
    ratio=RATIOS,
    fresh=st.booleans(),
    floor=st.sampled_from([0, 0, 0, 3, 4]),
)
PATHS = st.lists(TICKS, min_size=1, max_size=40)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    """Draw a ladder with any order of waits."""
    enters = sorted(draw(st.lists(st.floats(0.6, 1.5), min_size=4, max_size=4)))
    gaps = sorted(draw(st.lists(st.floats(0.01, 0.3), min_size=4, max_size=4)), reverse=True)
    releases = np.maximum.accumulate([e - g for e, g in zip(enters, gaps, strict=True)])
    waits = st.sampled_from([0.0, 1.0, 5.0, 20.0])
    rungs = [
        LadderRung(
            enter=enter,
            release=float(release),
            dwell_seconds=draw(waits),
            cool_down_seconds=draw(waits),
            action=draw(st.sampled_from(["automatic", "approval"])),
        )
        for enter, release in zip(enters, releases, strict=True)
    ]
    return Ladder(warn=rungs[0], call=rungs[1], restrict=rungs[2], reduce=rungs[3])


def walked(ladder: Ladder, path: list[Tick]) -> list[tuple[float, int, int, np.ndarray]]:
    """Return seconds, level, acting level and entered rungs after every tick of a path."""
    terms, state, row, now = terms_of([ladder]), at_rest(1), np.zeros(1, dtype=np.int64), 0.0
    found = []
    for tick in path:
        now += tick.wait
        sweep(terms, state, int(now * SECOND))
        reading = Readings(
            row, np.array([tick.ratio]), np.array([tick.fresh]), np.array([tick.floor])
        )
        step_ladder(terms, state, reading, int(now * SECOND))
        entered = state.is_entered[0].copy()
        found.append((now, int(state.level[0]), int(state.acting_level[0]), entered))
    return found


@settings(max_examples=150, deadline=None)
@given(ladders(), PATHS)
def test_a_rung_is_entered_at_most_once_per_cool_down(ladder: Ladder, path: list[Tick]) -> None:
    steps = walked(ladder, path)
    for number, rung in enumerate(ladder.rungs):
        entered = np.array([False, *(rungs[number] for *_, rungs in steps)])
        n_entries = int((entered[1:] & ~entered[:-1]).sum())
        if rung.cool_down_seconds > 0.0:
            assert n_entries <= 1 + steps[-1][0] / rung.cool_down_seconds


@settings(max_examples=150, deadline=None)
@given(ladders(), PATHS)
def test_a_step_on_input_that_is_not_fresh_never_lowers(ladder: Ladder, path: list[Tick]) -> None:
    """I-23, I-30."""
    terms, state, row, now = terms_of([ladder]), at_rest(1), np.zeros(1, dtype=np.int64), 0.0
    for tick in path:
        now += tick.wait
        sweep(terms, state, int(now * SECOND))
        before = (int(state.level[0]), int(state.acting_level[0]))
        reading = Readings(row, np.array([tick.ratio]), np.array([tick.fresh]))
        moves = step_ladder(terms, state, reading, int(now * SECOND))
        after = (int(state.level[0]), int(state.acting_level[0]))
        if not tick.fresh or np.isnan(tick.ratio):
            assert after >= before and after[1] >= before[1]
        assert len(moves) == (before != after)
        assert after[1] <= after[0]


@settings(max_examples=150, deadline=None)
@given(ladders(), PATHS, st.lists(st.floats(0.0, 0.5), min_size=40, max_size=40))
def test_a_path_that_is_nowhere_lower_ends_nowhere_lower(
    ladder: Ladder, path: list[Tick], more: list[float]
) -> None:
    worse = [
        Tick(tick.wait, tick.ratio + extra, tick.fresh, tick.floor)
        for tick, extra in zip(path, more, strict=False)
    ]
    pairs = zip(walked(ladder, path), walked(ladder, worse), strict=True)
    assert all((low[3] <= high[3]).all() for low, high in pairs)


@settings(max_examples=150, deadline=None)
@given(ladders(), PATHS, st.lists(st.booleans(), min_size=40, max_size=40))
def test_knowing_less_never_lowers_a_level(
    ladder: Ladder, path: list[Tick], lost: list[bool]
) -> None:
    doubtful = [
        Tick(tick.wait, tick.ratio, tick.fresh and not gone, tick.floor)
        for tick, gone in zip(path, lost, strict=False)
    ]
    pairs = zip(walked(ladder, path), walked(ladder, doubtful), strict=True)
    assert all((known[3] <= unknown[3]).all() for known, unknown in pairs)


@settings(max_examples=100, deadline=None)
@given(st.lists(ladders(), min_size=2, max_size=4), st.data())
def test_netting_sets_move_as_if_each_were_alone(
    ladders: list[Ladder], data: st.DataObject
) -> None:
    n = len(ladders)
    together, alone = at_rest(n), [at_rest(1) for _ in range(n)]
    terms, each = terms_of(ladders), [terms_of([ladder]) for ladder in ladders]
    now = 0
    for _ in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from([0, 1, 6, 25])) * SECOND
        rows = np.array(data.draw(st.permutations(range(n))), dtype=np.int64)
        rows = rows[: data.draw(st.integers(0, n))]
        ratio = np.array([data.draw(RATIOS) for _ in rows])
        fresh = np.array([data.draw(st.booleans()) for _ in rows], dtype=np.bool_)
        step_ladder(terms, together, Readings(rows, ratio, fresh), now)
        for at, row in enumerate(rows):
            one = Readings(np.zeros(1, dtype=np.int64), ratio[[at]], fresh[[at]])
            step_ladder(each[row], alone[row], one, now)
    assert together.level.tolist() == [int(state.level[0]) for state in alone]
    assert together.acting_level.tolist() == [int(state.acting_level[0]) for state in alone]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, N_LEVELS - 1), min_size=1, max_size=6))
def test_a_restart_keeps_every_level(levels: list[int]) -> None:
    assert restored(np.array(levels, dtype=np.int64)).level.tolist() == levels

"""One step of the ladder: which netting sets rise or fall, and what may be done about it at once.

Each rung is a trigger of its own with two thresholds and two waits; the level of a netting set is
its highest rung. Input that is not fresh raises, and never lowers or lets a wait run out (I-23,
I-30).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import numpy as np

from engine.arrays import BoolArray1D, BoolArray2D, Float64Array1D, Int64Array1D, Int64Array2D
from engine.errors import ModelInputError
from engine.policies.ladder_parameters import REDUCE, RUNG_NAMES
from engine.policies.ladder_terms import LadderTerms

N_RUNGS: Final = len(RUNG_NAMES)
# Later than any instant: what is unset has never lasted long enough.
_UNSET: Final = int(np.iinfo(np.int64).max)
_Instants = TypeVar("_Instants", Int64Array1D, Int64Array2D)
_Flags: TypeAlias = BoolArray1D | BoolArray2D
_NUMBERS: Final = np.arange(1, N_RUNGS + 1, dtype=np.int64)


@dataclass(slots=True, eq=False)
class LadderState:
    """Where netting sets stand; changed in place by ``step_ladder``, one writer at a time.

    Attributes
    ----------
    is_entered, is_acting, is_granted : BoolArray2D, shape (n_netting_sets, 4)
        Rungs that are entered; that may be acted upon; that a person has let be acted upon.
    above_since_ns, below_since_ns : Int64Array2D, shape (n_netting_sets, 4)
        Since when the ratio has stood at or above ``enter``, and below ``release`` on fresh input.
    sound_since_ns : Int64Array1D, shape (n_netting_sets,)
        Since when it has stood at or above the entry of ``reduce`` on fresh input.
    ratio, is_fresh, floor : arrays, shape (n_netting_sets,)
        The last reading.
    as_of_ns : int
        Instant of the last step; time that goes back counts as time that stands still.
    """

    is_entered: BoolArray2D
    is_acting: BoolArray2D
    is_granted: BoolArray2D
    above_since_ns: Int64Array2D
    below_since_ns: Int64Array2D
    sound_since_ns: Int64Array1D
    ratio: Float64Array1D
    is_fresh: BoolArray1D
    floor: Int64Array1D
    as_of_ns: int = 0

    @property
    def level(self) -> Int64Array1D:
        """Return the level of each netting set, 0 to 4."""
        return _highest(self.is_entered)

    @property
    def acting_level(self) -> Int64Array1D:
        """Return the highest rung of each netting set that may be acted upon, 0 to 4."""
        return _highest(self.is_acting)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What is newly known of some netting sets.

    Attributes
    ----------
    rows : Int64Array1D, shape (n_readings,)
        Netting sets, each at most once.
    ratio : Float64Array1D, shape (n_readings,)
        Utilisation; NaN where it is unknown, which never lowers. [-]
    is_fresh : BoolArray1D, shape (n_readings,)
        Whether all inputs of the ratio are fresh and no break is open.
    floor : Int64Array1D, shape (n_readings,), optional
        Level that other facts demand at least, such as a call that is past due.
    """

    rows: Int64Array1D
    ratio: Float64Array1D
    is_fresh: BoolArray1D
    floor: Int64Array1D = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        n = self.rows.size
        if self.floor.size == 0:
            object.__setattr__(self, "floor", np.zeros(n, dtype=np.int64))
        if not self.ratio.size == self.is_fresh.size == self.floor.size == n:
            raise ModelInputError(f"readings of {n} rows need {n} ratios, flags and floors")
        if np.unique(self.rows).size != n:
            raise ModelInputError("a netting set is read twice in one step: keep the last reading")


@dataclass(frozen=True, slots=True, eq=False)
class LadderMoves:
    """What a step changed, by netting set in the order of the readings.

    Attributes
    ----------
    rows : Int64Array1D, shape (n_moves,)
        Netting sets whose level or acting level changed.
    from_level, to_level : Int64Array1D, shape (n_moves,)
        Levels before and after, 0 to 4.
    from_acting, to_acting : Int64Array1D, shape (n_moves,)
        Highest rung that might and may be acted upon. Below ``to_level``, a person is asked.
    ratio : Float64Array1D, shape (n_moves,)
        Utilisation that moved it; NaN if other facts did. [-]
    is_fresh : BoolArray1D, shape (n_moves,)
    """

    rows: Int64Array1D
    from_level: Int64Array1D
    to_level: Int64Array1D
    from_acting: Int64Array1D
    to_acting: Int64Array1D
    ratio: Float64Array1D
    is_fresh: BoolArray1D

    def __len__(self) -> int:
        return int(self.rows.size)


def at_rest(n_netting_sets: int) -> LadderState:
    """Return the state of netting sets of which nothing is known yet: level 0, not fresh."""
    return restored(np.zeros(n_netting_sets, dtype=np.int64))


def restored(level: Int64Array1D, acting_level: Int64Array1D | None = None) -> LadderState:
    """Return the state after a restart, from the levels on record.

    Waits start anew: what was about to be released is released later, never sooner. A rung that
    was acted upon stays so until it is left.
    """
    acting = level if acting_level is None else np.minimum(acting_level, level)
    shape = (level.size, N_RUNGS)
    return LadderState(
        is_entered=_NUMBERS[None, :] <= level[:, None],
        is_acting=_NUMBERS[None, :] <= acting[:, None],
        is_granted=np.zeros(shape, dtype=np.bool_),
        above_since_ns=np.full(shape, _UNSET, dtype=np.int64),
        below_since_ns=np.full(shape, _UNSET, dtype=np.int64),
        sound_since_ns=np.full(level.size, _UNSET, dtype=np.int64),
        ratio=np.full(level.size, np.nan),
        is_fresh=np.zeros(level.size, dtype=np.bool_),
        floor=np.zeros(level.size, dtype=np.int64),
    )


def step_ladder(
    terms: LadderTerms, state: LadderState, readings: Readings, now_ns: int
) -> LadderMoves:
    """Take readings into the state and return what moved.

    A rung is entered when the ratio has stood at or above its entry for its dwell, or when other
    facts demand it; it is left when the ratio has stood below its release for its cool-down, every
    reading in between fresh. Automatic rungs may be acted upon at once, but ``reduce`` only after
    its dwell on fresh input: what cannot be undone does not rest on a doubtful price (I-32).

    Parameters
    ----------
    terms : LadderTerms
        Ladders of all netting sets.
    state : LadderState
        Changed in place.
    readings : Readings
        Netting sets whose figures changed, or whose input went stale or became fresh.
    now_ns : int
        Instant of the decision. [ns]

    Returns
    -------
    LadderMoves
        Every change of level, once.
    """
    now = max(now_ns, state.as_of_ns)
    state.as_of_ns = now
    rows = readings.rows
    before, acted = _highest(state.is_entered[rows]), _highest(state.is_acting[rows])
    state.ratio[rows], state.is_fresh[rows] = readings.ratio, readings.is_fresh
    state.floor[rows] = readings.floor
    ratio = readings.ratio[:, None]
    is_known = ~np.isnan(ratio)
    is_sound = is_known & readings.is_fresh[:, None]
    demanded = _NUMBERS[None, :] <= readings.floor[:, None]
    is_above = is_known & (ratio >= terms.enter[rows])
    is_below = is_sound & (ratio < terms.release[rows]) & ~demanded
    above_since = state.above_since_ns[rows]
    # A ratio that nobody knows neither confirms a wait nor ends it.
    above_since = np.where(is_known, _since(above_since, is_above, now), above_since)
    below_since = _since(state.below_since_ns[rows], is_below, now)
    sound_since = _since(state.sound_since_ns[rows], (is_above & is_sound)[:, -1], now)
    entered = demanded | (is_above & (now - above_since >= terms.dwell_ns[rows]))
    left = is_below & (now - below_since >= terms.cool_down_ns[rows])
    is_entered = (state.is_entered[rows] | entered) & ~left
    may_act = terms.is_automatic[rows].copy()
    is_confirmed = now - sound_since >= terms.dwell_ns[rows, -1]
    may_act[:, REDUCE - 1] &= is_confirmed | demanded[:, REDUCE - 1]
    is_granted = state.is_granted[rows] & is_entered
    is_acting = is_entered & (state.is_acting[rows] | is_granted | may_act)
    state.is_entered[rows], state.is_acting[rows] = is_entered, is_acting
    state.is_granted[rows] = is_granted
    state.above_since_ns[rows], state.below_since_ns[rows] = above_since, below_since
    state.sound_since_ns[rows] = sound_since
    after, acting = _highest(is_entered), _highest(is_acting)
    moved = np.flatnonzero((after != before) | (acting != acted))
    return LadderMoves(
        rows=rows[moved],
        from_level=before[moved],
        to_level=after[moved],
        from_acting=acted[moved],
        to_acting=acting[moved],
        ratio=readings.ratio[moved],
        is_fresh=readings.is_fresh[moved],
    )


def sweep(terms: LadderTerms, state: LadderState, now_ns: int) -> LadderMoves:
    """Let waits run out for netting sets without a new reading, and return what moved.

    Call it as often as the shortest wait asks for. The last reading is taken to stand: whoever
    finds its input stale hands in a reading that says so.
    """
    now = max(now_ns, state.as_of_ns)
    is_due = ~state.is_entered & (now - state.above_since_ns >= terms.dwell_ns)
    is_due |= state.is_entered & (now - state.below_since_ns >= terms.cool_down_ns)
    is_confirmed = now - state.sound_since_ns >= terms.dwell_ns[:, -1]
    is_due[:, -1] |= is_confirmed & state.is_entered[:, -1] & ~state.is_acting[:, -1]
    rows: Int64Array1D = np.flatnonzero(is_due.any(axis=1)).astype(np.int64)
    last = Readings(rows, state.ratio[rows], state.is_fresh[rows], state.floor[rows])
    return step_ladder(terms, state, last, now)


def grant(state: LadderState, row: int, level: int) -> bool:
    """Let a rung that needs a person be acted upon; False if the netting set has left it.

    The grant ends when the rung is left: the next time somebody is asked again.
    """
    if not 1 <= level <= N_RUNGS:
        raise ModelInputError(f"level is {level}, limit 1 to {N_RUNGS}", value=level)
    if not state.is_entered[row, level - 1]:
        return False
    state.is_granted[row, level - 1] = True
    state.is_acting[row, level - 1] = True
    return True


def withhold(terms: LadderTerms, state: LadderState, row: int, level: int) -> None:
    """Take a rung's grant back, or never give it: it acts only where it does so by itself."""
    if not 1 <= level <= N_RUNGS:
        raise ModelInputError(f"level is {level}, limit 1 to {N_RUNGS}", value=level)
    state.is_granted[row, level - 1] = False
    state.is_acting[row, level - 1] &= terms.is_automatic[row, level - 1]


def _highest(rungs: BoolArray2D) -> Int64Array1D:
    highest: Int64Array1D = np.where(rungs, _NUMBERS[None, :], 0).max(axis=1, initial=0)
    return highest


def _since(since: _Instants, holds: _Flags, now: int) -> _Instants:
    """Return since when a condition holds, unset where it does not."""
    found: _Instants = np.where(holds, np.where(since == _UNSET, now, since), _UNSET)
    return found

"""How far pegs have moved, and how far one is taken to move that nobody has seen break."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D
from engine.rules import MPOR_DAYS_MAX, HouseParameters
from engine.scenarios.history import DailyReturns


def largest_peg_moves(
    own: DailyReturns, assets: tuple[str, ...], house: HouseParameters
) -> Float64Array1D:
    """Return the largest move of any pegged asset on each day, 0 where none was seen. [-]"""
    columns = [c for c, asset in enumerate(assets) if asset in house.pegged_assets]
    moves = np.nan_to_num(own.values[:, columns])
    if not columns:
        return np.zeros(own.values.shape[0])
    largest = np.argmax(np.abs(moves), axis=1)
    picked: Float64Array1D = moves[np.arange(moves.shape[0]), largest]
    return picked


def floored_peg_moves(
    largest: Float64Array1D, n_usable: int, peg_move_min: float
) -> Float64Array1D:
    """Return the largest peg moves, with assumed ones where the lookback has none to speak of.

    Missing history is not safety: a peg that nobody has seen break is taken to break as others
    did. Assumed moves stand one to a window of the longest margin period of risk, falls and rises
    in turn. A window of any length then holds one at most, a tenth of all days goes each way, which
    is more than any tail, and the next one would fall on the day after the last, so that the filter
    leaves them as large as they are.

    Parameters
    ----------
    largest : Float64Array1D, shape (n_days,)
        From ``largest_peg_moves``, oldest first. [-]
    n_usable : int
        Days of the lookback.
    peg_move_min : float
        Size of an assumed move; none is assumed where the lookback holds one as large. [-]

    Examples
    --------
    >>> floored_peg_moves(np.array([0.0, 0.001, 0.0, 0.0, 0.0, 0.0]), 6, 0.04)
    array([ 0.  , -0.04,  0.  ,  0.  ,  0.  ,  0.  ])
    >>> floored_peg_moves(np.array([0.0, 0.05, 0.0, 0.0, 0.0, 0.0]), 6, 0.04)
    array([0.  , 0.05, 0.  , 0.  , 0.  , 0.  ])
    """
    if np.abs(largest[-n_usable:]).max(initial=0.0) >= peg_move_min:
        return largest
    days_ago = np.arange(len(largest), 0, -1)
    sign = np.where(days_ago // MPOR_DAYS_MAX % 2 == 1, -1.0, 1.0)
    assumed = np.where(days_ago % MPOR_DAYS_MAX == 0, sign * peg_move_min, 0.0)
    return larger_moves(largest, assumed)


def larger_moves(mine: Float64Array1D, stand_in: Float64Array1D) -> Float64Array1D:
    """Return whichever move is the larger in size on each day; an own one that is NaN is none."""
    own = np.nan_to_num(mine)
    larger: Float64Array1D = np.where(np.abs(own) > np.abs(stand_in), own, stand_in)
    return larger

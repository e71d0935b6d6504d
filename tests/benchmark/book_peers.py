"""Other ways to total books and average their worst outcomes."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from engine.kernels.tail import LegRows

BLOCK_SETS = 4_096


def _matrix(rows: LegRows, n_instruments: int) -> csr_array:
    ptr = rows.leg_ptr[rows.group_ptr]
    return csr_array((rows.weight, rows.index, ptr), shape=(rows.n_groups, n_instruments))


def _mean_of_worst(outcomes: np.ndarray, n_tail: int) -> np.ndarray:
    return -np.partition(outcomes, n_tail - 1, axis=1)[:, :n_tail].mean(axis=1)


def one_shot(pnl: np.ndarray, rows: LegRows, n_tail: int) -> np.ndarray:
    """Return the shortfall of each book from one sparse product and one partition."""
    return _mean_of_worst(_matrix(rows, len(pnl)) @ pnl, n_tail)


def blocked(pnl: np.ndarray, rows: LegRows, n_tail: int) -> np.ndarray:
    """Return the same, block by block of books, so that memory stays small."""
    books = _matrix(rows, len(pnl))
    shortfall = np.empty(rows.n_groups)
    for start in range(0, rows.n_groups, BLOCK_SETS):
        stop = min(start + BLOCK_SETS, rows.n_groups)
        outcomes = books[start:stop] @ pnl
        outcomes.partition(n_tail - 1, axis=1)
        shortfall[start:stop] = -outcomes[:, :n_tail].mean(axis=1)
    return shortfall


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _row_by_row(pnl, ptr, index, weight, n_tail, shortfall):  # type: ignore[no-untyped-def]
    total, worst = np.empty(pnl.shape[1]), np.empty(n_tail)
    for book in range(ptr.size - 1):
        total[:] = 0.0
        for position in range(ptr[book], ptr[book + 1]):
            row, factor = pnl[index[position]], weight[position]
            for s in range(total.size):
                total[s] += factor * row[s]
        worst[:] = np.inf
        for s in range(total.size):
            if total[s] < worst[n_tail - 1]:
                place = n_tail - 1
                while place > 0 and total[s] < worst[place - 1]:
                    worst[place] = worst[place - 1]
                    place -= 1
                worst[place] = total[s]
        shortfall[book] = -worst.mean()


def numba_rows(pnl: np.ndarray, rows: LegRows, n_tail: int) -> np.ndarray:
    """Return the same by numba, one book after the other over whole rows."""
    shortfall = np.empty(rows.n_groups)
    ptr = rows.leg_ptr[rows.group_ptr]
    _row_by_row(pnl, ptr, rows.index, rows.weight, n_tail, shortfall)
    return shortfall

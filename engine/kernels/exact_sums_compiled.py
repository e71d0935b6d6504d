"""Compiled exact sums over rows. Plain twin: `engine.kernels.exact_sums.grouped_sums`."""

from __future__ import annotations

from typing import Any

from numba import njit

from engine.arrays import Float64Array1D, Float64Array2D, Float64Array3D, Int64Array1D
from engine.kernels.exact_sums import ANCHORS, TERM_MAX, TERMS_PER_CARRY, TOTAL_MAX

_A0, _A1, _A2 = ANCHORS
_TERM_MAX, _TOTAL_MAX, _TERMS_PER_CARRY = TERM_MAX, TOTAL_MAX, TERMS_PER_CARRY
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")


def weighted_sums(
    rows: Float64Array2D,
    terms: tuple[Int64Array1D, Float64Array1D, Int64Array1D],
    parts: Float64Array3D,
) -> int:
    """Fill ``parts``, shape ``(n_groups, 3, n_columns)``, from zero.

    ``terms`` are row, weight and, for each group, the first of its terms, with the end appended.
    The result is -1, or the first group with a term or total that is out of limits.
    """
    refused: int = _weighted(rows, *terms, parts)
    return refused


@_compiled
def _weighted(rows, index, weight, starts, parts):  # type: ignore[no-untyped-def]
    n_columns = rows.shape[1]
    for group in range(starts.size - 1):
        coarse, middle, fine = parts[group, 0], parts[group, 1], parts[group, 2]
        largest = 0.0
        for term in range(starts[group], starts[group + 1]):
            if _add(rows[index[term]], weight[term], coarse, middle, fine):
                return group
            is_last = term + 1 == starts[group + 1]
            if is_last or (term - starts[group] + 1) % _TERMS_PER_CARRY == 0:
                for c in range(n_columns):
                    carry = (fine[c] + _A1) - _A1
                    fine[c] -= carry
                    carry += middle[c]
                    upper = (carry + _A0) - _A0
                    middle[c] = carry - upper
                    coarse[c] += upper
                    largest = max(largest, abs(coarse[c]))
        if not largest <= _TOTAL_MAX:
            return group
    return -1


@_compiled
def _add(row, factor, coarse, middle, fine):  # type: ignore[no-untyped-def]
    """Add ``factor * row`` to the parts and return how many products are out of limits."""
    # A function of its own: inside the loops over groups and terms it would not be vectorised.
    n_unfit = 0
    for c in range(row.size):
        value = factor * row[c]
        n_unfit += not abs(value) <= _TERM_MAX
        on_coarse = (value + _A0) - _A0
        rest = value - on_coarse
        on_middle = (rest + _A1) - _A1
        coarse[c] += on_coarse
        middle[c] += on_middle
        fine[c] += ((rest - on_middle) + _A2) - _A2
    return n_unfit

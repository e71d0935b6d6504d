"""Sums by group that depend on nothing but the terms and their order.

pandas adds up a group by Kahan's algorithm, or, where the groups happen to be sorted, by numpy's
pairwise one: the last bit of a netting set's sum then depends on who else is in the frame, and on
the release. Here it is Kahan's, always.
"""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D


def compensated_sums(values: Float64Array1D, ptr: Int64Array1D) -> Float64Array1D:
    """Return the sum of ``values[ptr[i]:ptr[i + 1]]`` of each range, in stored order.

    Examples
    --------
    >>> compensated_sums(np.array([0.1, 0.2, 0.3, 5.0]), np.array([0, 3, 3, 4]))
    array([0.6, 0. , 5. ])
    """
    size = np.diff(ptr)
    total, compensation = np.zeros(len(size)), np.zeros(len(size))
    for place in range(int(size.max(initial=0))):
        rows = np.flatnonzero(size > place)
        summand = values[ptr[rows] + place] - compensation[rows]
        following = total[rows] + summand
        compensation[rows] = following - total[rows] - summand
        total[rows] = following
    return total


def grouped_in_order(values: Float64Array1D, group: Int64Array1D, n_groups: int) -> Float64Array1D:
    """Return the sum of ``values`` of each group, its terms in stored order; NaN counts 0.

    Examples
    --------
    >>> grouped_in_order(np.array([1.0, 2.0, np.nan, 4.0]), np.array([1, 0, 0, 1]), 2)
    array([2., 5.])
    """
    order = np.argsort(group, kind="stable")
    ptr = np.searchsorted(group[order], np.arange(n_groups + 1)).astype(np.int64)
    known = np.where(np.isnan(values), 0.0, values)
    return compensated_sums(known[order], ptr)

"""Sums of ranges as the grouped sums of pandas have them: compensated, in stored order."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D


def compensated_sums(values: Float64Array1D, ptr: Int64Array1D) -> Float64Array1D:
    """Return the sum of ``values[ptr[i]:ptr[i + 1]]`` of each range, by Kahan's addition.

    The close sums by netting set with pandas, which adds so; the live book has to find the same
    bits without a frame.

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

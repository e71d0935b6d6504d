"""Elements of many ranges at once."""

from __future__ import annotations

import numpy as np

from engine.arrays import Int64Array1D


def ranges_of(first: Int64Array1D, stop: Int64Array1D) -> tuple[Int64Array1D, Int64Array1D]:
    """Return the elements of all ranges one after the other, and where each range begins.

    Examples
    --------
    >>> ranges_of(np.array([4, 9]), np.array([6, 12]))
    (array([ 4,  5,  9, 10, 11]), array([0, 2, 5]))
    """
    size = stop - first
    ptr = np.zeros(len(size) + 1, dtype=np.int64)
    np.cumsum(size, out=ptr[1:])
    inside = np.arange(ptr[-1]) - np.repeat(ptr[:-1], size)
    return np.repeat(first, size) + inside, ptr

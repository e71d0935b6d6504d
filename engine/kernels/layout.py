"""One memory layout for what enters compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ModelInputError


def frozen(name: str, values: np.ndarray[Any, Any], dtype: type[Any]) -> np.ndarray[Any, Any]:
    """Return a read-only contiguous one-dimensional view of ``values`` with type ``dtype``.

    Kernels are compiled once for each layout, and arrays that come from files or other processes
    are often read-only; so all inputs are.

    Raises
    ------
    ModelInputError
        If ``values`` has another dimension or would lose precision.
    """
    if values.ndim != 1 or not np.can_cast(values.dtype, dtype, "same_kind"):
        raise ModelInputError(
            f"{name} needs 1-d {np.dtype(dtype)}, found {values.ndim}-d {values.dtype}"
        )
    return read_only(np.asarray(values, dtype=dtype))


def read_only(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a read-only contiguous view of ``values``, copied only if it is not contiguous."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view

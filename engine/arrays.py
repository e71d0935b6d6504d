"""Array types that carry their dimension and element type."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Float64Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Float64Array2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Float64Array3D: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.float64]]
Int64Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Int64Array2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Int32Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int32]]
Int32Array2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int32]]
BoolArray1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
BoolArray2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]
ObjectArray1D: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]

"""Books by MKL's sparse product, one thread, into a matrix that is kept."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from engine.kernels.tail import LegRows
from tests.benchmark.measure import Absent


@cache
def product() -> Any:
    """Return ``sparse_dot_mkl.dot_product_mkl``, or why there is none."""
    libraries = sorted((Path(sys.prefix) / "lib").glob("libmkl_rt.so*"))
    if libraries:
        # The loader looks into system folders, not into this environment.
        os.environ.setdefault("MKL_RT", str(libraries[-1]))
    os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
    try:
        from sparse_dot_mkl import dot_product_mkl
    except (ImportError, OSError) as error:
        return Absent(f"sparse_dot_mkl does not load: {str(error).splitlines()[0]}")
    return dot_product_mkl


def version() -> str:
    """Return the version that MKL says of itself, or empty text."""
    if isinstance(product(), Absent):
        return ""
    from importlib.metadata import version as installed

    return f"MKL {installed('mkl')}"


class Books:
    """Sparse product into one matrix that is reused, then a partition of every row."""

    def __init__(self, pnl: np.ndarray, rows: LegRows, n_tail: int) -> None:
        ptr = rows.leg_ptr[rows.group_ptr].astype(np.int32)
        shape = (rows.n_groups, len(pnl))
        self.matrix = csr_matrix((rows.weight, rows.index, ptr), shape=shape)
        self.pnl, self.n_tail = pnl, n_tail
        self.out = np.zeros((rows.n_groups, pnl.shape[1]))

    def __call__(self) -> np.ndarray:
        """Return the shortfall of each book."""
        product()(self.matrix, self.pnl, out=self.out, out_scalar=0.0)
        self.out.partition(self.n_tail - 1, axis=1)
        return -self.out[:, : self.n_tail].mean(axis=1)

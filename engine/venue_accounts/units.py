"""Units of books: rows that are margined together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D, ObjectArray1D


@dataclass(frozen=True, slots=True, eq=False)
class UnitRows:
    """Rows by unit, units by book and then by name.

    Attributes
    ----------
    unit : Int64Array1D, shape (n_rows,)
    first : Int64Array1D, shape (n_units,)
        First row of each unit, which stands for it.
    """

    unit: Int64Array1D
    first: Int64Array1D

    def __len__(self) -> int:
        return len(self.first)


def unit_rows(book: Int64Array1D, *names: ObjectArray1D) -> UnitRows:
    """Return the rows of one book that share all ``names`` as one unit."""
    key = book
    for column in names:
        # Hashing: a what-if asks with hundreds of thousands of rows and few distinct names.
        code, words = pd.factorize(column, sort=True)
        key = key * max(len(words), 1) + code
    _, first, unit = np.unique(key, return_index=True, return_inverse=True)
    return UnitRows(unit.astype(np.int64), first.astype(np.int64))

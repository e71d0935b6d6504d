"""Rows of columns that belong to netting sets: found by owner, changed in place, never removed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from engine.arrays import Int64Array1D
from engine.intraday.ranges import ranges_of

Column: TypeAlias = np.ndarray[tuple[int], np.dtype[Any]]

_ROOM_MIN = 64


class OwnedTable:
    """Columns of equal length whose rows belong to an owner each.

    Rows of one owner are found at once: those that were there at the start lie together, later
    ones are listed. ``compact`` brings all together again.
    """

    def __init__(self, owner: Int64Array1D, columns: Mapping[str, Column], n_owners: int) -> None:
        order = np.argsort(owner, kind="stable")
        self._columns: dict[str, Column] = {"owner": owner[order]}
        self._columns |= {name: values[order] for name, values in columns.items()}
        self._n = len(owner)
        self._first = np.searchsorted(self._columns["owner"], np.arange(n_owners + 1))
        self._later: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, name: str) -> Column:
        return self._columns[name][: self._n]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns, the owner's first."""
        return tuple(self._columns)

    def copied(self) -> OwnedTable:
        """Return the table as it is at this moment."""
        found = copy.copy(self)
        found._columns = {name: column.copy() for name, column in self._columns.items()}
        found._later = {owner: list(rows) for owner, rows in self._later.items()}
        return found

    def rows_of(self, owner: int) -> Int64Array1D:
        """Return the rows of one owner."""
        if owner < len(self._first) - 1:
            rows = np.arange(self._first[owner], self._first[owner + 1])
        else:
            rows = np.zeros(0, dtype=np.int64)
        later = self._later.get(owner)
        return rows if later is None else np.append(rows, np.array(later, dtype=np.int64))

    def rows_of_many(self, owners: Int64Array1D) -> tuple[Int64Array1D, Int64Array1D]:
        """Return the rows of many owners one after the other, and where each owner's begin."""
        if not self._later or not any(owner in self._later for owner in owners.tolist()):
            return ranges_of(self._first[owners], self._first[owners + 1])
        parts = [self.rows_of(owner) for owner in owners.tolist()]
        ptr = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        return np.concatenate(parts), ptr.astype(np.int64)

    def find(self, owner: int, key: Mapping[str, int]) -> int:
        """Return the row of ``owner`` whose columns have the values of ``key``, or -1."""
        rows = self.rows_of(owner)
        fits = np.ones(len(rows), dtype=np.bool_)
        for name, value in key.items():
            fits &= self._columns[name][rows] == value
        found = rows[fits]
        return int(found[0]) if len(found) else -1

    def append(self, owner: int, values: Mapping[str, float]) -> int:
        """Add a row and return its number."""
        if self._n == len(self._columns["owner"]):
            room = max(_ROOM_MIN, self._n // 8)
            self._columns = {
                name: np.concatenate([column, np.zeros(room, dtype=column.dtype)])
                for name, column in self._columns.items()
            }
        row = self._n
        self._columns["owner"][row] = owner
        for name, value in values.items():
            self._columns[name][row] = value
        self._n += 1
        self._later.setdefault(owner, []).append(row)
        return row

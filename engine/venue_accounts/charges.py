"""Parts of venue margins as columns: one row per position, or per unit of a scenario grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PlacedRows:
    """Positions that need margin, each with its terms; arrays of shape (n_rows,).

    ``parameters`` is a row of the terms' sets, -1 with a ``fault``; ``model`` is empty for what
    takes no margin. ``bucket`` and ``currency`` say with what a position is margined together,
    ``spreads`` which set of SPAN's inter-commodity spreads its mode grants (-1: none).
    """

    book: Int64Array1D
    instrument: Int64Array1D
    quantity: Float64Array1D
    leverage: Float64Array1D
    model: ObjectArray1D
    parameters: Int64Array1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    fault: ObjectArray1D
    spreads: Int64Array1D

    def of_model(self, model: str) -> Int64Array1D:
        """Return the rows of a model that have parameters."""
        rows: Int64Array1D = np.flatnonzero((self.model == model) & (self.parameters >= 0))
        return rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Charges:
    """Parts of margins; arrays of shape (n_charges,).

    Attributes
    ----------
    book : Int64Array1D
    instrument : Int64Array1D
        Position that is charged; -1 for a unit of a grid.
    name : ObjectArray1D of str
        The position, or the part of a grid: its underlying, or the offset between buckets.
    bucket, currency : ObjectArray1D of str
    parameters : Int64Array1D
        Row of the terms' sets; -1 for an offset.
    initial_margin, maintenance_margin : Float64Array1D
        Below zero for an offset between buckets alone; NaN with a fault. [currency]
    usd_rate : Float64Array1D
        USD per unit of ``currency``.
    fault : ObjectArray1D of str
        Why there is no margin, or empty text.
    """

    book: Int64Array1D
    instrument: Int64Array1D
    name: ObjectArray1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    parameters: Int64Array1D
    initial_margin: Float64Array1D
    maintenance_margin: Float64Array1D
    usd_rate: Float64Array1D
    fault: ObjectArray1D

    def __len__(self) -> int:
        return len(self.book)

    def rows(self, chosen: BoolArray1D | Int64Array1D) -> Charges:
        """Return some of the charges."""
        return Charges(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})


def faulty_charges(placed: PlacedRows, rows: Int64Array1D, reason: ObjectArray1D) -> Charges:
    """Return charges that fail the books of ``rows``, each for its reason."""
    n = len(rows)
    nothing = np.full(n, np.nan)
    return Charges(
        book=placed.book[rows],
        instrument=placed.instrument[rows],
        name=reason,
        bucket=placed.bucket[rows],
        currency=placed.currency[rows],
        parameters=placed.parameters[rows],
        initial_margin=nothing,
        maintenance_margin=nothing,
        usd_rate=np.ones(n),
        fault=reason,
    )


def joined_charges(parts: Sequence[Charges]) -> Charges:
    """Return all charges in one table, by book, then as the parts come."""
    columns = {
        each.name: np.concatenate([getattr(part, each.name) for part in parts])
        for each in fields(Charges)
    }
    together = Charges(**columns)
    return together.rows(np.argsort(together.book, kind="stable"))

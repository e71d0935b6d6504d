"""Books as nested ranges of rows: groups hold legs, legs hold positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int32Array1D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.layout import frozen

Int8Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int8]]
Int32Array2D: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int32]]

NETTED: Final = 0
STANDALONE: Final = 1
COLLATERAL: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class LegRows:
    """Positions of many books: group -> legs -> positions, each level a range of the next.

    Attributes
    ----------
    group_ptr : Int64Array1D, shape (n_groups + 1,)
        Legs ``group_ptr[g]`` to ``group_ptr[g + 1]`` belong to group ``g``.
    leg_ptr : Int64Array1D, shape (n_legs + 1,)
        Positions ``leg_ptr[i]`` to ``leg_ptr[i + 1]`` belong to leg ``i``.
    leg_role : Int8Array1D, shape (n_legs,)
        ``NETTED``: part of the group's total. ``STANDALONE``: own expected shortfall only, for an
        underlying that may not offset. ``COLLATERAL``: enters only the wrong-way total.
    index : Int32Array1D, shape (n_positions,)
        Row of the P&L matrix that the position holds.
    weight : Float64Array1D, shape (n_positions,)
        Signed quantity times whatever scales a row to the group's currency.
    """

    group_ptr: Int64Array1D
    leg_ptr: Int64Array1D
    leg_role: Int8Array1D
    index: Int32Array1D
    weight: Float64Array1D

    @property
    def n_groups(self) -> int:
        return len(self.group_ptr) - 1

    @property
    def n_legs(self) -> int:
        return len(self.leg_ptr) - 1

    @property
    def n_positions(self) -> int:
        return len(self.index)


def checked_rows(rows: LegRows, n_instruments: int, is_finite: BoolArray1D) -> LegRows:
    """Return ``rows`` as read-only contiguous arrays of the stated types.

    One memory layout means that kernels are compiled once, whether the arrays were made here or
    came from another process.

    Raises
    ------
    ModelInputError
        If ranges do not nest, an index is outside the instruments, a weight is not finite, or a
        position holds an instrument without finite P&L.
    """
    n_legs = len(rows.leg_role)
    _require_ranges("group_ptr", rows.group_ptr, n_legs)
    _require_ranges("leg_ptr", rows.leg_ptr, len(rows.index))
    if len(rows.leg_ptr) != n_legs + 1:
        raise ModelInputError(f"leg_role holds {n_legs} legs, leg_ptr {len(rows.leg_ptr) - 1}")
    if n_legs and not NETTED <= int(rows.leg_role.min()) <= int(rows.leg_role.max()) <= COLLATERAL:
        raise ModelInputError(f"leg_role needs 0, 1 or 2, found {np.unique(rows.leg_role)}")
    if len(rows.weight) != len(rows.index):
        raise ModelInputError(f"index holds {len(rows.index)} positions, weight {len(rows.weight)}")
    if len(rows.index):
        low, high = int(rows.index.min()), int(rows.index.max())
        if low < 0 or high >= n_instruments:
            raise ModelInputError(
                f"index needs rows 0 to {n_instruments - 1}, found {low} to {high}"
            )
    if not np.isfinite(rows.weight).all():
        position = int(np.flatnonzero(~np.isfinite(rows.weight))[0])
        raise ModelInputError(f"weight of position {position} is {rows.weight[position]}")
    if not is_finite.all() and not is_finite[rows.index].all():
        row = int(rows.index[~is_finite[rows.index]][0])
        raise ModelInputError(f"pnl of row {row} is not finite, but a position holds it")
    return LegRows(
        frozen("group_ptr", rows.group_ptr, np.int64),
        frozen("leg_ptr", rows.leg_ptr, np.int64),
        frozen("leg_role", rows.leg_role, np.int8),
        frozen("index", rows.index, np.int32),
        frozen("weight", rows.weight, np.float64),
    )


def finite_rows(pnl: Float64Array2D) -> BoolArray1D:
    """Return for each row of ``pnl`` whether all its outcomes are finite."""
    return np.asarray(np.isfinite(pnl).all(axis=1))


def _require_ranges(name: str, ptr: Int64Array1D, n_items: int) -> None:
    if ptr.ndim != 1 or len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != n_items:
        raise ModelInputError(
            f"{name} needs to run from 0 to {n_items}, found {ptr[:1]} to {ptr[-1:]}"
        )
    if len(ptr) > 1 and bool((np.diff(ptr) < 0).any()):
        raise ModelInputError(f"{name} needs to be ascending")

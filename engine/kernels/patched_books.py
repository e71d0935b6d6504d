"""Tails and sums of held books with a few positions changed, equal to the bit to the whole books.

The total of a changed book is the kept total plus what changed. That is not yet what adding all
positions in order gives, because sums of floats depend on their order. So it only says which
scenarios can be among the worst, with a margin for every rounding error there may be; in those few,
a dozen or so, the changed legs are added up in stored order, and the mean is taken of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.kernels.layout import read_only
from engine.kernels.patched_rows import HeldBooks, Patches, Units, checked_patches, held_books

__all__ = ["HeldBooks", "PatchedBooks", "Patches", "Units", "held_books", "patched_books"]


@dataclass(frozen=True, slots=True, eq=False)
class PatchedBooks:
    """Figures of the cases' patched legs and of their books.

    Attributes
    ----------
    leg_shortfall : Float64Array1D, shape (n_patched,)
        Expected shortfall of each patched leg, a loss > 0; 0 where no position is left.
    leg_figures : Float64Array2D, shape (n_patched, n_columns)
        Sums of `Units.figures`.
    group_shortfall, group_wrong_way : Float64Array1D, shape (n_cases,)
        As in `engine.kernels.tail.NestedTail`.
    group_cost : Float64Array1D, shape (n_cases,)
        Sum of absolute weight times `Units.cost`.
    """

    leg_shortfall: Float64Array1D
    leg_figures: Float64Array2D
    group_shortfall: Float64Array1D
    group_wrong_way: Float64Array1D
    group_cost: Float64Array1D


def patched_books(units: Units, held: HeldBooks, patches: Patches) -> PatchedBooks:
    """Return the figures of every case.

    They are the same bytes as `engine.kernels.tail.nested_expected_shortfall` and sums in stored
    order give for the changed books in whole. Twin: `engine.kernels.patched_books_plain`.

    Parameters
    ----------
    units : Units
        As given to `held_books`.
    held : HeldBooks
        The books that the cases start from.
    patches : Patches
        What each case changes.

    Raises
    ------
    ModelInputError
        If patches do not fit the books or an outcome is not finite.
    """
    patches = checked_patches(patches, units, held.rows)
    found = PatchedBooks(
        leg_shortfall=np.zeros(patches.n_patched),
        leg_figures=np.zeros((patches.n_patched, units.figures.shape[1])),
        group_shortfall=held.tail.group_shortfall[patches.case_group],
        group_wrong_way=held.tail.group_wrong_way[patches.case_group],
        group_cost=np.zeros(patches.n_cases),
    )
    layout = Units(read_only(units.pnl), read_only(units.figures), read_only(units.cost))
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import patched_books_compiled

    patched_books_compiled.patched_books(layout, held, patches, found)
    for name in PatchedBooks.__slots__:
        overflown = np.argwhere(~np.isfinite(getattr(found, name)))
        if len(overflown):
            raise ModelInputError(f"{name}{overflown[0].tolist()} is not finite: its sums overflow")
    return found

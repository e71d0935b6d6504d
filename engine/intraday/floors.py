"""What netting sets owed when all they rest on was last fresh: kept, and counted again."""

from __future__ import annotations

from engine.arrays import Float64Array1D, Int64Array1D
from engine.intraday.live_book import LiveBook


def floors_of(book: LiveBook, rows: Int64Array1D) -> tuple[Float64Array1D, Float64Array1D]:
    """Return what was required and what was owed then; NaN where all is trusted."""
    trust = book._book.trust
    return trust.floor_requirement[rows].copy(), trust.floor_owed[rows].copy()


def count_floors(
    book: LiveBook, rows: Int64Array1D, requirement: Float64Array1D, owed: Float64Array1D
) -> None:
    """Let floors of another life of the book count for netting sets that are not trusted now."""
    book._book.trust.set_floor(rows, requirement, owed)
    book._doubt(rows)

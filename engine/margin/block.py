"""A block of netting sets, cut so that it can be margined anywhere with the same result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.kernels.tail import LegRows
from engine.market import PreparedMarket
from engine.portfolio import Portfolio
from engine.rules import HouseParameters

# A block is about a fifth of a second of work or more; its size is a constant, not a function of
# the number of workers, though results would be the same bytes either way.
NETTING_SETS_PER_BLOCK = 4096
WORST_SCENARIOS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive netting sets with all their books.

    Attributes
    ----------
    first_netting_set, first_group : int
        Position of the block in the portfolio.
    group_netting_set : Int64Array1D, shape (n_groups,)
        Netting set of each book, counted from ``first_netting_set``.
    rows : LegRows
        The books of the block.
    leg_asset : Int64Array1D, shape (n_legs,)
    n_tail : Float64Array1D, shape (n_groups,)
        Scenarios in each book's tail, by its agreement's confidence.
    house : HouseParameters
    """

    first_netting_set: int
    first_group: int
    n_netting_sets: int
    group_netting_set: Int64Array1D
    rows: LegRows
    leg_asset: Int64Array1D
    n_tail: Float64Array1D
    house: HouseParameters


def blocks_of(
    book: Portfolio,
    market: PreparedMarket,
    house: HouseParameters,
    netting_sets_per_block: int = NETTING_SETS_PER_BLOCK,
) -> list[Block]:
    """Return the portfolio as blocks of at most ``netting_sets_per_block`` netting sets."""
    n_tail = _tail_sizes(book, market)
    blocks = []
    for first in range(0, book.n_netting_sets, netting_sets_per_block):
        last = min(first + netting_sets_per_block, book.n_netting_sets)
        groups = slice(*np.searchsorted(book.group_netting_set, [first, last]).tolist())
        blocks.append(_cut(book, groups, (first, last), n_tail, house))
    return blocks


def block_of(
    book: Portfolio, market: PreparedMarket, house: HouseParameters, netting_set: int
) -> Block:
    """Return one netting set of the portfolio, named by its row, as a block."""
    groups = slice(
        *np.searchsorted(book.group_netting_set, [netting_set, netting_set + 1]).tolist()
    )
    return _cut(book, groups, (netting_set, netting_set + 1), _tail_sizes(book, market), house)


def _tail_sizes(book: Portfolio, market: PreparedMarket) -> Float64Array1D:
    """Return the number of scenarios in the tail of each book."""
    confidence = book.netting_sets["confidence"].to_numpy(dtype=np.float64)
    # Rounding removes binary noise: a tenth of ten scenarios is one, not 0.9999999999999998.
    n_tail = np.round((1.0 - confidence) * market.scenarios.n_historical, 9)
    sizes: Float64Array1D = np.maximum(n_tail, 1.0)[book.group_netting_set]
    return sizes


def _cut(
    book: Portfolio,
    groups: slice,
    netting_sets: tuple[int, int],
    n_tail: Float64Array1D,
    house: HouseParameters,
) -> Block:
    rows = book.rows
    group_ptr = rows.group_ptr[groups.start : groups.stop + 1]
    legs = slice(int(group_ptr[0]), int(group_ptr[-1]))
    leg_ptr = rows.leg_ptr[legs.start : legs.stop + 1]
    positions = slice(int(leg_ptr[0]), int(leg_ptr[-1]))
    return Block(
        first_netting_set=netting_sets[0],
        first_group=groups.start,
        n_netting_sets=netting_sets[1] - netting_sets[0],
        group_netting_set=book.group_netting_set[groups] - netting_sets[0],
        rows=LegRows(
            group_ptr=group_ptr - group_ptr[0],
            leg_ptr=leg_ptr - leg_ptr[0],
            leg_role=rows.leg_role[legs],
            index=rows.index[positions],
            weight=rows.weight[positions],
        ),
        leg_asset=book.leg_asset[legs],
        n_tail=n_tail[groups],
        house=house,
    )

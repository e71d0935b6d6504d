"""Admitted candidates as changed positions of the held books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.kernels.patched_books import Patches
from engine.kernels.rows import COLLATERAL, NETTED, STANDALONE, Int8Array1D
from engine.whatif.held_book import PreparedBook, leg_number


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Patches of all books of all candidates; case ``c * n_groups + g`` is book g of candidate c.

    Attributes
    ----------
    patches : Patches
    asset : Int64Array1D, shape (n_patched,)
        Underlying of each patched leg; -1 for collateral.
    has_positions : BoolArray1D, shape (n_patched,)
        Whether anything is left in the leg.
    """

    patches: Patches
    asset: Int64Array1D
    has_positions: BoolArray1D


def changes_of(book: PreparedBook, quantities: Sequence[dict[int, float]]) -> Changes:
    """Return what candidates change, given the new quantity of each row that they touch.

    Where open orders would fill, their quantity comes on top, book by book.
    """
    entries = _entries(book, quantities)
    starts = np.ones(len(entries.row), dtype=np.bool_)
    starts[1:] = (np.diff(entries.case) != 0) | (np.diff(entries.leg_key) != 0)
    first = np.flatnonzero(starts)
    case, leg_key, asset = entries.case[first], entries.leg_key[first], entries.asset[first]
    leg = np.searchsorted(book.leg_key, leg_key)
    is_new = _differs(book.leg_key, leg, leg_key)
    n_cases = len(quantities) * book.n_groups
    entry_ptr = np.append(first, len(entries.row))
    patches = Patches(
        case_group=np.tile(np.arange(book.n_groups), len(quantities)),
        leg_ptr=np.searchsorted(case, np.arange(n_cases + 1)),
        leg=leg,
        is_new=is_new,
        role=_roles(book, asset),
        entry_ptr=entry_ptr,
        place=entries.place,
        replaces=entries.replaces,
        row=entries.row,
        weight=entries.weight,
    )
    size = np.diff(book.block.rows.leg_ptr)
    held = np.where(is_new, 0, np.append(size, 0)[leg])
    gained = (~entries.replaces).astype(np.int64) - (entries.replaces & (entries.weight == 0.0))
    patched = np.repeat(np.arange(len(first)), np.diff(entry_ptr))
    added = np.bincount(patched, weights=gained, minlength=len(first)).astype(np.int64)
    return Changes(patches, asset, held + added > 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    case: Int64Array1D
    leg_key: Int64Array1D
    asset: Int64Array1D
    row: Int64Array1D
    place: Int64Array1D
    replaces: BoolArray1D
    weight: Float64Array1D


def _entries(book: PreparedBook, quantities: Sequence[dict[int, float]]) -> _Entries:
    """Return the touched rows of every case, in the order of the held positions."""
    market, n_groups = book.market, book.n_groups
    counts = [len(each) for each in quantities]
    candidate = np.repeat(np.arange(len(quantities)), counts)
    row = np.array([row for each in quantities for row in each], dtype=np.int64)
    quantity = np.array([q for each in quantities for q in each.values()], dtype=np.float64)
    group = np.tile(np.arange(n_groups), len(row))
    candidate, row = np.repeat(candidate, n_groups), np.repeat(row, n_groups)
    weight = np.repeat(quantity, n_groups) + _filled(book)[group, row]
    is_asset = row >= market.n_instruments
    underlying = market.underlying[np.minimum(row, market.n_instruments - 1)]
    asset = np.where(is_asset, -1, underlying)
    leg_key = leg_number(market, group, asset)
    key = leg_key * len(market.historical) + row
    place = np.searchsorted(book.position_key, key)
    replaces = ~_differs(book.position_key, place, key)
    case = candidate * n_groups + group
    order = np.lexsort((key, case))
    # What was not held and still is not there changes nothing.
    order = order[(replaces | (weight != 0.0))[order]]
    return _Entries(
        case[order], leg_key[order], asset[order], row[order], place[order], replaces[order],
        weight[order],
    )  # fmt: skip


def _differs(keys: Int64Array1D, at: Int64Array1D, wanted: Int64Array1D) -> BoolArray1D:
    differs: BoolArray1D = np.append(keys, -1)[at] != wanted
    return differs


def _filled(book: PreparedBook) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return what filled open orders add to each row of the market, by book. [contracts]"""
    added = np.zeros((book.n_groups, len(book.market.historical)))
    for group, label in enumerate(book.labels):
        for name, quantity in book.holdings.filled.get(label, {}).items():
            added[group, book.instruments.row_of[name]] = quantity
    return added


def _roles(book: PreparedBook, asset: Int64Array1D) -> Int8Array1D:
    standalone = book.market.is_standalone[np.maximum(asset, 0)]
    role = np.where(asset < 0, COLLATERAL, np.where(standalone, STANDALONE, NETTED))
    return role.astype(np.int8)

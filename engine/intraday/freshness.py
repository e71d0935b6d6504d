"""Which figures are of now: when each netting set was computed, and when what it rests on moved."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Int64Array1D
from engine.intraday.bookkeeping import Bookkeeping
from engine.intraday.exact import Terms


class Freshness:
    """Clocks of netting sets and of what moves them.

    Every change moves the clock on. A netting set rests on underlyings of its positions, and on USD
    rates of its collateral and its currency; one whose holdings have changed rests on everything
    until it is laid out.
    """

    def __init__(self, n_netting_sets: int, n_assets: int) -> None:
        self._n_assets = n_assets
        self._now = 0
        self._computed_at = np.full(n_netting_sets, -1, dtype=np.int64)
        # By underlying, then by USD rate.
        self._moved_at = np.zeros(2 * n_assets, dtype=np.int64)
        self._last_moved = 0
        self._is_laid_out: BoolArray1D = np.zeros(n_netting_sets, dtype=np.bool_)
        self._ptr = np.zeros(n_netting_sets + 1, dtype=np.int64)
        self._on = np.zeros(0, dtype=np.int64)

    def lay_out(
        self,
        underlyings: tuple[Int64Array1D, Int64Array1D],
        rates: tuple[Int64Array1D, Int64Array1D],
    ) -> None:
        """Store what each netting set rests on: pairs of netting sets and rows of assets."""
        width = 2 * self._n_assets
        key = np.unique(
            np.concatenate(
                [
                    underlyings[0] * width + underlyings[1],
                    rates[0] * width + self._n_assets + rates[1],
                ]
            )
        )
        n = len(self._computed_at)
        self._ptr = np.searchsorted(key // width, np.arange(n + 1)).astype(np.int64)
        self._on = (key % width).astype(np.int64)
        self._is_laid_out[:] = True

    def moved(self, underlyings: Int64Array1D, assets: Int64Array1D) -> None:
        """Note what a change of the market has moved."""
        self._now += 1
        self._moved_at[underlyings] = self._now
        self._moved_at[self._n_assets + assets] = self._now
        self._last_moved = self._now

    def changed(self, rows: Int64Array1D) -> None:
        """Note netting sets whose holdings have changed."""
        self._is_laid_out[rows] = False
        self._computed_at[rows] = -1

    def doubt(self, rows: Int64Array1D) -> None:
        """Let the figures of netting sets be of another time."""
        self._computed_at[rows] = -1

    def computed(self, rows: Int64Array1D) -> None:
        """Note that the figures of netting sets are of now."""
        self._computed_at[rows] = self._now

    def is_current(self, rows: Int64Array1D) -> BoolArray1D:
        """Return whether the figures of netting sets are of now."""
        # numba takes most of a second to import, so it is loaded where it computes.
        from engine.kernels.screening_compiled import current_rows

        current: BoolArray1D = current_rows(
            rows,
            (self._ptr, self._on, self._is_laid_out),
            (self._computed_at, self._moved_at, self._last_moved),
        )
        return current


def rests_on(
    book: Bookkeeping, terms: Terms
) -> tuple[tuple[Int64Array1D, Int64Array1D], tuple[Int64Array1D, Int64Array1D]]:
    """Return what the figures of each netting set rest on, as ``Freshness.lay_out`` takes it."""
    holdings = book.holdings
    row_of = {asset: row for row, asset in enumerate(book.market.prepared.assets)}
    rows = np.array([row_of.get(name, -1) for name in holdings.assets.texts] + [-1])
    pledged = rows[holdings.collateral["asset"]]
    known = pledged >= 0
    every = np.arange(len(terms.currency_row))
    rates = (
        np.concatenate([holdings.collateral["owner"][known], every]),
        np.concatenate([pledged[known], terms.currency_row]),
    )
    return book.layout.rests_on(), rates

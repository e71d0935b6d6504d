"""Legs and books of the layout's base, kept and moved on by what has moved of the market."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket, Moved
from engine.intraday.ranges import ranges_of
from engine.kernels.rows import COLLATERAL
from engine.kernels.running_books import (
    RunningBooks,
    RunningUnits,
    drift,
    refreshed,
    running_books,
)
from engine.margin.book_figures import BookFigures, LegFigures


class Running:
    """Figures of the books, equal to those that ``engine.margin.book_figures`` finds.

    Books of netting sets that have changed since the layout was last compacted are not here.
    """

    def __init__(self, live: LiveMarket, layout: Layout, tail_size: Float64Array1D) -> None:
        self._live, self._layout, self._tail_size = live, layout, tail_size
        self._books: RunningBooks | None = None
        self._of_base = -1

    def moved(self, moved: Moved) -> None:
        """Note which rows of the market have been written."""
        if self._books is not None:
            n = self._live.prepared.n_instruments
            self._books.moved(np.concatenate([moved.instrument, n + moved.asset]))

    def all_moved(self) -> None:
        """Note that any row of the market may have been written."""
        if self._books is not None:
            self._books.moved(np.arange(len(self._books.moved_at)))

    def figures(self, groups: Int64Array1D) -> tuple[LegFigures, BookFigures]:
        """Return the figures of books of the base, in the order of ``groups``."""
        books = self._opened()
        refreshed(self._units(), books, groups)
        rows = books.rows
        legs, ptr = ranges_of(rows.group_ptr[groups], rows.group_ptr[groups + 1])
        role = rows.leg_role[legs]
        least = np.where((role != COLLATERAL)[:, np.newaxis], books.leg_least[legs], 0.0)
        loss = np.maximum(-least, 0.0)
        return (
            LegFigures(
                group=np.repeat(np.arange(len(groups)), np.diff(ptr)),
                role=role,
                asset=self._layout.leg_asset[legs],
                shortfall=books.leg_shortfall[legs],
                stress=books.leg_sums[legs],
                gap_loss=loss[:, 0],
                cell_loss=loss[:, 1],
                cell=np.where(loss[:, 1] > 0.0, books.leg_least_at[legs, 1], -1),
                net_delta=books.leg_slope[legs],
            ),
            BookFigures(
                shortfall=books.group_shortfall[groups],
                wrong_way=books.group_wrong_way[groups],
                spread_cost=books.group_cost[groups],
            ),
        )

    def rebuild(self) -> float:
        """Add all books up whole and return how far the running totals had drifted."""
        books = self._opened()
        refreshed(self._units(), books, np.arange(books.rows.n_groups))
        return drift(self._units(), books)

    def _units(self) -> RunningUnits:
        market = self._live.prepared
        return RunningUnits(
            self._live.tiled, market.special, market.delta_notional, market.half_spread
        )

    def _opened(self) -> RunningBooks:
        if self._books is None or self._of_base != self._layout.n_compacted:
            scenarios = self._live.prepared.scenarios
            n_sums, n_gap = scenarios.n_stress, scenarios.n_gap
            columns = (n_sums, n_sums + n_gap, self._live.prepared.special.shape[1])
            rows, group_set = self._layout.base
            self._books = running_books(self._units(), rows, self._tail_size[group_set], columns)
            self._of_base = self._layout.n_compacted
        return self._books

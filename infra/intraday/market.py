"""The loop's view of prices: accepted by rows of the table, handed on by rows of the live book."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.acceptance.parameters import UNSTATED
from engine.acceptance.prices import AcceptedPrices, PriceAcceptance
from engine.acceptance.table import acceptance_table
from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.intraday import LiveBook, MarkChanges
from engine.market import known_rates
from infra.intraday.base import Base
from infra.intraday.packing import PackedMarks

_NONE: Final = np.zeros(0, dtype=np.int64)


class LoopMarket:
    """Acceptance, the book's rows, and which prices the journal has yet to keep."""

    def __init__(self, base: Base, book: LiveBook) -> None:
        parameters = base.rules.house.acceptance or UNSTATED
        rates = known_rates(base.snapshot, base.rules)
        majors = base.rules.house.mpor.major_assets
        table = acceptance_table(base.snapshot, rates, majors, parameters)
        self.acceptance = PriceAcceptance(table, parameters)
        self.row_of = {name: row for row, name in enumerate(table.instruments)}
        book_row = {str(name): row for row, name in enumerate(book.instrument_id)}
        asset_row = {name: row for row, name in enumerate(book.assets)}
        self._instrument = np.array(
            [book_row.get(name, -1) for name in table.instruments], dtype=np.int64
        )
        self._asset = np.array([asset_row.get(name, -1) for name in table.assets], dtype=np.int64)
        n, m = len(book_row), len(asset_row)
        # What the book was given, and what of it the journal has; NaN is the snapshot's.
        self._given = np.full((3, n), np.nan)
        self._given_rate = np.full(m, np.nan)
        self._kept = self._given.copy()
        self._kept_rate = self._given_rate.copy()
        self.observed_ns = 0

    def index_row(self, instrument_id: str) -> int:
        """Return the row of what an instrument's venue says of its underlying; -1 if unknown."""
        row = self.row_of.get(instrument_id, -1)
        if row < 0:
            return -1
        table = self.acceptance.table
        pair = (table.sources[int(table.source[row])], table.assets[int(table.asset[row])])
        return table.index_rows[pair]

    def rate_row(self, venue: str, asset: str) -> int:
        """Return the row of what a venue says that an asset is worth in dollars; -1 if unknown."""
        return self.acceptance.table.index_rows.get((venue, asset), -1)

    def changes(self, accepted: AcceptedPrices, observed_ns: int) -> MarkChanges | None:
        """Return what the book is to take in, None if nothing moved."""
        rows, columns = self._held(accepted)
        assets, rates = self._held_rates(accepted)
        if not rows.size and not assets.size:
            return None
        self._given[:, rows] = columns
        self._given_rate[assets] = rates
        self.observed_ns = observed_ns
        mark, iv, forward = columns
        return MarkChanges(rows, mark, iv, forward, assets, rates, observed_ns)

    def took(self, assets: Int64Array1D, rates: Float64Array1D) -> None:
        """Note the rates that count: the book lets none rise of what is not trusted."""
        self._given_rate[assets] = rates

    def unkept(self) -> PackedMarks:
        """Return the prices that moved since the journal last had them."""
        moved = np.flatnonzero(_differs(self._given, self._kept).any(axis=0))
        assets = np.flatnonzero(_differs(self._given_rate, self._kept_rate))
        return self._packed(moved, assets)

    def all_given(self) -> PackedMarks:
        """Return every price that is no longer the snapshot's."""
        moved = np.flatnonzero(~np.isnan(self._given).all(axis=0))
        return self._packed(moved, np.flatnonzero(~np.isnan(self._given_rate)))

    def note_kept(self, packed: PackedMarks) -> None:
        """Remember that the journal has these."""
        self._kept[:, packed.instrument] = _columns(packed)
        self._kept_rate[packed.asset] = packed.usd_rate

    def restore(self, packed: PackedMarks) -> MarkChanges:
        """Return what the book is to take in so that prices of an earlier process count again."""
        self._given[:, packed.instrument] = _columns(packed)
        self._given_rate[packed.asset] = packed.usd_rate
        self.observed_ns = packed.observed_ns
        self.note_kept(packed)
        back = np.full(len(self._given[0]), -1, dtype=np.int64)
        back[self._instrument[self._instrument >= 0]] = np.flatnonzero(self._instrument >= 0)
        marks = (packed.mark_price, packed.mark_iv, packed.forward_price)
        self.acceptance.restore(back[packed.instrument], marks)
        return changes_of(packed)

    def _held(self, accepted: AcceptedPrices) -> tuple[Int64Array1D, Float64Array2D]:
        rows = self._instrument[accepted.instruments]
        known = rows >= 0
        columns = np.stack([accepted.mark_price, accepted.mark_iv, accepted.forward_price])
        return rows[known], columns[:, known]

    def _held_rates(self, accepted: AcceptedPrices) -> tuple[Int64Array1D, Float64Array1D]:
        rows = self._asset[accepted.assets]
        known = (rows >= 0) & np.isfinite(accepted.usd_rate)
        return rows[known], accepted.usd_rate[known]

    def _packed(self, moved: Int64Array1D, assets: Int64Array1D) -> PackedMarks:
        return PackedMarks(
            instrument=moved.astype(np.int64),
            mark_price=self._given[0, moved],
            mark_iv=self._given[1, moved],
            forward_price=self._given[2, moved],
            asset=assets.astype(np.int64),
            usd_rate=self._given_rate[assets],
            observed_ns=self.observed_ns,
        )


def changes_of(packed: PackedMarks) -> MarkChanges:
    """Return packed prices as the book takes them."""
    return MarkChanges(
        packed.instrument, packed.mark_price, packed.mark_iv, packed.forward_price,
        packed.asset, packed.usd_rate, packed.observed_ns,
    )  # fmt: skip


def _columns(packed: PackedMarks) -> Float64Array2D:
    columns: Float64Array2D = np.stack([packed.mark_price, packed.mark_iv, packed.forward_price])
    return columns


def _differs(given: np.ndarray, kept: np.ndarray) -> np.ndarray:
    differs: np.ndarray = (given != kept) & ~(np.isnan(given) & np.isnan(kept))
    return differs

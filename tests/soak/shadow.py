"""What netting sets owe on inputs that the checker chooses, by the engine of the close.

A few netting sets of the close are taken out and given positions and prices of one's own. Figures
of many instants come from one small book; `assess` says of one of them that the book is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from engine.assess import assess
from engine.intraday import LiveBook, MarkChanges
from engine.snapshot import CollateralSet, LastFresh, PositionSet
from infra.intraday.base import Base
from tests.soak.market import Paths

Held = Mapping[tuple[str, str], float]


class Shadow:
    """A few netting sets under prices and positions of one's own."""

    def __init__(self, base: Base, sets: Sequence[str], held: Held) -> None:
        self._base, self.sets = base, tuple(sorted(sets))
        self._rules = replace(
            base.rules, agreements={name: base.rules.agreements[name] for name in self.sets}
        )
        close = base.positions.positions
        self._positions = PositionSet(
            _held(close[close["netting_set_id"].isin(self.sets)], held),
            base.positions.open_orders.iloc[:0],
        )
        holdings = base.collateral.holdings
        self._collateral = CollateralSet(
            holdings[holdings["netting_set_id"].isin(self.sets)].reset_index(drop=True)
        )
        self.book = LiveBook.open(
            base.snapshot, self._positions, self._collateral, self._rules, LastFresh()
        )

    def give(self, changes: MarkChanges, as_of: datetime) -> None:
        """Let these prices hold."""
        if as_of > self.book.as_of:
            self.book.advance(as_of)
        self.book.apply_marks(changes)

    def requirement(self) -> dict[str, float]:
        """Return what each owes by the house's model, at the prices that hold."""
        found = self.book.figures().requirement
        return dict(zip(self.book.netting_set_id, found.tolist(), strict=True))

    def assessed(self) -> dict[str, float]:
        """Return the same by `assess`, from nothing but positions and prices."""
        snapshot, _, _ = self.book.inputs()
        found = assess(
            snapshot, self._positions, self._collateral, self._rules, LastFresh()
        ).requirements
        return dict(
            zip(found["netting_set_id"].astype(str), found["requirement"].tolist(), strict=True)
        )


class TrueMarket:
    """True prices as the book of a close takes them."""

    def __init__(self, base: Base, paths: Paths, book: LiveBook) -> None:
        self._paths = paths
        names = [str(name) for name in book.instrument_id]
        known = [row for row, name in enumerate(names) if name in paths.row_of]
        self._rows = np.array(known, dtype=np.int64)
        self._path_rows = np.array([paths.row_of[names[row]] for row in known], dtype=np.int64)
        index = base.snapshot.index_prices.set_index("asset")["index_price"]
        moving = [asset for asset in paths.assets if asset in index.index]
        self._assets = np.array([book.assets.index(asset) for asset in moving], dtype=np.int64)
        self._asset_rows = np.array([paths.assets.index(asset) for asset in moving], dtype=np.int64)
        self._rates = index.reindex(moving).to_numpy(dtype=np.float64)

    def at(self, seconds: float, wall_ns: int) -> MarkChanges:
        """Return all prices of an instant."""
        mark, iv, forward = self._paths.prices(seconds, self._path_rows)
        factor = np.exp(self._paths.moves(np.array([seconds]))[0][self._asset_rows])
        has_iv = np.isfinite(iv)
        return MarkChanges(
            self._rows, mark, iv, np.where(has_iv, forward, np.nan), self._assets,
            self._rates * factor, wall_ns,
        )  # fmt: skip


def _held(close: pd.DataFrame, held: Held) -> pd.DataFrame:
    keys = list(
        zip(close["account_id"].astype(str), close["instrument_id"].astype(str), strict=True)
    )
    quantity = [held.get(key, own) for key, own in zip(keys, close["quantity"], strict=True)]
    return close.assign(quantity=np.array(quantity, dtype=np.float64)).reset_index(drop=True)

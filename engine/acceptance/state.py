"""What is known of every price now; changed in place, one writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np

from engine.acceptance.table import AcceptanceTable
from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D

NEVER: Final = int(np.iinfo(np.int64).min // 2)
"""Before any instant of the monotonic clock."""


class Verdict(IntEnum):
    """What became of a price that came in."""

    TAKEN = 0
    NOT_FINITE = 1
    OUT_OF_DOMAIN = 2
    OLDER = 3
    DUPLICATE = 4
    AHEAD = 5
    UNKNOWN_ROW = 6

    @property
    def reason(self) -> str:
        """Return it in words."""
        return _WORDS[self]


class Standing(IntEnum):
    """How the mark that counts came about."""

    OF_SNAPSHOT = 0
    AS_GIVEN = 1
    AT_BAND = 2
    WAITING = 3


_WORDS: Final = {
    Verdict.TAKEN: "taken",
    Verdict.NOT_FINITE: "not a finite number",
    Verdict.OUT_OF_DOMAIN: "outside the domain of the product",
    Verdict.OLDER: "older than what is known",
    Verdict.DUPLICATE: "came in before",
    Verdict.AHEAD: "stamped ahead of the clock",
    Verdict.UNKNOWN_ROW: "of an instrument that is not in the snapshot",
}


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Prices as they came in, in order of arrival.

    Attributes
    ----------
    row : Int64Array1D, shape (n,)
        Row of the table; -1 for an instrument that it does not know.
    price, iv, forward : Float64Array1D, shape (n,)
        In the instrument's quote currency; iv and forward NaN where not given.
    stamp_ns : Int64Array1D, shape (n,)
        The source's own order: its time or sequence; -1 where it gives none. [ns]
    ahead_ns : Int64Array1D, shape (n,)
        How far the stamp lies ahead of our clock, the source's known offset allowed for. [ns]
    received_ns : int
        Monotonic instant of arrival. [ns]
    """

    row: Int64Array1D
    price: Float64Array1D
    iv: Float64Array1D
    forward: Float64Array1D
    stamp_ns: Int64Array1D
    ahead_ns: Int64Array1D
    received_ns: int


@dataclass(slots=True, eq=False)
class PriceState:
    """Candidates by row, what counts by row, and prices of assets.

    Attributes
    ----------
    price, iv, forward : Float64Array1D, shape (n_rows,)
        The last candidate of each row; of the snapshot at first.
    stamp_ns, received_ns, changed_ns, pending_ns : Int64Array1D, shape (n_rows,)
        Its stamp; when it came, last differed, and since when it waits to be believed.
    mark, mark_iv, mark_forward : Float64Array1D, shape (n_rows,)
        What counts.
    standing : Int64Array1D, shape (n_rows,)
        ``Standing`` of it.
    doubt : Float64Array1D, shape (n_rows,)
        How far a candidate that waits stands from what counts. [-]
    level, low, high : Float64Array1D, shape (n_assets,)
        Price of an asset, and the worst candidates of each side where there is no quorum. [USD]
    n_sources : Int64Array1D, shape (n_assets,)
        Independent fresh sources; 0 keeps the last price.
    is_outlier : BoolArray1D, shape (n_candidates,)
        Candidates outside the band of the median.
    n_verdicts : Int64Array1D, shape (n_sources, n_verdicts)
    """

    price: Float64Array1D
    iv: Float64Array1D
    forward: Float64Array1D
    stamp_ns: Int64Array1D
    received_ns: Int64Array1D
    changed_ns: Int64Array1D
    pending_ns: Int64Array1D
    pending_price: Float64Array1D
    mark: Float64Array1D
    mark_iv: Float64Array1D
    mark_forward: Float64Array1D
    standing: Int64Array1D
    doubt: Float64Array1D
    level: Float64Array1D
    low: Float64Array1D
    high: Float64Array1D
    n_sources: Int64Array1D
    is_outlier: BoolArray1D
    n_verdicts: np.ndarray = field(repr=False)


def state_at_snapshot(table: AcceptanceTable) -> PriceState:
    """Return the state before any price came in: the snapshot counts, and nothing is fresh."""
    n, n_assets = table.n_rows, len(table.assets)
    return PriceState(
        price=table.start_mark.copy(),
        iv=table.start_iv.copy(),
        forward=table.start_forward.copy(),
        stamp_ns=np.full(n, -1, dtype=np.int64),
        received_ns=np.full(n, NEVER, dtype=np.int64),
        changed_ns=np.full(n, NEVER, dtype=np.int64),
        pending_ns=np.full(n, NEVER, dtype=np.int64),
        pending_price=np.full(n, np.nan),
        mark=table.start_mark.copy(),
        mark_iv=table.start_iv.copy(),
        mark_forward=table.start_forward.copy(),
        standing=np.zeros(n, dtype=np.int64),
        doubt=np.zeros(n),
        level=table.start_level.copy(),
        low=table.start_level.copy(),
        high=table.start_level.copy(),
        n_sources=np.zeros(n_assets, dtype=np.int64),
        is_outlier=np.zeros(table.candidate_row.size, dtype=np.bool_),
        n_verdicts=np.zeros((len(table.sources), len(Verdict)), dtype=np.int64),
    )

"""Gain or loss of positions since they were last settled, at the newest marks."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.intraday.holdings import Holdings
from engine.intraday.live_market import LiveMarket
from engine.reconciliation import SOURCES
from engine.settlement.variation import variation_margin

# The book of record for what is settled in cash, as in the close.
SETTLEMENT_SOURCES: Final = ("venue", "clearing", "oms")


def unsettled_usd(market: LiveMarket, holdings: Holdings, chosen: Int64Array1D) -> Float64Array1D:
    """Return the unsettled variation margin of chosen netting sets. [USD]

    As ``engine.settlement.day.settle_day`` settles them, each amount at the newest rate of its
    settlement asset. A position without a usable mark, rate or settled price counts nothing here:
    its netting set is held.
    """
    rows, ptr = holdings.positions.rows_of_many(chosen)
    owner = np.repeat(np.arange(len(chosen)), np.diff(ptr))
    table, one, prepared = holdings.positions, market.instruments, market.prepared
    source = settlement_source(holdings)
    n = prepared.n_instruments
    known: BoolArray1D = (table["source"][rows] == source) & (table["instrument"][rows] < n)
    rows, owner = rows[known], owner[known]
    at = table["instrument"][rows]
    settled, mark, rate = table["settled_price"][rows], one.mark_price[at], one.settlement_rate[at]
    usable = np.isfinite(settled) & (settled > 0.0) & np.isfinite(mark) & (mark > 0.0)
    usable &= np.isfinite(rate)
    amount = variation_margin(
        table["quantity"][rows],
        one.contract_multiplier[at],
        np.where(usable, settled, 1.0),
        np.where(usable, mark, 1.0),
        market.is_reciprocal[at],
    )
    worth = np.where(usable, amount * np.where(usable, rate, 0.0), 0.0)
    return np.bincount(owner, weights=worth, minlength=len(chosen)).astype(np.float64)


def settlement_source(holdings: Holdings) -> int:
    """Return the place in ``SOURCES`` of the book that is settled in cash."""
    places = [SOURCES.index(name) for name in SETTLEMENT_SOURCES]
    return next(place for place in places if place in holdings.position_sources)

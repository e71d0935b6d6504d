"""The state of a live book at one moment, put in order later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.intraday.bookkeeping import Bookkeeping
from engine.intraday.live_market import LiveMarket
from engine.intraday.state import VERSION, State, holdings_state, trust_state
from engine.intraday.venue_demands import VenueReports


def saving(
    market: LiveMarket, book: Bookkeeping, reports: VenueReports, n_changes: int
) -> Callable[[], State]:
    """Return what gives the state of this moment, in any thread and at any time later.

    Copies are taken now and put in order then: that takes twenty times as long.
    """
    holdings, layout = book.holdings.copied(), book.layout.copied()
    now: State = {
        "version": np.array([VERSION], dtype=np.int64),
        "n_changes": np.array([n_changes], dtype=np.int64),
        "netting_set_id": holdings.netting_sets.array(),
    }
    now |= market.state() | trust_state(book.trust) | reports.state()
    return lambda: now | holdings_state(holdings) | layout.state()

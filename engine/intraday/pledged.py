"""Collateral that counts: without what is in flight, and less what is not trusted."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.intraday.changes import Degradation
from engine.intraday.degraded import is_end
from engine.intraday.holdings import Holdings
from engine.intraday.trust import Trust, places_of


def counted_quantities(holdings: Holdings, trust: Trust, rows: Int64Array1D) -> Float64Array1D:
    """Return the quantity of each collateral row that counts: never more than is reported.

    The smaller of what is reported less what is in flight, and what was last known of a place that
    is not trusted; less the haircut of the place; less that of an asset whose price is not trusted.
    """
    table = holdings.collateral
    reported = _present(holdings, rows)
    counted = np.minimum(reported, table["cap"][rows]) * (1.0 - table["haircut"][rows])
    for (scope, name), one in trust.by_name.items():
        if scope == "underlying":
            is_asset = table["asset"][rows] == holdings.assets.find(name)
            counted = np.where(is_asset, counted * (1.0 - one.haircut), counted)
    found: Float64Array1D = counted
    return found


def _present(holdings: Holdings, rows: Int64Array1D) -> Float64Array1D:
    """Return reported quantities less what is in flight from there."""
    table = holdings.collateral
    present: Float64Array1D = table["quantity"][rows].copy()
    for key in sorted(holdings.in_flight):
        each = holdings.in_flight[key]
        leaves = (
            (table["owner"][rows] == each.netting_set)
            & (table["location"][rows] == each.location)
            & (table["asset"][rows] == each.asset)
            & (table["state"][rows] == holdings.states.find("settled"))
        )
        present[leaves] = np.maximum(present[leaves] - each.quantity, 0.0)
    return present


def capped(holdings: Holdings, trust: Trust, degradation: Degradation) -> Int64Array1D:
    """Note what was last known at the places of a state; return the netting sets to lay out anew.

    A place is trusted again when nothing that it falls under is distrusted any more.
    """
    table = holdings.collateral
    key = (degradation.scope, degradation.name)
    texts = holdings.locations.texts
    codes = [code for code, name in enumerate(texts) if key in places_of(holdings, name)]
    for code in codes:
        rows = np.flatnonzero(table["location"] == code)
        haircut = trust.haircut_of(places_of(holdings, texts[code]))
        if haircut < 0.0:
            table["cap"][rows], table["haircut"][rows] = np.inf, 0.0
            continue
        if not is_end(degradation):
            present = _present(holdings, rows)
            is_new = np.isinf(table["cap"][rows])
            table["cap"][rows] = np.where(is_new, present, table["cap"][rows])
        table["haircut"][rows] = haircut
    at = np.isin(table["location"], np.array(codes, dtype=np.int64))
    if degradation.scope == "underlying":
        at |= table["asset"] == holdings.assets.find(degradation.name)
    return np.unique(table["owner"][at])

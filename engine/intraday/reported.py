"""What the sources report of single netting sets, and what they agree on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.intraday.frames import collateral_frame
from engine.intraday.holdings import Holdings
from engine.intraday.pledged import counted_quantities
from engine.intraday.pledges import Pledges, SetPledges, set_pledges
from engine.intraday.set_books import SetHoldings
from engine.intraday.trust import Trust
from engine.reconciliation import SOURCES, smallest_confirmed
from engine.rules import RuleBook


def set_holdings(holdings: Holdings, trust: Trust, netting_set: int) -> SetHoldings:
    """Return what the sources report of one netting set, as its books are laid out from it."""
    table = holdings.positions
    sources = holdings.position_sources
    place = {source: i for i, source in enumerate(sources)}
    quantities: dict[tuple[str, str], Float64Array1D] = {}
    for row in table.rows_of(netting_set).tolist():
        key = (
            holdings.accounts[int(table["account"][row])],
            holdings.instruments[int(table["instrument"][row])],
        )
        held = quantities.setdefault(key, np.zeros(len(sources)))
        # Adding zero turns a negative zero into zero.
        held[place[int(table["source"][row])]] = table["quantity"][row] + 0.0
    places = holdings.collateral_sources
    place = {source: i for i, source in enumerate(places)}
    rows, pledged = holdings.settled_of(netting_set), holdings.collateral
    counted = counted_quantities(holdings, trust, rows)
    collateral: dict[tuple[str, str, str], Float64Array1D] = {}
    for row, quantity in zip(rows.tolist(), counted.tolist(), strict=True):
        name = (
            holdings.locations[int(pledged["location"][row])],
            holdings.assets[int(pledged["asset"][row])],
            holdings.states[int(pledged["state"][row])],
        )
        held = collateral.setdefault(name, np.zeros(len(places)))
        held[place[int(pledged["source"][row])]] = quantity + 0.0
    return SetHoldings(
        quantities={key: quantities[key] for key in sorted(quantities)},
        orders=holdings.orders_of(netting_set),
        collateral=collateral,
        sources=sources,
    )


def pledges_of(held: SetHoldings, asset_row: dict[str, int]) -> SetPledges:
    """Return the collateral of a netting set at what every source confirms."""
    rows = [
        (asset, state, float(quantities.min()))
        for (_, asset, state), quantities in held.collateral.items()
    ]
    return set_pledges(rows, asset_row)


def all_pledges(
    holdings: Holdings, trust: Trust, rules: RuleBook, assets: tuple[str, ...]
) -> Pledges:
    """Return the collateral of all netting sets, laid out at once."""
    every = np.arange(holdings.n_netting_sets)
    frame = confirmed_collateral(holdings, trust, every)
    asset_row = {asset: row for row, asset in enumerate(assets)}
    by_set: dict[int, list[tuple[str, str, float]]] = {}
    for name, asset, state, quantity in zip(
        frame["netting_set_id"], frame["asset"], frame["state"], frame["quantity"], strict=True
    ):
        row = (str(asset), str(state), float(quantity))
        by_set.setdefault(holdings.netting_sets.find(str(name)), []).append(row)
    sets = [set_pledges(by_set.get(n, []), asset_row) for n in every.tolist()]
    return Pledges(sets, rules.house, assets)


def confirmed_collateral(holdings: Holdings, trust: Trust, chosen: Int64Array1D) -> pd.DataFrame:
    """Return the collateral of netting sets at the smallest quantity that any source confirms.

    A source that reports others but not a holding says that there is none of it.
    """
    table = holdings.collateral
    parts = [table.rows_of(netting_set) for netting_set in chosen.tolist()]
    rows = np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
    every = np.zeros(len(table))
    every[rows] = counted_quantities(holdings, trust, rows)
    frame = collateral_frame(holdings, every, rows)
    keys = ["netting_set_id", "location", "asset", "state"]
    wide = frame.set_index([*keys, "source"])["quantity"].unstack("source").fillna(0.0)
    for place in holdings.collateral_sources:
        if SOURCES[place] not in wide:
            wide[SOURCES[place]] = 0.0
    return smallest_confirmed(wide + 0.0)

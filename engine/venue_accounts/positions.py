"""Positions of the governing books with their margins, and the price that would liquidate them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D, ObjectArray1D
from engine.margin.scenario_grid import position_scenario_pnl
from engine.margin.tier_table import tiered_margins, unusable_rows
from engine.margin.tiered_liquidation import Cover, tiered_liquidation_prices
from engine.venue_accounts.by_position import tiered_positions
from engine.venue_accounts.charges import PlacedRows
from engine.venue_accounts.columns import POSITION_COLUMNS, framed
from engine.venue_accounts.derive_liquidation import derive_liquidation_prices
from engine.venue_accounts.explaining import governing_units
from engine.venue_accounts.explaining_derive import derive_worst_pnl
from engine.venue_accounts.explaining_span import span_worst_pnl
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.ratios import BucketEquity
from engine.venue_accounts.terms import TIERED


def position_frame(
    accounts: MarginedAccounts, table: pd.DataFrame, buckets: pd.DataFrame, equity: BucketEquity
) -> pd.DataFrame:
    """Return the positions of the book that governs maintenance margin; see ``VenueMargins``.

    A liquidation price is given for positions margined by tiers, and for perpetuals of Derive's
    standard manager, in accounts whose equity is known: the other positions of the bucket keep
    their marks. A grid has none by position.

    Parameters
    ----------
    table : pandas.DataFrame
        From ``charge_table``.
    buckets : pandas.DataFrame
        Columns account, bucket, maintenance_margin, usd_rate.
    """
    market, placed = accounts.market, accounts.found.placed
    account = accounts.books.book_account[placed.book]
    rows = np.flatnonzero(
        (accounts.maintenance_book[account] == placed.book) & accounts.is_assessed[account]
    )
    account, instrument = account[rows], placed.instrument[rows]
    held = market.instruments
    charged = table.set_index(["account", "instrument"])[["initial_margin", "maintenance_margin"]]
    usd = charged.mul(table["usd_rate"].to_numpy(), axis=0)
    usd = usd[table["instrument"].to_numpy() >= 0]
    margins = usd.reindex(pd.MultiIndex.from_arrays([account, instrument]))
    notional = placed.quantity[rows] * (held.notional() * held.settlement_rate)[instrument]
    frame = framed(
        {
            "account_id": accounts.account_id[account],
            "instrument_id": held.instrument_id[instrument],
            "bucket": placed.bucket[rows],
            "model": placed.model[rows],
            "quantity": placed.quantity[rows],
            "mark_price": held.mark_price[instrument],
            "notional": notional,
            "initial_margin": margins["initial_margin"].to_numpy(),
            "maintenance_margin": margins["maintenance_margin"].to_numpy(),
            "worst_cell_pnl": _worst_cell_pnl(accounts)[rows],
            "liquidation_price": _liquidation_prices(accounts, rows, buckets, equity),
        },
        POSITION_COLUMNS,
    )
    return frame.sort_values(["account_id", "instrument_id"], ignore_index=True)


def _worst_cell_pnl(accounts: MarginedAccounts) -> Float64Array1D:
    """Return what each placed row gains or loses in the worst cell of its unit. [USD]"""
    placed = accounts.found.placed
    pnl = np.full(len(placed.book), np.nan)
    for units in accounts.found.units:
        rows = governing_units(accounts, units, accounts.maintenance_book)
        wanted = np.isin(units.holdings.bucket, rows)
        by_cell = position_scenario_pnl(
            units.grid.revaluation.unit_pnl, units.holdings, units.grid.revaluation.cells
        )
        unit = units.holdings.bucket[wanted]
        worst = units.requirement.worst_cell[unit]
        lost = by_cell[np.flatnonzero(wanted), worst] * units.usd_rate[unit]
        pnl[units.placed[wanted]] = lost
    for rows, gained in [span_worst_pnl(accounts), *derive_worst_pnl(accounts)]:
        pnl[rows] = gained
    return pnl


def _liquidation_prices(
    accounts: MarginedAccounts, rows: Int64Array1D, buckets: pd.DataFrame, equity: BucketEquity
) -> Float64Array1D:
    """Return the liquidation price of each of the placed ``rows``; NaN where there is none."""
    placed: PlacedRows = accounts.found.placed
    market, account = accounts.market, accounts.books.book_account[placed.book[rows]]
    at = _bucket_rows(buckets, account, placed.bucket[rows])
    rate = buckets["usd_rate"].to_numpy(dtype=np.float64)
    known = np.flatnonzero(at >= 0)
    need, held = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    need[known] = (buckets["maintenance_margin"].to_numpy(dtype=np.float64) * rate)[at[known]]
    held[known] = (equity.by_bucket * rate)[at[known]]
    price = derive_liquidation_prices(accounts, rows, need, held)
    is_tiered = (placed.model[rows] == TIERED) & (placed.parameters[rows] >= 0) & (at >= 0)
    chosen = np.flatnonzero(is_tiered)
    # With the bucket's equity known alone: a guess would be a safe-looking number.
    chosen = chosen[np.isfinite(equity.by_bucket[at[chosen]])]
    positions = tiered_positions(market, placed, rows[chosen])
    usable = unusable_rows(positions, market.tiers) == ""
    chosen, positions = chosen[usable], tiered_positions(market, placed, rows[chosen[usable]])
    if not len(chosen):
        return price
    bucket, instrument = at[chosen], placed.instrument[rows[chosen]]
    # Buckets in USD hold positions that settle in other assets.
    to_settlement = (
        buckets["usd_rate"].to_numpy(dtype=np.float64)[bucket]
        / (market.instruments.settlement_rate[instrument])
    )
    own = tiered_margins(positions, market.tiers).maintenance_margin
    whole = buckets["maintenance_margin"].to_numpy(dtype=np.float64)[bucket] * to_settlement
    found = tiered_liquidation_prices(
        positions,
        market.tiers,
        Cover(
            equity=equity.by_bucket[bucket] * to_settlement,
            other_maintenance_margin=np.maximum(whole - own, 0.0),
            taker_fee_rate=np.zeros(len(chosen)),
        ),
    )
    # A price that is never reached is none.
    price[chosen] = np.where(np.isfinite(found) & (found > 0.0), found, np.nan)
    return price


def _bucket_rows(
    buckets: pd.DataFrame, account: Int64Array1D, bucket: ObjectArray1D
) -> Int64Array1D:
    """Return the row of each account's bucket; -1 where it has none."""
    row_of = {
        (int(a), str(b)): at
        for at, (a, b) in enumerate(zip(buckets["account"], buckets["bucket"], strict=True))
    }
    return np.array(
        [row_of.get((int(a), str(b)), -1) for a, b in zip(account, bucket, strict=True)],
        dtype=np.int64,
    )

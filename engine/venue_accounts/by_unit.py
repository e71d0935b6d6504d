"""Scenario grids of many books: a unit is what one book holds on one underlying in one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D, ObjectArray1D
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.scenario_grid import (
    BucketCharges,
    Buckets,
    Holdings,
    ScenarioGridParameters,
    ScenarioRequirement,
    offset_buckets,
    scenario_margin,
)
from engine.venue_accounts.by_position import bucket_factors
from engine.venue_accounts.charges import Charges, PlacedRows
from engine.venue_accounts.instruments import USD
from engine.venue_accounts.market import Grid, VenueMarket
from engine.venue_accounts.terms import SCENARIO_GRID, WHOLE_ACCOUNT

OFFSET: Final = "offset between buckets"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GridUnits:
    """Units of one grid, in the order of their books.

    Attributes
    ----------
    grid : Grid
    book : Int64Array1D, shape (n_units,)
    underlying, bucket, currency : ObjectArray1D of str, shape (n_units,)
    name : ObjectArray1D of str, shape (n_units,)
        Distinct within a bucket: the underlying, and the currency where an account joins several.
    usd_rate : Float64Array1D, shape (n_units,)
        USD per unit of ``currency``.
    charge_rate : Float64Array1D, shape (n_units,)
        Bucket's currency per unit of ``currency``.
    is_inverse : BoolArray1D, shape (n_units,)
        Margined in the coin.
    placed : Int64Array1D, shape (n_holdings,)
        Placed row of each holding.
    holdings : Holdings
        What the units hold; ``bucket`` is the unit.
    requirement : ScenarioRequirement
        In ``currency``.
    """

    grid: Grid
    book: Int64Array1D
    underlying: ObjectArray1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    name: ObjectArray1D
    usd_rate: Float64Array1D
    charge_rate: Float64Array1D
    is_inverse: BoolArray1D
    placed: Int64Array1D
    holdings: Holdings
    requirement: ScenarioRequirement


def grid_charges(
    market: VenueMarket, placed: PlacedRows
) -> tuple[tuple[GridUnits, ...], list[Charges]]:
    """Return the units of all grids and their charges, offsets between buckets included."""
    rows = placed.of_model(SCENARIO_GRID)
    rows = rows[market.instruments.fault[placed.instrument[rows]] == ""]
    units: list[GridUnits] = []
    # Only a bucket that joins settlement assets on one underlying looks at gains in USD.
    is_usd = (placed.bucket[rows] != placed.currency[rows]) & (placed.bucket[rows] != WHOLE_ACCOUNT)
    for grid in market.grids:
        mine = rows[(placed.parameters[rows] == grid.parameters) & (is_usd == grid.is_usd)]
        if len(mine):
            units.append(_units(market, placed, grid, mine))
    return tuple(units), [*(_unit_charges(each) for each in units), *_offsets(market, units)]


def _units(market: VenueMarket, placed: PlacedRows, grid: Grid, rows: Int64Array1D) -> GridUnits:
    instruments, instrument = market.instruments, placed.instrument[rows]
    names = np.array(
        [
            f"{u}\0{b}\0{c}"
            for u, b, c in zip(
                instruments.underlying[instrument],
                placed.bucket[rows],
                placed.currency[rows],
                strict=True,
            )
        ],
        dtype=object,
    )
    words, code = np.unique(names.astype(str), return_inverse=True)
    key = placed.book[rows] * len(words) + code
    distinct, first, unit = np.unique(key, return_index=True, return_inverse=True)
    lead = instrument[first]
    _, usd_rate = bucket_factors(market, lead, placed.currency[rows[first]])
    index = instruments.index_price[lead]
    if grid.is_usd:
        index = index * instruments.quote_rate[lead]
    buckets = Buckets(
        index_price=index,
        is_inverse=np.zeros(len(distinct), dtype=np.bool_)
        if grid.is_usd
        else instruments.is_inverse[lead],
    )
    holdings = Holdings(
        bucket=unit, instrument=grid.local[instrument], quantity=placed.quantity[rows]
    )
    charges = BucketCharges(depeg_hedged_notional=_hedged(market, grid, holdings, instrument))
    bucket, currency = placed.bucket[rows[first]], placed.currency[rows[first]]
    underlying = instruments.underlying[lead]
    is_whole = np.asarray(bucket == WHOLE_ACCOUNT)
    return GridUnits(
        grid=grid,
        book=placed.book[rows[first]],
        underlying=underlying,
        bucket=bucket,
        currency=currency,
        name=np.where(is_whole, underlying + " in " + currency, underlying),
        usd_rate=usd_rate,
        charge_rate=np.where(is_whole, usd_rate, 1.0),
        is_inverse=buckets.is_inverse,
        placed=rows,
        holdings=holdings,
        requirement=scenario_margin(grid.revaluation, holdings, buckets, charges),
    )


def _hedged(
    market: VenueMarket, grid: Grid, holdings: Holdings, instrument: Int64Array1D
) -> Float64Array1D:
    """Return the notional of each unit that is hedged across settlement currencies.

    Futures and perpetuals count at their mark; what is net long in some currencies against net
    short in others falls apart when one of them loses its peg. [USD]
    """
    n_units = int(holdings.bucket.max()) + 1
    if not grid.is_usd:
        return np.zeros(n_units)
    held = market.instruments
    notional = held.notional() * held.settlement_rate
    signed = np.where(held.is_option[instrument], 0.0, holdings.quantity * notional[instrument])
    _, asset = np.unique(held.settlement_asset[instrument].astype(str), return_inverse=True)
    n_assets = int(asset.max()) + 1
    net = rounded(grouped_sums(signed, holdings.bucket * n_assets + asset, n_units * n_assets))
    table = net.reshape(n_units, n_assets)
    long, short = np.maximum(table, 0.0).sum(axis=1), np.maximum(-table, 0.0).sum(axis=1)
    hedged: Float64Array1D = np.minimum(long, short)
    return hedged


def _unit_charges(units: GridUnits) -> Charges:
    n, rate = len(units.book), units.charge_rate
    is_whole = np.asarray(units.bucket == WHOLE_ACCOUNT)
    return Charges(
        book=units.book,
        instrument=np.full(n, -1, dtype=np.int64),
        name=units.name,
        bucket=units.bucket,
        currency=np.where(is_whole, USD, units.currency),
        parameters=np.full(n, units.grid.parameters, dtype=np.int64),
        initial_margin=units.requirement.initial_margin * rate,
        maintenance_margin=units.requirement.maintenance_margin * rate,
        usd_rate=np.where(is_whole, 1.0, units.usd_rate),
        fault=np.full(n, "", dtype=object),
    )


def _offsets(market: VenueMarket, units: list[GridUnits]) -> list[Charges]:
    """Return what whole accounts owe less because buckets offset, where their grids grant it."""
    granting = [
        each
        for each in units
        if _parameters(market, each).gain_offset_fraction is not None
        and (each.bucket == WHOLE_ACCOUNT).any()
    ]
    by_shape: dict[int, list[GridUnits]] = {}
    for each in granting:
        by_shape.setdefault(each.requirement.scenario_pnl.shape[1], []).append(each)
    return [_offset(market, by_shape[shape]) for shape in sorted(by_shape)]


def _offset(market: VenueMarket, units: list[GridUnits]) -> Charges:
    whole = [each.bucket == WHOLE_ACCOUNT for each in units]
    book = np.concatenate([each.book[w] for each, w in zip(units, whole, strict=True)])
    pnl: Float64Array2D = np.concatenate(
        [
            each.requirement.scenario_pnl[w] * each.usd_rate[w, np.newaxis]
            for each, w in zip(units, whole, strict=True)
        ]
    )
    sets = [_parameters(market, each) for each in units]

    def spread(values: list[float]) -> Float64Array1D:
        sizes = [int(w.sum()) for w in whole]
        return np.repeat(np.array(values, dtype=np.float64), sizes)

    books, account = np.unique(book, return_inverse=True)
    together = offset_buckets(
        pnl,
        account,
        len(books),
        spread([each.gain_offset_fraction or 0.0 for each in sets]),
        spread([np.inf if s.gain_offset_max is None else s.gain_offset_max for s in sets]),
    )
    worst = np.maximum(-together.min(axis=1), 0.0)
    alone = rounded(grouped_sums(np.maximum(-pnl.min(axis=1), 0.0), account, len(books)))
    saved = np.maximum(alone - worst, 0.0)
    n = len(books)
    return Charges(
        book=books,
        instrument=np.full(n, -1, dtype=np.int64),
        name=np.full(n, OFFSET, dtype=object),
        bucket=np.full(n, WHOLE_ACCOUNT, dtype=object),
        currency=np.full(n, "USD", dtype=object),
        parameters=np.full(n, -1, dtype=np.int64),
        initial_margin=-saved * min(each.initial_margin_factor for each in sets),
        maintenance_margin=-saved * min(each.maintenance_margin_factor for each in sets),
        usd_rate=np.ones(n),
        fault=np.full(n, "", dtype=object),
    )


def _parameters(market: VenueMarket, units: GridUnits) -> ScenarioGridParameters:
    parameters = market.terms.sets[units.grid.parameters].parameters
    assert isinstance(parameters, ScenarioGridParameters)
    return parameters

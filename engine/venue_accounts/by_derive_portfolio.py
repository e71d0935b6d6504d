"""Derive's portfolio manager over many books: a unit is what one book holds on one underlying.

Requirements are what has to be kept beyond the mark-to-market, so the value of options is equity.
Oracles are taken as sure and rates as zero, for a close states neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.derive_book import (
    DeriveHoldings,
    DeriveLosses,
    DeriveRequirement,
    DeriveUnits,
    derive_losses,
    derive_requirement,
)
from engine.margin.derive_parameters import DerivePortfolioRules
from engine.venue_accounts.by_position import bucket_factors
from engine.venue_accounts.charges import Charges, PlacedRows, faulty_charges
from engine.venue_accounts.derive_market import DeriveTable, coins, derive_faults, dollars
from engine.venue_accounts.market import VenueMarket
from engine.venue_accounts.terms import DERIVE_PORTFOLIO
from engine.venue_accounts.units import unit_rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DerivePortfolioUnits:
    """Units of one set, in the order of their books; arrays of shape (n_units,).

    Attributes
    ----------
    table : DeriveTable
    book : Int64Array1D
    underlying, bucket, currency : ObjectArray1D of str
    usd_rate : Float64Array1D
        USD per unit of ``currency``.
    losses : DeriveLosses
        [USD]
    requirement : DeriveRequirement
        [USD]
    holdings : DeriveHoldings
        Options of the units, each coin counted as its dollars.
    placed, unit : Int64Array1D, shape (n_rows,)
        Placed row of everything held, and its unit.
    is_option : BoolArray1D, shape (n_rows,)
        Rows that ``holdings`` has, in its order.
    delta_one : Float64Array1D, shape (n_rows,)
        Value of what moves with the underlying one to one; 0 for options. [USD]
    """

    table: DeriveTable
    book: Int64Array1D
    underlying: ObjectArray1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    usd_rate: Float64Array1D
    losses: DeriveLosses
    requirement: DeriveRequirement
    holdings: DeriveHoldings
    placed: Int64Array1D
    unit: Int64Array1D
    is_option: BoolArray1D
    delta_one: Float64Array1D


def portfolio_charges(
    market: VenueMarket, placed: PlacedRows
) -> tuple[tuple[DerivePortfolioUnits, ...], list[Charges]]:
    """Return the units of all sets and their charges; what cannot be margined fails by name."""
    rows = placed.of_model(DERIVE_PORTFOLIO)
    rows = rows[market.instruments.fault[placed.instrument[rows]] == ""]
    reason = _reasons(market, placed, rows)
    usable = rows[reason == ""]
    units = tuple(
        _units(market, placed, table, mine)
        for table in market.derive
        if len(mine := usable[placed.parameters[usable] == table.parameters])
    )
    faulty = faulty_charges(placed, rows[reason != ""], reason[reason != ""])
    return units, [*(_charges(each) for each in units), faulty]


def _reasons(market: VenueMarket, placed: PlacedRows, rows: Int64Array1D) -> ObjectArray1D:
    held, instrument = market.instruments, placed.instrument[rows]
    reason: ObjectArray1D = derive_faults(held, instrument)
    owed = held.is_spot[instrument] & (placed.quantity[rows] < 0.0) & (reason == "")
    for at in np.flatnonzero(owed).tolist():
        reason[at] = f"{held.instrument_id[instrument[at]]}: the manager lends no coins"
    return reason


def _units(
    market: VenueMarket, placed: PlacedRows, table: DeriveTable, rows: Int64Array1D
) -> DerivePortfolioUnits:
    held, instrument = market.instruments, placed.instrument[rows]
    found = unit_rows(
        placed.book[rows], held.underlying[instrument], placed.bucket[rows], placed.currency[rows]
    )
    unit, first, n_units = found.unit, rows[found.first], len(found)
    lead = placed.instrument[first]
    # A move of the price is worth as many dollars as coins at their currency's rate.
    quantity = placed.quantity[rows] * (coins(held) * dollars(held))[instrument]
    is_option, is_spot = held.is_option[instrument], held.is_spot[instrument]
    options = np.flatnonzero(is_option)
    value = np.where(is_option, 0.0, quantity * held.mark_price[instrument])
    perpetual = np.where(is_option | is_spot, 0.0, np.abs(quantity))
    stable_price = np.full(n_units, np.inf)
    np.minimum.at(stable_price, unit, held.quote_rate[instrument])
    holdings = DeriveHoldings(
        unit=unit[options], option=table.local[instrument[options]], quantity=quantity[options]
    )
    delta_one = rounded(grouped_sums(value, unit, n_units))
    losses = derive_losses(table.revaluation, holdings, delta_one)
    rules = market.terms.sets[table.parameters].parameters
    assert isinstance(rules, DerivePortfolioRules)
    return DerivePortfolioUnits(
        table=table,
        book=placed.book[first],
        underlying=held.underlying[lead],
        bucket=placed.bucket[first],
        currency=placed.currency[first],
        usd_rate=bucket_factors(market, lead, placed.currency[first])[1],
        losses=losses,
        requirement=derive_requirement(
            losses,
            DeriveUnits(
                spot_price=(held.index_price * held.quote_rate)[lead],
                stable_price=stable_price,
                perpetual_quantity=rounded(grouped_sums(perpetual, unit, n_units)),
            ),
            rules,
        ),
        holdings=holdings,
        placed=rows,
        unit=unit,
        is_option=is_option,
        delta_one=value,
    )


def _charges(units: DerivePortfolioUnits) -> Charges:
    n = len(units.book)
    return Charges(
        book=units.book,
        instrument=np.full(n, -1, dtype=np.int64),
        name=units.underlying,
        bucket=units.bucket,
        currency=units.currency,
        parameters=np.full(n, units.table.parameters, dtype=np.int64),
        initial_margin=units.requirement.initial_margin / units.usd_rate,
        maintenance_margin=units.requirement.maintenance_margin / units.usd_rate,
        usd_rate=units.usd_rate,
        fault=np.full(n, "", dtype=object),
    )

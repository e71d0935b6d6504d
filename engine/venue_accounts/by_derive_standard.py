"""Derive's standard manager over many books: options by underlying and expiry, perpetuals singly.

A requirement is the negative of the manager's net margin of what is held: long options add nothing
to either, so their value is no equity. Oracles are taken as sure, for a close states no confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.derive_parameters import DeriveStandardParameters
from engine.margin.derive_standard_book import (
    DeriveOptionNets,
    DeriveStandardOptions,
    option_nets,
)
from engine.venue_accounts.by_position import bucket_factors
from engine.venue_accounts.charges import Charges, PlacedRows, faulty_charges
from engine.venue_accounts.derive_market import coins, derive_faults, dollars, undiscounted_marks
from engine.venue_accounts.market import VenueMarket
from engine.venue_accounts.terms import DERIVE_STANDARD
from engine.venue_accounts.units import unit_rows

SINGLY: Final = "short options one by one"
CAPPED: Final = "worst payoff at expiry"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveExpiryUnits:
    """Options of one book, underlying and expiry under one set; arrays of shape (n_units,).

    Attributes
    ----------
    parameters : int
        Row of the terms' sets.
    book : Int64Array1D
    name, bucket, currency : ObjectArray1D of str
    usd_rate : Float64Array1D
        USD per unit of ``currency``.
    nets : DeriveOptionNets
        [USD]
    depeg_charge : Float64Array1D
        In initial margin alone. [USD]
    """

    parameters: int
    book: Int64Array1D
    name: ObjectArray1D
    bucket: ObjectArray1D
    currency: ObjectArray1D
    usd_rate: Float64Array1D
    nets: DeriveOptionNets
    depeg_charge: Float64Array1D

    @property
    def initial_margin(self) -> Float64Array1D:
        """Requirement of each unit. [USD]"""
        # Taking from zero keeps a requirement of nothing a plain zero.
        return 0.0 - self.nets.net_initial_margin + self.depeg_charge

    @property
    def maintenance_margin(self) -> Float64Array1D:
        """Requirement of each unit. [USD]"""
        return 0.0 - self.nets.net_maintenance_margin

    @property
    def ground(self) -> ObjectArray1D:
        """Which way the initial margin of each unit is found."""
        is_single: BoolArray1D = self.nets.isolated_initial >= self.nets.capped_initial
        return np.where(is_single, SINGLY, CAPPED).astype(object)


def standard_charges(
    market: VenueMarket, placed: PlacedRows
) -> tuple[tuple[DeriveExpiryUnits, ...], list[Charges]]:
    """Return the expiries of all sets and their charges, and those of perpetuals."""
    held = market.instruments
    rows = placed.of_model(DERIVE_STANDARD)
    rows = rows[held.fault[placed.instrument[rows]] == ""]
    reason: ObjectArray1D = derive_faults(held, placed.instrument[rows])
    usable = rows[reason == ""]
    is_option = held.is_option[placed.instrument[usable]]
    units: list[DeriveExpiryUnits] = []
    charges = [faulty_charges(placed, rows[reason != ""], reason[reason != ""])]
    for found in np.unique(placed.parameters[usable]).tolist():
        mine = placed.parameters[usable] == found
        if len(options := usable[mine & is_option]):
            units.append(_units(market, placed, int(found), options))
        charges.append(_perpetuals(market, placed, int(found), usable[mine & ~is_option]))
    return tuple(units), [*(_charges(each) for each in units), *charges]


def _units(
    market: VenueMarket, placed: PlacedRows, parameters: int, rows: Int64Array1D
) -> DeriveExpiryUnits:
    held, instrument = market.instruments, placed.instrument[rows]
    one = _rates(market, parameters)
    found = unit_rows(
        placed.book[rows],
        held.underlying[instrument],
        held.expiry[instrument],
        placed.bucket[rows],
        placed.currency[rows],
    )
    first, lead = rows[found.first], instrument[found.first]
    # In dollars per dollar of a coin's move: every rule is proportional to the quantity.
    quantity = placed.quantity[rows] * (coins(held) * dollars(held))[instrument]
    spot = (held.index_price * held.quote_rate)[instrument]
    # Books of a what-if hold the same few contracts, which are priced once.
    contracts, contract = np.unique(instrument, return_inverse=True)
    options = DeriveStandardOptions(
        book=found.unit,
        is_call=held.is_call[instrument],
        quantity=quantity,
        strike_price=held.strike[instrument],
        mark_price=undiscounted_marks(held, contracts)[contract],
        spot_price=spot,
        forward_price=held.forward_price[instrument],
    )
    short = np.maximum(-quantity, 0.0) * spot * _depeg_rate(market, instrument, one)
    return DeriveExpiryUnits(
        parameters=parameters,
        book=placed.book[first],
        name=held.underlying[lead] + " options " + held.expiry[lead],
        bucket=placed.bucket[first],
        currency=placed.currency[first],
        usd_rate=bucket_factors(market, lead, placed.currency[first])[1],
        nets=option_nets(options, len(found), one),
        depeg_charge=rounded(grouped_sums(short, found.unit, len(found))),
    )


def _charges(units: DeriveExpiryUnits) -> Charges:
    n = len(units.book)
    return Charges(
        book=units.book,
        instrument=np.full(n, -1, dtype=np.int64),
        name=units.name,
        bucket=units.bucket,
        currency=units.currency,
        parameters=np.full(n, units.parameters, dtype=np.int64),
        initial_margin=units.initial_margin / units.usd_rate,
        maintenance_margin=units.maintenance_margin / units.usd_rate,
        usd_rate=units.usd_rate,
        fault=np.full(n, "", dtype=object),
    )


def _perpetuals(market: VenueMarket, placed: PlacedRows, found: int, rows: Int64Array1D) -> Charges:
    held, instrument, one = market.instruments, placed.instrument[rows], _rates(market, found)
    size = np.abs(placed.quantity[rows]) * (coins(held) * dollars(held))[instrument]
    notional = size * held.mark_price[instrument]
    spot = (held.index_price * held.quote_rate)[instrument]
    depeg = size * spot * _depeg_rate(market, instrument, one)
    usd_rate = bucket_factors(market, instrument, placed.currency[rows])[1]
    return Charges(
        book=placed.book[rows],
        instrument=instrument,
        name=held.instrument_id[instrument],
        bucket=placed.bucket[rows],
        currency=placed.currency[rows],
        parameters=np.full(len(rows), found, dtype=np.int64),
        initial_margin=(notional * one.perpetual_initial_rate + depeg) / usd_rate,
        maintenance_margin=notional * one.perpetual_maintenance_rate / usd_rate,
        usd_rate=usd_rate,
        fault=np.full(len(rows), "", dtype=object),
    )


def _rates(market: VenueMarket, found: int) -> DeriveStandardParameters:
    parameters = market.terms.sets[found].parameters
    assert isinstance(parameters, DeriveStandardParameters)
    return parameters


def _depeg_rate(
    market: VenueMarket, instrument: Int64Array1D, one: DeriveStandardParameters
) -> Float64Array1D:
    below = one.stable_price_threshold - market.instruments.quote_rate[instrument]
    rate: Float64Array1D = np.maximum(below, 0.0) * one.stable_price_factor
    return rate

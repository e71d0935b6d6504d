"""Models that charge every position by itself: tiers, standard options, loans."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.margin.standard_option import (
    StandardOptionParameters,
    StandardOptionPositions,
    standard_option_margin,
)
from engine.margin.tier_table import unusable_rows
from engine.margin.tiered import TieredPositions, tiered_margins
from engine.venue_accounts.charges import Charges, PlacedRows
from engine.venue_accounts.instruments import USD
from engine.venue_accounts.market import VenueMarket
from engine.venue_accounts.terms import LOAN, STANDARD_OPTION, TIERED
from engine.venue_rules import CollateralRates

_NO_INITIAL: Final = "{} has no initial margin: neither rate nor leverage is known"


def tier_charges(market: VenueMarket, placed: PlacedRows) -> Charges:
    """Return the margins of futures and perpetuals by tiers.

    An account's leverage counts up to the largest of the tier that its position is in: what has
    grown beyond it cannot be margined at more.
    """
    rows = _priced(market, placed, placed.of_model(TIERED))
    positions = tiered_positions(market, placed, rows)
    reason = unusable_rows(positions, market.tiers)
    usable = np.flatnonzero(reason == "")
    margins = tiered_margins(_some(positions, usable), market.tiers)
    initial, maintenance = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    initial[usable], maintenance[usable] = margins.initial_margin, margins.maintenance_margin
    return _charges(market, placed, rows, (initial, maintenance), reason)


def option_charges(market: VenueMarket, placed: PlacedRows) -> Charges:
    """Return the margins of options by the short-option formulas."""
    rows = _priced(market, placed, placed.of_model(STANDARD_OPTION))
    initial, maintenance = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    held, instrument = market.instruments, placed.instrument[rows]
    sets = placed.parameters[rows]
    for found in np.unique(sets).tolist():
        parameters = market.terms.sets[found].parameters
        assert isinstance(parameters, StandardOptionParameters)
        chosen = np.flatnonzero(sets == found)
        at = instrument[chosen]
        margin = standard_option_margin(
            StandardOptionPositions(
                is_call=held.is_call[at],
                is_inverse=held.is_inverse[at],
                underlying_price=held.index_price[at],
                strike_price=held.strike[at],
                quantity=placed.quantity[rows[chosen]],
                mark_price=held.mark_price[at],
                contract_multiplier=held.contract_multiplier[at],
            ),
            parameters,
        )
        maintenance[chosen] = margin.maintenance_margin
        if margin.initial_margin is not None:
            initial[chosen] = margin.initial_margin
    return _charges(market, placed, rows, (initial, maintenance), np.full(len(rows), "", object))


def loan_charges(market: VenueMarket, placed: PlacedRows) -> Charges:
    """Return the margins of short spot holdings, which are loans of their underlying.

    A venue states the maintenance margin of a loan alone; initial margin is taken as the same.
    """
    rows = _priced(market, placed, placed.of_model(LOAN))
    held, instrument = market.instruments, placed.instrument[rows]
    reason: ObjectArray1D = np.full(len(rows), "", dtype=object)
    rate = np.full(len(rows), np.nan)
    for at, found in enumerate(placed.parameters[rows].tolist()):
        parameters = market.terms.sets[found].parameters
        assert isinstance(parameters, CollateralRates)
        rate[at] = parameters.loan_maintenance_margin_rate
        if rate[at] <= 0.0:
            reason[at] = f"{market.terms.sets[found].label} states no margin of a loan"
    margin = np.abs(placed.quantity[rows]) * held.notional()[instrument] * rate
    return _charges(market, placed, rows, (margin, margin), reason)


def tiered_positions(
    market: VenueMarket, placed: PlacedRows, rows: Int64Array1D
) -> TieredPositions:
    """Return rows of the model ``tiered``, with the leverage and the open interest that count.

    Where nobody says how large a market is, its rate is taken at the end of its rule: 1.
    """
    held, instrument = market.instruments, placed.instrument[rows]
    symbol = market.tier_symbol[placed.parameters[rows]]
    positions = TieredPositions(
        symbol=symbol,
        quantity=placed.quantity[rows],
        mark_price=held.mark_price[instrument],
        contract_multiplier=held.contract_multiplier[instrument],
        is_inverse=held.is_inverse[instrument],
        leverage=placed.leverage[rows],
        open_interest=_open_interest(market, instrument, symbol),
    )
    if not len(rows):
        return positions
    tier = market.tiers.row(positions.symbol, positions.notional())
    most = market.tiers.leverage_max[tier]
    return replace(
        positions, leverage=np.where(positions.leverage > most, most, positions.leverage)
    )


def bucket_factors(
    market: VenueMarket, instrument: Int64Array1D, currency: ObjectArray1D
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return bucket currency per unit of settlement asset, and USD per unit of bucket currency."""
    rate = market.instruments.settlement_rate[instrument]
    in_usd: BoolArray1D = (currency == USD) & (
        market.instruments.settlement_asset[instrument] != USD
    )
    return np.where(in_usd, rate, 1.0), np.where(in_usd, 1.0, rate)


def lacks_open_interest(
    market: VenueMarket, instrument: Int64Array1D, parameters: Int64Array1D
) -> BoolArray1D:
    """Return where a rate goes by the open interest of a market and nobody says it."""
    symbol = np.where(parameters >= 0, market.tier_symbol[parameters], -1)
    lacks = np.zeros(len(symbol), dtype=np.bool_)
    known = np.flatnonzero((symbol >= 0) & (instrument >= 0))
    is_scaled = market.tiers.lower_cap[symbol[known]] != market.tiers.upper_cap[symbol[known]]
    lacks[known] = is_scaled & np.isnan(market.instruments.open_interest[instrument[known]])
    return lacks


def _open_interest(
    market: VenueMarket, instrument: Int64Array1D, symbol: Int64Array1D
) -> Float64Array1D:
    held = market.instruments
    if not len(symbol):
        return np.zeros(0)
    value = held.contract_multiplier[instrument] * held.mark_price[instrument]
    # Twice the upper cap: beyond it whatever the rounding.
    bound = 2.0 * market.tiers.upper_cap[symbol] / value
    known = held.open_interest[instrument]
    found: Float64Array1D = np.where(np.isnan(known), bound, known)
    return found


def _priced(market: VenueMarket, placed: PlacedRows, rows: Int64Array1D) -> Int64Array1D:
    """Return the rows whose instrument has a price; the others fail their book elsewhere."""
    priced: Int64Array1D = rows[market.instruments.fault[placed.instrument[rows]] == ""]
    return priced


def _some(positions: TieredPositions, rows: Int64Array1D) -> TieredPositions:
    return TieredPositions(
        symbol=positions.symbol[rows],
        quantity=positions.quantity[rows],
        mark_price=positions.mark_price[rows],
        contract_multiplier=positions.contract_multiplier[rows],
        is_inverse=positions.is_inverse[rows],
        leverage=positions.leverage[rows],
        open_interest=positions.open_interest[rows],
    )


def _charges(
    market: VenueMarket,
    placed: PlacedRows,
    rows: Int64Array1D,
    margins: tuple[Float64Array1D, Float64Array1D],
    reason: ObjectArray1D,
) -> Charges:
    """Return the charges of positions whose margins are in their settlement asset."""
    instrument = placed.instrument[rows]
    names: ObjectArray1D = market.instruments.instrument_id[instrument]
    factor, usd_rate = bucket_factors(market, instrument, placed.currency[rows])
    initial, maintenance = margins
    fault = np.array(
        [f"{name}: {text}" if text else "" for name, text in zip(names, reason, strict=True)],
        dtype=object,
    )
    for at in np.flatnonzero(np.isnan(initial) & (fault == "")).tolist():
        fault[at] = _NO_INITIAL.format(names[at])
    return Charges(
        book=placed.book[rows],
        instrument=instrument,
        name=names,
        bucket=placed.bucket[rows],
        currency=placed.currency[rows],
        parameters=placed.parameters[rows],
        initial_margin=initial * factor,
        maintenance_margin=maintenance * factor,
        usd_rate=usd_rate,
        fault=fault,
    )

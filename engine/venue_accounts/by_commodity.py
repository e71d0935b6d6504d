"""SPAN of many books: a unit is what one book holds of one combined commodity, in USD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D, ObjectArray1D
from engine.margin.scenario_book import Holdings
from engine.margin.span import N_SCENARIOS, span_losses
from engine.margin.span_spreads import (
    DeltaRows,
    InterCommoditySpreads,
    inter_commodity_credits,
    price_risk,
    unit_deltas,
)
from engine.venue_accounts.charges import Charges, PlacedRows, faulty_charges
from engine.venue_accounts.instruments import USD
from engine.venue_accounts.market import Span, VenueMarket
from engine.venue_accounts.terms import SPAN

CREDIT: Final = "{} spread credit"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpanUnits:
    """Units of all combined commodities; arrays of shape (n_units,), amounts in USD.

    Attributes
    ----------
    book : Int64Array1D
    commodity, bucket : ObjectArray1D of str
    parameters : Int64Array1D
        Row of the terms' sets.
    scenario_losses : Float64Array2D, shape (n_units, 16)
        Loss > 0; the extremes weighted.
    scan_risk, inter_month_charge, credit, short_option_minimum : Float64Array1D
        Parts of the risk margin, >= 0.
    net_option_value : Float64Array1D
        Long minus short option value.
    risk_margin : Float64Array1D
        After the credit. ``margin = max(0, risk_margin - net_option_value)``.
    initial_margin_factor : Float64Array1D
        Of the risk margin. [-]
    placed, unit : Int64Array1D, shape (n_holdings,)
        Placed row of each holding, and its unit.
    """

    book: Int64Array1D
    commodity: ObjectArray1D
    bucket: ObjectArray1D
    parameters: Int64Array1D
    scenario_losses: Float64Array2D
    scan_risk: Float64Array1D
    inter_month_charge: Float64Array1D
    credit: Float64Array1D
    short_option_minimum: Float64Array1D
    net_option_value: Float64Array1D
    risk_margin: Float64Array1D
    initial_margin_factor: Float64Array1D
    placed: Int64Array1D
    unit: Int64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """Units of one parameter set, before credits."""

    span: Span
    placed: Int64Array1D
    unit: Int64Array1D
    lead: Int64Array1D
    """Placed row that stands for each unit."""
    losses: Float64Array2D
    inter_month: Float64Array1D
    minimum: Float64Array1D
    option_value: Float64Array1D
    net_delta: Float64Array1D


def span_charges(market: VenueMarket, placed: PlacedRows) -> tuple[SpanUnits, list[Charges]]:
    """Return the units of all combined commodities and their charges.

    A commodity's charge is its requirement without credits; what spreads with other commodities
    take off is a charge of its own below zero, because it rests on another parameter set.
    """
    rows = placed.of_model(SPAN)
    rows = rows[market.instruments.fault[placed.instrument[rows]] == ""]
    faulty = _faulty(market, placed, rows)
    kept = rows[faulty == ""]
    parts = [
        _part(market, placed, span, mine)
        for span in market.spans
        if len(mine := kept[placed.parameters[kept] == span.parameters])
    ]
    units = _joined(market, placed, parts)
    charges = [faulty_charges(placed, rows[faulty != ""], faulty[faulty != ""])]
    charges += [_requirements(units), *_credits(market, placed, units)]
    return units, [each for each in charges if len(each)]


def _faulty(market: VenueMarket, placed: PlacedRows, rows: Int64Array1D) -> ObjectArray1D:
    """Return why each row cannot be margined by SPAN, or empty text."""
    found: ObjectArray1D = np.full(len(rows), "", dtype=object)
    held, instrument = market.instruments, placed.instrument[rows]
    for span in market.spans:
        at = np.flatnonzero(placed.parameters[rows] == span.parameters)
        reasons = np.array(span.revaluation.fault, dtype=object)
        found[at] = reasons[span.local[instrument[at]]]
    lacks: BoolArray1D = ~(np.isfinite(held.index_price) & np.isfinite(held.quote_rate))[instrument]
    for row in np.flatnonzero(lacks & (found == "")).tolist():
        name, underlying = held.instrument_id[instrument[row]], held.underlying[instrument[row]]
        found[row] = f"no index price of {underlying}, which {name} is on"
    return found


def _part(market: VenueMarket, placed: PlacedRows, span: Span, rows: Int64Array1D) -> _Part:
    held, instrument = market.instruments, placed.instrument[rows]
    words, code = np.unique(held.underlying[instrument].astype(str), return_inverse=True)
    key = placed.book[rows] * len(words) + code
    distinct, first, unit = np.unique(key, return_index=True, return_inverse=True)
    n_units, local, quantity = len(distinct), span.local[instrument], placed.quantity[rows]
    found = span_losses(
        span.revaluation, Holdings(bucket=unit, instrument=local, quantity=quantity), n_units
    )
    is_sold = held.is_option[instrument] & (quantity < 0.0)
    deltas = unit_deltas(
        DeltaRows(
            unit=unit,
            month=held.expiry_month[instrument],
            delta=quantity * span.unit_delta[local],
            short_options=np.where(is_sold, -quantity * held.contract_multiplier[instrument], 0.0),
        ),
        n_units,
    )
    lead = rows[first]
    price = (held.index_price * held.quote_rate)[placed.instrument[lead]]
    rules = span.revaluation.parameters
    outright = price * rules.price_scan_range
    return _Part(
        span=span,
        placed=rows,
        unit=unit,
        lead=lead,
        losses=found.scenario_losses,
        inter_month=deltas.spread * price * rules.inter_month_charge_rate,
        minimum=deltas.short_options * outright * rules.short_option_minimum_rate,
        option_value=found.net_option_value,
        net_delta=deltas.net,
    )


def _joined(market: VenueMarket, placed: PlacedRows, parts: Sequence[_Part]) -> SpanUnits:
    first = np.cumsum([0, *(len(part.lead) for part in parts)])
    nothing = np.zeros(0)

    def flat(name: str) -> Float64Array1D:
        joined: Float64Array1D = np.concatenate([nothing, *(getattr(part, name) for part in parts)])
        return joined

    lead = flat("lead").astype(np.int64)
    losses = np.concatenate([np.zeros((0, N_SCENARIOS)), *(part.losses for part in parts)])
    commodity = market.instruments.underlying[placed.instrument[lead]]
    scan_risk = np.maximum(losses.max(axis=1, initial=0.0), 0.0)
    credit = _credit(market, placed, lead, losses, flat("net_delta"))
    inter_month, minimum = flat("inter_month"), flat("minimum")
    factor = [
        np.full(len(part.lead), part.span.revaluation.parameters.initial_margin_factor)
        for part in parts
    ]
    shifted = [part.unit + start for part, start in zip(parts, first[:-1].tolist(), strict=True)]
    return SpanUnits(
        book=placed.book[lead],
        commodity=commodity,
        bucket=placed.bucket[lead],
        parameters=placed.parameters[lead],
        scenario_losses=losses,
        scan_risk=scan_risk,
        inter_month_charge=inter_month,
        credit=credit,
        short_option_minimum=minimum,
        net_option_value=flat("option_value"),
        risk_margin=np.maximum(scan_risk + inter_month - credit, minimum),
        initial_margin_factor=np.concatenate([nothing, *factor]),
        placed=flat("placed").astype(np.int64),
        unit=np.concatenate([nothing, *shifted]).astype(np.int64),
    )


def _credit(
    market: VenueMarket,
    placed: PlacedRows,
    lead: Int64Array1D,
    losses: Float64Array2D,
    net_delta: Float64Array1D,
) -> Float64Array1D:
    """Return what spreads with other commodities take off each unit, by the mode's own set."""
    credit = np.zeros(len(lead))
    granted = placed.spreads[lead]
    risk = price_risk(losses)
    for row in np.unique(granted[granted >= 0]).tolist():
        mine = np.flatnonzero(granted == row)
        spreads = market.terms.sets[row].parameters
        assert isinstance(spreads, InterCommoditySpreads)
        credit[mine] = inter_commodity_credits(
            placed.book[lead[mine]],
            market.instruments.underlying[placed.instrument[lead[mine]]],
            net_delta[mine],
            risk[mine],
            spreads,
        )
    return credit


def _margins(units: SpanUnits, risk: Float64Array1D) -> tuple[Float64Array1D, Float64Array1D]:
    """Return initial and maintenance margin for a risk margin: option value counts in full."""
    value = units.net_option_value
    initial = np.maximum(units.initial_margin_factor * risk - value, 0.0)
    return initial, np.maximum(risk - value, 0.0)


def _without_credit(units: SpanUnits) -> tuple[Float64Array1D, Float64Array1D]:
    return _margins(
        units, np.maximum(units.scan_risk + units.inter_month_charge, units.short_option_minimum)
    )


def _requirements(units: SpanUnits) -> Charges:
    return _charges(
        units,
        np.arange(len(units.book)),
        _without_credit(units),
        units.commodity,
        units.parameters,
    )


def _credits(market: VenueMarket, placed: PlacedRows, units: SpanUnits) -> list[Charges]:
    gross, net = _without_credit(units), _margins(units, units.risk_margin)
    saved = (net[0] - gross[0], net[1] - gross[1])
    rows = np.flatnonzero((saved[0] != 0.0) | (saved[1] != 0.0))
    # Any holding of the unit stands for its mode.
    lead = np.zeros(len(units.book), dtype=np.int64)
    lead[units.unit] = units.placed
    names = np.array([CREDIT.format(name) for name in units.commodity], dtype=object)
    return [_charges(units, rows, saved, names, placed.spreads[lead])] if len(rows) else []


def _charges(
    units: SpanUnits,
    rows: Int64Array1D,
    margins: tuple[Float64Array1D, Float64Array1D],
    names: ObjectArray1D,
    parameters: Int64Array1D,
) -> Charges:
    n = len(rows)
    return Charges(
        book=units.book[rows],
        instrument=np.full(n, -1, dtype=np.int64),
        name=names[rows],
        bucket=units.bucket[rows],
        currency=np.full(n, USD, dtype=object),
        parameters=parameters[rows],
        initial_margin=margins[0][rows],
        maintenance_margin=margins[1][rows],
        usd_rate=np.ones(n),
        fault=np.full(n, "", dtype=object),
    )

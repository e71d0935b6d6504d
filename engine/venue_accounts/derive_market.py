"""Instruments as Derive's managers see them: coins, dollars, and options in every scenario."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.margin.derive_parameters import DerivePortfolioRules
from engine.margin.derive_revaluation import DeriveOptions, DeriveRevaluation, revalue_options
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms
from engine.scenarios.revaluation import FUTURE
from engine.venue_accounts.instruments import VenueInstruments
from engine.venue_accounts.terms import DERIVE_PORTFOLIO, VenueTerms


@dataclass(frozen=True, slots=True, eq=False)
class DeriveTable:
    """One set of the portfolio manager, with every option that it serves revalued.

    Attributes
    ----------
    parameters : int
        Row of ``VenueTerms.sets``.
    local : Int64Array1D, shape (n_instruments,)
        Row of each option in ``revaluation``; -1 where the set does not serve it.
    revaluation : DeriveRevaluation
    """

    parameters: int
    local: Int64Array1D
    revaluation: DeriveRevaluation


def derive_tables(instruments: VenueInstruments, terms: VenueTerms) -> tuple[DeriveTable, ...]:
    """Return the sets of the portfolio manager that serve some mode, in their order."""
    wanted: dict[int, BoolArray1D] = {}
    options = np.flatnonzero(
        instruments.is_option & (instruments.fault == "") & ~instruments.settles
    )
    usable = np.zeros(len(instruments), dtype=np.bool_)
    usable[options] = derive_faults(instruments, options) == ""
    for mode in terms.modes:
        served = (mode.model == DERIVE_PORTFOLIO) & (mode.parameters >= 0)
        for row in np.unique(mode.parameters[served]).tolist():
            chosen = served & usable & (mode.parameters == row)
            wanted[int(row)] = wanted.get(int(row), np.zeros_like(usable)) | chosen
    return tuple(_table(instruments, terms, row, wanted[row]) for row in sorted(wanted))


def derive_faults(held: VenueInstruments, rows: Int64Array1D) -> ObjectArray1D:
    """Return why the managers cannot margin each of the priced ``rows``, or empty text."""
    is_option = held.is_option[rows]
    lacks_price = ~((held.forward_price[rows] > 0.0) & (held.strike[rows] > 0.0))
    lacks_volatility = ~((held.volatility[rows] >= 0.0) & (held.years[rows] >= 0.0))
    rated = np.isfinite(held.quote_rate[rows]) & np.isfinite(held.settlement_rate[rows])
    checks = (
        (held.kind[rows] == FUTURE, "{}: the manager margins no dated futures"),
        (~np.isfinite(held.index_price[rows]), "no index price of the underlying of {}"),
        (~rated, "no USD rate of the currency of {}"),
        (is_option & lacks_price, "{} has no forward or strike above zero"),
        (is_option & lacks_volatility, "{} has no volatility or expiry"),
    )
    faults: ObjectArray1D = np.full(len(rows), "", dtype=object)
    for is_faulty, text in checks:
        for at in np.flatnonzero(is_faulty & (faults == "")).tolist():
            faults[at] = text.format(held.instrument_id[rows[at]])
    return faults


def coins(instruments: VenueInstruments) -> Float64Array1D:
    """Return the units of underlying of one contract: of an inverse future at its mark."""
    is_future = ~instruments.is_option & instruments.is_inverse
    price = np.where(is_future, instruments.mark_price, 1.0)
    found: Float64Array1D = instruments.contract_multiplier / price
    return found


def dollars(instruments: VenueInstruments) -> Float64Array1D:
    """Return USD per unit of the currency that the value of a coin's move is in.

    That of the quote for inverse contracts, which pay coins, else of the settlement asset. [USD]
    """
    rate: Float64Array1D = np.where(
        instruments.is_inverse, instruments.quote_rate, instruments.settlement_rate
    )
    return rate


def undiscounted_marks(instruments: VenueInstruments, rows: Int64Array1D) -> Float64Array1D:
    """Return Black-76 on the forward of each of the option ``rows``. [quote currency]"""
    terms = OptionTerms(
        is_call=instruments.is_call[rows],
        strike_price=instruments.strike[rows],
        years=instruments.years[rows],
    )
    found: Float64Array1D = option_value(
        terms, instruments.forward_price[rows], instruments.volatility[rows]
    ).option_price
    return found


def _table(held: VenueInstruments, terms: VenueTerms, row: int, wanted: BoolArray1D) -> DeriveTable:
    rules = terms.sets[row].parameters
    assert isinstance(rules, DerivePortfolioRules)
    rows = np.flatnonzero(wanted)
    _, expiry = np.unique(held.years[rows], return_inverse=True)
    options = DeriveOptions(
        expiry=expiry.astype(np.int64),
        is_call=held.is_call[rows],
        strike_price=held.strike[rows],
        forward_price=held.forward_price[rows],
        years=held.years[rows],
        volatility=held.volatility[rows],
        risk_free_rate=np.zeros(len(rows)),
    )
    local = np.full(len(held), -1, dtype=np.int64)
    local[rows] = np.arange(len(rows))
    return DeriveTable(row, local, revalue_options(options, rules.scenarios, rules))

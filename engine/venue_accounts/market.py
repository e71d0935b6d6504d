"""The market made ready once for all venue accounts: tier tables, grids revalued, instruments.

Nothing here depends on who holds what, so that a what-if keeps it and asks about thousands of
candidate books.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.margin.scenario_grid import (
    GridRevaluation,
    ScenarioGridParameters,
    ScenarioInstruments,
    revalue_grid,
)
from engine.margin.scenario_pnl import unit_delta
from engine.margin.span import SpanParameters, SpanRevaluation, revalue_span
from engine.margin.tiered import TieredParameters, TierTable, tier_table
from engine.rules import RuleBook
from engine.snapshot import Snapshot
from engine.venue_accounts.derive_market import DeriveTable, derive_tables
from engine.venue_accounts.instruments import (
    VenueInstruments,
    in_settlement_asset,
    in_usd,
    venue_instruments,
)
from engine.venue_accounts.terms import SCENARIO_GRID, SPAN, TIERED, VenueTerms, venue_terms


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """One parameter set of the scenario grid, with every instrument that it serves revalued.

    Attributes
    ----------
    parameters : int
        Row of ``VenueTerms.sets``.
    is_usd : bool
        Gains in USD, where a mode margins several currencies together; else in the settlement
        asset.
    local : Int64Array1D, shape (n_instruments,)
        Row of each instrument in ``revaluation``; -1 where the grid does not serve it.
    revaluation : GridRevaluation
    """

    parameters: int
    is_usd: bool
    local: Int64Array1D
    revaluation: GridRevaluation


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """One parameter set of SPAN, with every instrument that it serves revalued in USD.

    Attributes
    ----------
    parameters : int
        Row of ``VenueTerms.sets``.
    local : Int64Array1D, shape (n_instruments,)
        Row of each instrument in ``revaluation``; -1 where the set does not serve it.
    revaluation : SpanRevaluation
    unit_delta : Float64Array1D
        Of the rows of ``revaluation``. [coin per contract]
    """

    parameters: int
    local: Int64Array1D
    revaluation: SpanRevaluation
    unit_delta: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class VenueMarket:
    """Everything that margins of venue accounts depend on but the accounts.

    Attributes
    ----------
    instruments : VenueInstruments
    terms : VenueTerms
    tiers : TierTable
        All sets of the model ``tiered``.
    tier_symbol : Int64Array1D, shape (n_sets,)
        Symbol of each set in ``tiers``; -1 for sets of other models.
    grids : tuple of Grid
    spans : tuple of Span
    derive : tuple of DeriveTable
    """

    instruments: VenueInstruments
    terms: VenueTerms
    tiers: TierTable
    tier_symbol: Int64Array1D
    grids: tuple[Grid, ...]
    spans: tuple[Span, ...] = ()
    derive: tuple[DeriveTable, ...] = ()


def prepare_venues(
    snapshot: Snapshot, rules: RuleBook, modes: Iterable[tuple[str, str]]
) -> VenueMarket:
    """Return the market ready for accounts in the given (venue, mode) pairs.

    A mode or an instrument without parameters keeps its place and its reason: it fails whoever
    needs it, not the others.
    """
    instruments = venue_instruments(snapshot, rules.house)
    terms = venue_terms(instruments, modes, rules.venues)
    tiered = [row for row, each in enumerate(terms.sets) if each.model == TIERED]
    symbol = np.full(len(terms.sets), -1, dtype=np.int64)
    symbol[tiered] = np.arange(len(tiered))
    return VenueMarket(
        instruments=instruments,
        terms=terms,
        tiers=tier_table([_tiered(terms, row) for row in tiered]),
        tier_symbol=symbol,
        grids=_grids(instruments, terms),
        spans=_spans(instruments, terms),
        derive=derive_tables(instruments, terms),
    )


def at_moved_prices(market: VenueMarket, move: float) -> VenueMarket:
    """Return the market with marks, forwards and indices moved; premiums of options stay.

    Everything is revalued: what a snapshot of another second would have given.
    """
    held, factor = market.instruments, 1.0 + move
    moved = replace(
        held,
        mark_price=np.where(held.is_option, held.mark_price, held.mark_price * factor),
        forward_price=held.forward_price * factor,
        index_price=held.index_price * factor,
    )
    return replace(
        market,
        instruments=moved,
        grids=_grids(moved, market.terms),
        spans=_spans(moved, market.terms),
        derive=derive_tables(moved, market.terms),
    )


def _tiered(terms: VenueTerms, row: int) -> TieredParameters:
    parameters = terms.sets[row].parameters
    assert isinstance(parameters, TieredParameters)
    return parameters


def _grids(instruments: VenueInstruments, terms: VenueTerms) -> tuple[Grid, ...]:
    """Return each grid once per currency view, over the usable instruments of its modes."""
    wanted: dict[tuple[int, bool], np.ndarray] = {}
    usable = np.array([not fault for fault in instruments.fault], dtype=np.bool_)
    usable &= ~instruments.settles
    for mode in terms.modes:
        served = (mode.model == SCENARIO_GRID) & (mode.parameters >= 0) & usable
        view = mode.mode is not None and mode.mode.bucket == "underlying"
        for row in np.unique(mode.parameters[served]).tolist():
            key = (int(row), view)
            chosen = served & (mode.parameters == row)
            wanted[key] = wanted.get(key, np.zeros(len(instruments), dtype=np.bool_)) | chosen
    views = {False: in_settlement_asset(instruments), True: in_usd(instruments)}
    return tuple(
        _grid(terms, key, np.flatnonzero(wanted[key]), views[key[1]]) for key in sorted(wanted)
    )


def _spans(instruments: VenueInstruments, terms: VenueTerms) -> tuple[Span, ...]:
    wanted: dict[int, np.ndarray] = {}
    usable = np.array([not fault for fault in instruments.fault], dtype=np.bool_)
    usable &= ~instruments.settles
    for mode in terms.modes:
        served = (mode.model == SPAN) & (mode.parameters >= 0) & usable
        for row in np.unique(mode.parameters[served]).tolist():
            chosen = served & (mode.parameters == row)
            wanted[row] = wanted.get(row, np.zeros(len(instruments), dtype=np.bool_)) | chosen
    if not wanted:
        return ()
    in_dollars, in_own = in_usd(instruments), in_settlement_asset(instruments)
    found = []
    for row in sorted(wanted):
        parameters = terms.sets[row].parameters
        assert isinstance(parameters, SpanParameters)
        rows = np.flatnonzero(wanted[row])
        local = np.full(len(instruments), -1, dtype=np.int64)
        local[rows] = np.arange(len(rows))
        revaluation = revalue_span(_rows_of(in_dollars, rows), parameters)
        found.append(Span(row, local, revaluation, unit_delta(_rows_of(in_own, rows))))
    return tuple(found)


def _grid(
    terms: VenueTerms, key: tuple[int, bool], rows: np.ndarray, view: ScenarioInstruments
) -> Grid:
    parameters = terms.sets[key[0]].parameters
    assert isinstance(parameters, ScenarioGridParameters)
    local = np.full(len(view), -1, dtype=np.int64)
    local[rows] = np.arange(len(rows))
    return Grid(key[0], key[1], local, revalue_grid(_rows_of(view, rows), parameters))


def _rows_of(view: ScenarioInstruments, rows: np.ndarray) -> ScenarioInstruments:
    return ScenarioInstruments(
        symbol=view.symbol[rows],
        kind=view.kind[rows],
        is_inverse=view.is_inverse[rows],
        contract_multiplier=view.contract_multiplier[rows],
        mark_price=view.mark_price[rows],
        years=view.years[rows],
        is_call=view.is_call[rows],
        strike_price=view.strike_price[rows],
        forward_price=view.forward_price[rows],
        volatility=view.volatility[rows],
        risk_free_rate=view.risk_free_rate[rows],
    )

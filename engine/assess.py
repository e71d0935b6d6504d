"""The engine's one entry point: snapshot, positions, collateral and rules in, assessment out.

Batch, intraday loop, what-if and replay all call `assess`. Whoever spreads the work calls its four
parts: `prepare` once, `portfolio` once, `margin_block` anywhere, `combine` once. The result is the
same bytes either way.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.assessment import VENUE_FRAMES, Assessment
from engine.binding import venue_columns, with_house_shares
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.explanation import (
    contribution_frame,
    proxy_frame,
    scenario_frame,
    stress_cell_frame,
    worst_scenario_frame,
)
from engine.margin.block import NETTING_SETS_PER_BLOCK, blocks_of
from engine.margin.filtered_historical import BlockMargins, margin_block
from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from engine.requirements import governing_margins, requirement_frame
from engine.rules import RuleBook
from engine.settlement.day import POSITION_COLUMNS, DaySettlement, settle_day
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot
from engine.venue_accounts.assembly import VenueMargins, venue_margins

__all__ = [
    "NETTING_SETS_PER_BLOCK",
    "assess",
    "blocks_of",
    "combine",
    "margin_block",
    "portfolio",
    "prepare",
]

# The book of record for what is settled in cash: venues settle on their own.
SETTLEMENT_SOURCES = ("venue", "clearing", "oms")


def assess(
    snapshot: Snapshot,
    positions: PositionSet,
    collateral: CollateralSet,
    rules: RuleBook,
    last_fresh: LastFresh | None = None,
) -> Assessment:
    """Return requirement, collateral value, call decision and explanation of every netting set.

    Parameters
    ----------
    snapshot : Snapshot
        The market at the close.
    positions, collateral : PositionSet, CollateralSet
        Holdings by source at the same instant.
    rules : RuleBook
        Parameters and agreements in force.
    last_fresh : LastFresh, optional
        Where held netting sets are held at.

    Raises
    ------
    MissingDataError
        If the book is empty.
    ParameterError
        If a netting set has no agreement.
    ModelInputError
        If the history is too short to make scenarios from.
    """
    market = prepare(snapshot, rules)
    book = portfolio(market, positions, collateral, rules)
    blocks = [margin_block(market, block) for block in blocks_of(book, market, rules.house)]
    return combine(market, book, blocks, snapshot, positions, rules, last_fresh)


def combine(
    market: PreparedMarket,
    book: Portfolio,
    blocks: list[BlockMargins],
    snapshot: Snapshot,
    positions: PositionSet,
    rules: RuleBook,
    last_fresh: LastFresh | None = None,
) -> Assessment:
    """Return the assessment from the margins of all blocks, in block order."""
    governing = governing_margins(book, blocks, rules.house)
    requirements = requirement_frame(
        book.netting_sets, governing, rules, last_fresh or LastFresh(), snapshot.business_date
    )
    collateral = _collateral(market, book, rules)
    venues = _venues(book, snapshot, positions, rules)
    demanded = (
        venue_columns(requirements, venues.margins, _fx_rates(book), rules) if venues else None
    )
    has_break = book.netting_sets["has_break"]
    decided = with_calls(requirements, collateral, has_break, rules, demanded)
    contributions = contribution_frame(market, book, blocks, requirements)
    settled = _settled(snapshot, positions, rules)
    exposure = contributions["delta_notional"].abs().groupby(contributions["underlying"]).sum()
    return Assessment(
        requirements=decided,
        contributions=contributions,
        worst_scenarios=worst_scenario_frame(market, book, blocks, requirements),
        collateral=collateral,
        settlements=settled.settlements,
        unsettled=settled.unsettled,
        breaks=book.reconciliation.breaks,
        proxies=proxy_frame(market),
        scenarios=scenario_frame(market, exposure),
        stress_cells=stress_cell_frame(market, book, blocks, requirements, rules.house),
        **_venue_frames(venues, contributions, book),
    )


def _venues(
    book: Portfolio, snapshot: Snapshot, positions: PositionSet, rules: RuleBook
) -> VenueMargins | None:
    """Return what the venues demand; None where no venue account is known."""
    if positions.accounts.empty:
        return None
    # What the sources agree on already, as if one of them had said it.
    confirmed = book.reconciliation.collateral.assign(source=SETTLEMENT_SOURCES[0])
    return venue_margins(snapshot, positions, CollateralSet(confirmed), rules)


def _fx_rates(book: Portfolio) -> Float64Array1D:
    rates: Float64Array1D = book.netting_sets["fx_rate"].to_numpy(dtype=np.float64)
    return rates


def _venue_frames(
    venues: VenueMargins | None, contributions: pd.DataFrame, book: Portfolio
) -> dict[str, pd.DataFrame]:
    """Return the venue frames of the assessment, with each account's share of house margin."""
    if venues is None:
        return {}
    rate = dict(zip(book.netting_sets["netting_set_id"], _fx_rates(book), strict=True))
    margins = with_house_shares(venues.margins, venues.positions, contributions, rate)
    frames = {name: getattr(venues, name.removeprefix("venue_")) for name in VENUE_FRAMES}
    return {**frames, "venue_margins": margins}


def _collateral(market: PreparedMarket, book: Portfolio, rules: RuleBook) -> pd.DataFrame:
    rates = market.known_rates
    return value_collateral(book.reconciliation.collateral, rates, rules, rates)


def _settled(snapshot: Snapshot, positions: PositionSet, rules: RuleBook) -> DaySettlement:
    reporting = positions.positions["source"]
    source = next(name for name in SETTLEMENT_SOURCES if (reporting == name).any())
    held = positions.positions.loc[reporting == source, list(POSITION_COLUMNS)]
    return settle_day(snapshot, held, rules)

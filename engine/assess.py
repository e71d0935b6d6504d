"""The engine's one entry point: snapshot, positions, collateral and rules in, assessment out.

Batch, intraday loop, what-if and replay all call `assess`. Whoever spreads the work calls its four
parts: `prepare` once, `portfolio` once, `margin_block` anywhere, `combine` once. The result is the
same bytes either way.
"""

from __future__ import annotations

import pandas as pd

from engine.assessment import Assessment
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.explanation import (
    contribution_frame,
    proxy_frame,
    scenario_frame,
    worst_scenario_frame,
)
from engine.margin.block import NETTING_SETS_PER_BLOCK, blocks_of
from engine.margin.filtered_historical import BlockMargins, margin_block
from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from engine.requirements import governing_margins, requirement_frame
from engine.rules import RuleBook
from engine.settlement.day import DaySettlement, settle_day
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot

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
    governing = governing_margins(book, blocks)
    requirements = requirement_frame(
        book.netting_sets, governing, rules, last_fresh or LastFresh(), snapshot.business_date
    )
    collateral = _collateral(market, book, rules)
    decided = with_calls(requirements, collateral, book.netting_sets["has_break"], rules)
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
    )


def _collateral(market: PreparedMarket, book: Portfolio, rules: RuleBook) -> pd.DataFrame:
    rates = market.known_rates
    return value_collateral(book.reconciliation.collateral, rates, rules, rates)


def _settled(snapshot: Snapshot, positions: PositionSet, rules: RuleBook) -> DaySettlement:
    reporting = positions.positions["source"]
    source = next(name for name in SETTLEMENT_SOURCES if (reporting == name).any())
    held = positions.positions[reporting == source]
    return settle_day(snapshot, held, rules)

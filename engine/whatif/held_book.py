"""A netting set made ready for what-if: what of it is kept, and what it owes as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Int64Array1D
from engine.binding import venue_columns
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.errors import MissingDataError, OpenBreak, StaleMarkError
from engine.kernels.patched_books import HeldBooks, Units, held_books
from engine.margin.block import Block, block_of
from engine.margin.book_figures import BookFigures, LegFigures, figures_of
from engine.margin.book_margins import BookMargins, book_margins, governing_books
from engine.market import PreparedMarket
from engine.portfolio import HOLDINGS, Portfolio, losing_assets
from engine.reconciliation import SOURCES
from engine.requirements import GoverningMargins, margin_components, requirement_frame
from engine.rules import Agreement, RuleBook
from engine.settlement.terms import SettlementTerms, settlement_terms
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot
from engine.whatif.holdings import Holdings, holdings_of
from engine.whatif.venue import VenueSide, venue_side

_BREAKS_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class InstrumentFacts:
    """What orders are checked against, in rows of the market's instruments.

    ``row_of`` finds the row of an identifier; ``venue`` and ``lot_size`` are of the contract
    ``instruments``; ``has_finite_pnl`` says whether every scenario has an outcome.
    """

    row_of: dict[str, int]
    venue: tuple[str, ...]
    lot_size: tuple[float, ...]
    has_finite_pnl: BoolArray1D


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBook:
    """One netting set with everything that its candidates share.

    Attributes
    ----------
    netting_set_id : str
    snapshot : Snapshot
    market : PreparedMarket
    rules : RuleBook
    block : Block
        The netting set alone.
    labels : tuple of str
        Name of each of its books.
    holdings : Holdings
    instruments : InstrumentFacts
    units : Units
        Scenario P&L, stress and gap P&L with the delta exposure, and half spread of one unit.
    held : HeldBooks
    legs, books : LegFigures, BookFigures
        Of the books as they are held.
    leg_key : Int64Array1D, shape (n_legs,)
        Ascending number of each leg by book and underlying.
    position_key : Int64Array1D, shape (n_positions,)
        Ascending number of each position by book, underlying and row.
    terms : SettlementTerms
        What a fill settles at.
    terms_row : Int64Array1D, shape (n_instruments,)
        Row of each of the market's instruments in ``terms``.
    fx_rate : float
        USD per unit of the agreement's currency.
    rates : mapping
        USD price of one unit of each asset that has one.
    collateral_row : mapping
        Row in the market's matrices of each asset that may fall beyond its haircut.
    positions : PositionSet
        Of the netting set.
    venue : VenueSide or None
        None where no venue account is known.
    before : pandas.DataFrame
        Requirement, collateral and decision as they stand: one row, as in an assessment.
    """

    netting_set_id: str
    snapshot: Snapshot
    market: PreparedMarket
    rules: RuleBook
    block: Block
    labels: tuple[str, ...]
    holdings: Holdings
    instruments: InstrumentFacts
    units: Units
    held: HeldBooks
    legs: LegFigures
    books: BookFigures
    leg_key: Int64Array1D
    position_key: Int64Array1D
    terms: SettlementTerms
    terms_row: Int64Array1D
    fx_rate: float
    rates: Mapping[str, float]
    collateral_row: Mapping[str, int]
    positions: PositionSet
    venue: VenueSide | None
    before: pd.DataFrame

    @property
    def agreement(self) -> Agreement:
        """Return the terms with the client."""
        return self.rules.agreements[self.netting_set_id]

    @property
    def n_groups(self) -> int:
        """Number of books."""
        return len(self.labels)


def prepare_book(
    snapshot: Snapshot,
    market: PreparedMarket,
    book: Portfolio,
    positions: PositionSet,
    rules: RuleBook,
    netting_set_id: str,
) -> PreparedBook:
    """Return ``netting_set_id`` ready for what-if.

    Parameters
    ----------
    market, book : PreparedMarket, Portfolio
        From ``engine.market.prepare`` and ``engine.portfolio.portfolio``, of all netting sets.
    positions : PositionSet
        As given to ``portfolio``.

    Raises
    ------
    MissingDataError
        If there is no such netting set, or it cannot be margined at all.
    StaleMarkError
        If it is held because an input is not fresh.
    OpenBreak
        If its sources disagree, or a row of its holdings is in quarantine.
    """
    row = _row_of(book, netting_set_id)
    _require_answerable(book, market, row, netting_set_id)
    block = block_of(book, market, rules.house, row)
    units = _units(market)
    held = held_books(units, block.rows, block.n_tail)
    legs, books = figures_of(market, block.rows, block.leg_asset, held.tail)
    margins = book_margins(market, rules.house, legs, books)
    labels = book.group_book[block.first_group : block.first_group + block.rows.n_groups]
    terms = settlement_terms(snapshot, rules.house)
    own = _own(positions, netting_set_id)
    # As in the close: no venue margin while no account at all is known.
    is_told = not positions.accounts.empty
    venue = venue_side(snapshot, own, _confirmed(book, netting_set_id), rules) if is_told else None
    leg_key = _leg_keys(market, block)
    leg_of = np.repeat(np.arange(block.rows.n_legs), np.diff(block.rows.leg_ptr))
    return PreparedBook(
        netting_set_id=netting_set_id,
        snapshot=snapshot,
        market=market,
        rules=rules,
        block=block,
        labels=labels,
        holdings=holdings_of(book, positions, netting_set_id),
        instruments=_facts(snapshot, market),
        units=units,
        held=held,
        legs=legs,
        books=books,
        leg_key=leg_key,
        position_key=leg_key[leg_of] * len(market.historical) + block.rows.index,
        terms=terms,
        terms_row=pd.Index(terms.instrument_id).get_indexer(pd.Index(market.instrument_id)),
        fx_rate=float(book.netting_sets["fx_rate"].to_numpy(dtype=np.float64)[row]),
        rates=market.known_rates,
        collateral_row={
            market.assets[row]: market.n_instruments + row
            for row in np.flatnonzero(losing_assets(market)).tolist()
        },
        positions=own,
        venue=venue,
        before=_before(_Standing(snapshot, market, book, rules, row), margins, labels, venue),
    )


def leg_number(market: PreparedMarket, group: Int64Array1D, asset: Int64Array1D) -> Int64Array1D:
    """Return a number that ascends as legs are stored; ``asset`` is -1 for collateral."""
    n_assets = len(market.assets)
    return group * (n_assets + 1) + np.where(asset < 0, n_assets, asset)


def _leg_keys(market: PreparedMarket, block: Block) -> Int64Array1D:
    group = np.repeat(np.arange(block.rows.n_groups), np.diff(block.rows.group_ptr))
    return leg_number(market, group, block.leg_asset)


def _row_of(book: Portfolio, netting_set_id: str) -> int:
    names = book.netting_sets["netting_set_id"].astype(str).tolist()
    if netting_set_id in names:
        return names.index(netting_set_id)
    close = get_close_matches(netting_set_id, names, n=3, cutoff=0.5) or names[:3]
    raise MissingDataError(
        f"no netting set {netting_set_id} among {len(names)}; there are for instance "
        f"{', '.join(close)}",
        identifier=netting_set_id,
    )


def _require_answerable(
    book: Portfolio, market: PreparedMarket, row: int, netting_set_id: str
) -> None:
    found = book.netting_sets.iloc[row]
    if found["failure"]:
        raise MissingDataError(
            f"{netting_set_id} cannot be margined: {found['failure']}; no what-if before that is "
            "corrected and the date is closed again",
            identifier=netting_set_id,
            value=found["failure"],
        )
    if found["hold"]:
        raise StaleMarkError(
            f"{netting_set_id} is held: {found['hold']}; no what-if on inputs that are not fresh: "
            "bring the missing data and close the date again",
            identifier=netting_set_id,
            value=found["hold"],
        )
    if found["has_break"]:
        raise _open_break(book, market, netting_set_id)


def _open_break(book: Portfolio, market: PreparedMarket, netting_set_id: str) -> OpenBreak:
    breaks = book.reconciliation.breaks
    mine = breaks[breaks["netting_set_id"] == netting_set_id]
    texts = [
        f"{row['break_id']}: {row['item']} of {row['account_id']} differs by "
        f"{row['difference']:g}, tolerance {row['tolerance']:g}, ask {row['owner']}"
        for row in mine.iloc[:_BREAKS_NAMED].to_dict(orient="records")
    ]
    # A quarantined holding whose netting set cannot be read may be anybody's.
    faults = market.faults[market.faults["dataset"].isin(HOLDINGS)]
    known = book.netting_sets["netting_set_id"].astype(str)
    mine_or_nobody = (faults["identifier"] == netting_set_id) | ~faults["identifier"].isin(known)
    texts += [
        f"a row of {row['dataset']} is in quarantine ({row['reason']})"
        for row in faults[mine_or_nobody].iloc[:_BREAKS_NAMED].to_dict(orient="records")
    ]
    more = len(mine) + int(mine_or_nobody.sum()) - len(texts)
    return OpenBreak(
        f"{netting_set_id} has an open break: {'; '.join(texts)}"
        + (f" and {more} more" if more > 0 else "")
        + "; no what-if before the holdings are agreed",
        identifier=netting_set_id,
        value=len(mine) or None,
        limit="0 open breaks",
    )


def _units(market: PreparedMarket) -> Units:
    n_assets = len(market.assets)
    delta = np.concatenate([market.delta_notional, np.zeros(n_assets)])
    return Units(
        pnl=market.historical,
        figures=np.ascontiguousarray(np.column_stack([market.special, delta])),
        cost=np.concatenate([market.half_spread, np.zeros(n_assets)]),
    )


def _facts(snapshot: Snapshot, market: PreparedMarket) -> InstrumentFacts:
    table = snapshot.instruments.set_index("instrument_id").reindex(market.instrument_id)
    n = market.n_instruments
    is_finite = np.isfinite(market.historical[:n]).all(axis=1)
    is_finite &= np.isfinite(market.special[:n]).all(axis=1)
    is_finite &= np.isfinite(market.delta_notional) & np.isfinite(market.half_spread)
    return InstrumentFacts(
        row_of={str(name): row for row, name in enumerate(market.instrument_id)},
        venue=tuple(table["venue"].astype(str)),
        lot_size=tuple(table["lot_size"].astype(float)),
        has_finite_pnl=is_finite,
    )


def _own(positions: PositionSet, netting_set_id: str) -> PositionSet:
    """Return the rows of one netting set."""

    def mine(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["netting_set_id"] == netting_set_id].reset_index(drop=True)

    rows, orders, accounts = (
        mine(frame) for frame in (positions.positions, positions.open_orders, positions.accounts)
    )
    reported = positions.venue_margin
    at = {*rows["account_id"], *orders["account_id"], *accounts["account_id"]}
    return PositionSet(rows, orders, accounts, reported[reported["account_id"].isin(at)])


def _confirmed(book: Portfolio, netting_set_id: str) -> CollateralSet:
    """Return what the sources agree on, as if one of them had said it."""
    holdings = book.reconciliation.collateral
    mine = holdings[holdings["netting_set_id"] == netting_set_id]
    return CollateralSet(mine.assign(source=SOURCES[0]).reset_index(drop=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Standing:
    snapshot: Snapshot
    market: PreparedMarket
    book: Portfolio
    rules: RuleBook
    row: int


def _before(
    close: _Standing, margins: BookMargins, labels: tuple[str, ...], venue: VenueSide | None
) -> pd.DataFrame:
    governing = governing_books(margins.total, np.zeros(len(labels), dtype=np.int64), 1)
    sets = close.book.netting_sets.iloc[close.row : close.row + 1].reset_index(drop=True)
    components = margin_components(margins, close.rules.house)
    requirement = requirement_frame(
        sets,
        GoverningMargins(
            book=(labels[int(governing[0])],),
            components={name: values[governing] for name, values in components.items()},
        ),
        close.rules,
        LastFresh(),
        close.snapshot.business_date,
    )
    holdings = close.book.reconciliation.collateral
    mine = holdings[holdings["netting_set_id"] == sets["netting_set_id"].iat[0]]
    rates = close.market.known_rates
    valued = value_collateral(mine, rates, close.rules, rates)
    fx_rate = sets["fx_rate"].to_numpy(dtype=np.float64)
    demanded = (
        None
        if venue is None
        else venue_columns(requirement, venue.before.margins, fx_rate, close.rules)
    )
    return with_calls(requirement, valued, sets["has_break"], close.rules, demanded)

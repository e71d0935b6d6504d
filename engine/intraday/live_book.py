"""The live book: what every netting set owes now, kept up to date change by change.

One writer, no clock, no I/O. A change is taken in at once; ``screened`` names the netting sets that
it may have brought to their next level, ``figures`` gives what they owe, to the bit what ``assess``
gives on ``inputs``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Int64Array1D, ObjectArray1D
from engine.intraday.bookkeeping import Bookkeeping
from engine.intraday.changes import (
    CollateralReport,
    Degradation,
    Fill,
    MarkChanges,
    OrderReport,
    PositionReport,
    TransferReport,
    VenueReport,
)
from engine.intraday.exact import Standing, fresh_of, required, requirements_of, terms_of
from engine.intraday.figures import LiveFigures
from engine.intraday.frames import NO_COLLATERAL, collateral_frame, position_set
from engine.intraday.holdings import Holdings
from engine.intraday.kept import Circumstances, Kept, figures_of
from engine.intraday.lasting import Lasting
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket, Moved
from engine.intraday.pledged import counted_quantities
from engine.intraday.reported import all_pledges, confirmed_collateral
from engine.intraday.state import (
    VERSION,
    State,
    digest,
    holdings_state,
    require_version,
    restore_holdings,
    restore_trust,
    trust_state,
)
from engine.intraday.trust import Trust
from engine.intraday.unsettled import unsettled_usd
from engine.intraday.venue_demands import VenueReports, demanded, demands_of
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """How far what is kept was from what a full computation gives, when it was built anew.

    ``largest`` is the largest distance of a running scenario total from the exact one, relative to
    the gross size of the book; ``n_rebuilt`` counts books.
    """

    n_rebuilt: int
    largest: float


class LiveBook:
    """What all netting sets hold and owe now."""

    def __init__(
        self, market: LiveMarket, book: Bookkeeping, standing: Standing, positions: PositionSet
    ) -> None:
        self._market, self._book, self._standing = market, book, standing
        self._rules, self._positions = standing.rules, positions
        n = book.layout.n_netting_sets
        self._reports = VenueReports(positions.venue_margin)
        self._kept = Kept.of(n)
        self._in_doubt: BoolArray1D = np.ones(n, dtype=np.bool_)
        self._n_changes = 0

    @classmethod
    def open(
        cls,
        snapshot: Snapshot,
        positions: PositionSet,
        collateral: CollateralSet,
        rules: RuleBook,
        last_fresh: LastFresh | None = None,
    ) -> LiveBook:
        """Return the book of a snapshot, ready for changes.

        Raises
        ------
        MissingDataError, ParameterError, ModelInputError
            As ``engine.assess.assess``.
        """
        market = LiveMarket(snapshot, rules)
        book = portfolio(market.prepared, positions, collateral, rules)
        names = tuple(book.netting_sets["netting_set_id"].astype(str))
        holdings = Holdings(positions, collateral, names, market.prepared.instrument_id)
        return cls._of(market, holdings, Layout.of(book), (rules, last_fresh), positions)

    @classmethod
    def load(
        cls,
        state: State,
        snapshot: Snapshot,
        positions: PositionSet,
        rules: RuleBook,
        last_fresh: LastFresh | None = None,
    ) -> LiveBook:
        """Return the book that ``save`` gave ``state`` of, ready for the next change.

        Parameters
        ----------
        snapshot, positions, rules, last_fresh
            Those that the book was opened with; of ``positions`` only the accounts are looked at.

        Raises
        ------
        ModelInputError
            If the state has another layout or other instruments than the snapshot.
        """
        require_version(state)
        market = LiveMarket(snapshot, rules)
        market.restore(state)
        names = tuple(state["netting_set_id"].tolist())
        nothing = PositionSet(
            positions.positions.iloc[:0], positions.open_orders.iloc[:0], positions.accounts
        )
        known = market.prepared.instrument_id
        holdings = Holdings(nothing, CollateralSet(NO_COLLATERAL), names, known)
        restore_holdings(holdings, state, len(known))
        layout = Layout.restored(state)
        book = cls._of(market, holdings, layout, (rules, last_fresh), positions, state)
        book._reports.restore(state, pd.Timestamp(snapshot.business_date))
        book._n_changes = int(state["n_changes"][0])
        return book

    @classmethod
    def _of(
        cls,
        market: LiveMarket,
        holdings: Holdings,
        layout: Layout,
        terms_in_force: tuple[RuleBook, LastFresh | None],
        positions: PositionSet,
        state: State | None = None,
    ) -> LiveBook:
        rules, last_fresh = terms_in_force
        names, fresh = holdings.netting_sets.texts, last_fresh or LastFresh()
        terms = terms_of(names, rules, market.prepared)
        trust = Trust(len(names), rules.house.degraded)
        if state is not None:
            restore_trust(trust, state)
        book = Bookkeeping(
            market=market,
            holdings=holdings,
            layout=layout,
            trust=trust,
            pledges=all_pledges(holdings, trust, rules, market.prepared.assets),
            lasting=Lasting.of(market.prepared, names, terms),
        )
        standing = Standing(
            terms=terms,
            layout=layout,
            rules=rules,
            last_fresh=fresh,
            business_date=market.business_date,
            fresh=fresh_of(fresh, names, rules.house.hold, market.business_date),
        )
        return cls(market, book, standing, positions)

    def save(self) -> State:
        """Return the state as arrays: the same bytes for the same state."""
        state: State = {
            "version": np.array([VERSION], dtype=np.int64),
            "n_changes": np.array([self._n_changes], dtype=np.int64),
            "netting_set_id": np.array(self.netting_set_id, dtype=str),
        }
        book = self._book
        state |= self._market.state() | holdings_state(book.holdings)
        return state | book.layout.state() | trust_state(book.trust) | self._reports.state()

    def state_hash(self) -> str:
        """Return the SHA-256 of the state: equal after the same changes, and after a restart."""
        return digest(self.save())

    @property
    def netting_set_id(self) -> tuple[str, ...]:
        """Return the netting sets, sorted; row i of all figures."""
        return self._book.holdings.netting_sets.texts

    @property
    def instrument_id(self) -> ObjectArray1D:
        """Return the instruments, sorted; rows of ``MarkChanges.instrument``."""
        return self._market.prepared.instrument_id

    @property
    def assets(self) -> tuple[str, ...]:
        """Return the assets; rows of ``MarkChanges.asset``."""
        return self._market.prepared.assets

    @property
    def as_of(self) -> datetime:
        """Return the instant of the market."""
        return self._market.as_of

    @property
    def n_changes(self) -> int:
        """Return how many changes have been taken in."""
        return self._n_changes

    def apply_marks(self, changes: MarkChanges) -> Moved:
        """Take in accepted prices and rates; rows whose inputs moved are revalued.

        The rate of an asset that is not trusted may fall and not rise.
        """
        rates = self._market.prepared.usd_rate[changes.asset]
        distrusted = np.array(
            [
                ("underlying", self.assets[row]) in self._book.trust.by_name
                for row in changes.asset.tolist()
            ],
            dtype=np.bool_,
        )
        if distrusted.any():
            capped_rates = np.where(
                distrusted, np.minimum(changes.usd_rate, rates), changes.usd_rate
            )
            changes = replace(changes, usd_rate=capped_rates)
        moved = self._market.apply(changes)
        self._take_in(moved)
        return moved

    def advance(self, as_of: datetime) -> Moved:
        """Move the instant of the market on: expiries come nearer, marks grow old."""
        moved = self._market.advance(as_of)
        self._take_in(moved)
        return moved

    def apply_fill(self, fill: Fill) -> int:
        """Take in an execution and return the row of its netting set."""
        return self._noted(self._book.fill(fill))

    def apply_position(self, report: PositionReport) -> int:
        """Take in a position as it stands and return the row of its netting set."""
        return self._noted(self._book.position(report))

    def apply_order(self, report: OrderReport) -> int:
        """Take in an open order as it stands and return the row of its netting set."""
        return self._noted(self._book.order(report))

    def apply_collateral(self, report: CollateralReport) -> int:
        """Take in what lies at a location and return the row of its netting set."""
        return self._noted(self._book.collateral(report))

    def apply_transfer(self, report: TransferReport) -> int:
        """Take in how far a transfer is and return the row of its netting set."""
        return self._noted(self._book.transfer(report))

    def apply_venue_report(self, report: VenueReport) -> int:
        """Take in what a venue says it demands and return the row of the netting set."""
        netting_set = self._book.holdings.owner(report.account_id, None)
        day = pd.Timestamp(self._standing.business_date)
        self._reports.apply(report, day)
        self._n_changes += 1
        self._doubt(np.array([netting_set], dtype=np.int64))
        return netting_set

    def degrade(self, degradation: Degradation) -> Int64Array1D:
        """Take in what is not trusted, or trusted again; return the netting sets that it touches.

        Requirements of those are never below the last fresh one, collateral there is never above
        what was last known, and nothing is released, until the state is ``fresh``.
        """
        members = self._book.members(degradation)
        newly = self._book.trust.newly(degradation, members)
        if len(newly):
            fresh = self.figures(newly)
            self._book.trust.set_floor(newly, fresh.requirement, fresh.owed)
        touched = self._book.degrade(degradation, members)
        self._n_changes += 1
        self._doubt(touched)
        return touched

    def screened(self) -> Int64Array1D:
        """Return the netting sets whose figures may have passed their next level."""
        return np.flatnonzero(self._in_doubt)

    def figures(self, rows: Int64Array1D | None = None) -> LiveFigures:
        """Return the exact figures of chosen netting sets, or of all."""
        if rows is None:
            rows = np.arange(self._book.layout.n_netting_sets)
        rows = np.asarray(rows, dtype=np.int64)
        old = np.unique(rows[~self._kept.is_current[rows]])
        if len(old):
            self._compute(old)
        self._in_doubt[rows] = False
        return figures_of(self._kept, rows, self._book.trust, self._circumstances())

    def requirements(self, rows: Int64Array1D) -> pd.DataFrame:
        """Return ``Assessment.requirements`` of chosen netting sets, with exact call amounts.

        As ``assess`` gives them on ``inputs``: what distrust adds is in ``figures`` alone.
        """
        return self._frame(np.unique(np.asarray(rows, dtype=np.int64)))

    def inputs(self) -> tuple[Snapshot, PositionSet, CollateralSet]:
        """Return what ``assess`` would take now.

        Collateral is what counts: without what is in flight, and less the haircuts of places that
        are not trusted.
        """
        holdings = self._book.holdings
        every = np.arange(len(holdings.collateral))
        frame = collateral_frame(holdings, counted_quantities(holdings, self._book.trust, every))
        positions = position_set(holdings, self._positions, self._reports.frame())
        return self._snapshot(), positions, CollateralSet(frame)

    def rebuild(self) -> Drift:
        """Build everything that is kept anew and return how far it had drifted."""
        self._book.layout.compact()
        self._book.pledges.compact()
        return Drift(n_rebuilt=0, largest=0.0)

    def _snapshot(self) -> Snapshot:
        return self._market.snapshot(f"{self._market.opened_as}@{self._n_changes}")

    def _noted(self, netting_set: int) -> int:
        self._n_changes += 1
        self._doubt(np.array([netting_set], dtype=np.int64))
        return netting_set

    def _doubt(self, rows: Int64Array1D) -> None:
        self._kept.is_current[rows] = False
        self._in_doubt[rows] = True

    def _take_in(self, moved: Moved) -> None:
        self._n_changes += 1
        market, holdings = self._market.prepared, self._book.holdings
        self._doubt(self._book.with_usability(moved))
        is_moved = np.zeros(len(market.assets), dtype=np.bool_)
        is_moved[self._market.underlyings_of(moved)] = True
        self._doubt(self._book.layout.holders(is_moved))
        if len(moved.asset):
            names = {market.assets[row] for row in moved.asset.tolist()}
            codes = [code for code, name in enumerate(holdings.assets.texts) if name in names]
            pledged = holdings.collateral
            self._doubt(np.unique(pledged["owner"][np.isin(pledged["asset"], codes)]))
            self._doubt(np.flatnonzero(np.isin(self._standing.terms.currency_row, moved.asset)))

    def _compute(self, rows: Int64Array1D) -> None:
        """Compute and keep the figures of ``rows``, ascending."""
        standing, market, book = self._standing, self._market.prepared, self._book
        currency = standing.terms.currency_row[rows]
        fx_rate = market.usd_rate[currency]
        demand = demands_of(self._demanded(rows), standing.terms.netting_set_id[rows], fx_rate)
        house = required(standing, self._market, rows)
        value = book.pledges.values(rows, market.usd_rate, currency)
        self._kept.store(rows, house, value, demand, standing.terms.takes_larger[rows])
        self._kept.unsettled[rows] = unsettled_usd(self._market, book.holdings, rows) / fx_rate
        self._kept.is_current[rows] = True

    def _demanded(
        self, rows: Int64Array1D, confirmed: pd.DataFrame | None = None
    ) -> pd.DataFrame | None:
        if self._positions.accounts.empty:
            return None
        book = self._book
        if confirmed is None:
            confirmed = confirmed_collateral(book.holdings, book.trust, rows)
        return demanded(
            self._snapshot(),
            book.holdings,
            self._positions,
            self._reports.frame(),
            confirmed,
            rows,
            self._rules,
        )

    def _circumstances(self) -> Circumstances:
        return Circumstances(self._book.layout.has_break, self._standing.terms.takes_larger)

    def _frame(self, rows: Int64Array1D) -> pd.DataFrame:
        confirmed = confirmed_collateral(self._book.holdings, self._book.trust, rows)
        demand = self._demanded(rows, confirmed)
        return requirements_of(self._standing, self._market, rows, confirmed, demand)

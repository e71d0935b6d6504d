"""The live book: what every netting set owes now, kept up to date change by change.

One writer, no clock, no I/O. A change is taken in at once; ``screened`` names the netting sets that
it may have brought to their next level, ``figures`` gives what they owe, to the bit what ``assess``
gives on ``inputs``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.intraday.assembly import assembled
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
from engine.intraday.exact import Standing, required, requirements_of
from engine.intraday.figures import Drift, LiveFigures
from engine.intraday.frames import NO_COLLATERAL, collateral_frame, position_set
from engine.intraday.freshness import Freshness, rests_on
from engine.intraday.holdings import Holdings
from engine.intraday.kept import Circumstances, Kept, figures_of
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket, Moved
from engine.intraday.pledged import counted_quantities
from engine.intraday.reported import confirmed_collateral
from engine.intraday.saving import saving
from engine.intraday.state import State, digest, require_version, restore_holdings
from engine.intraday.unsettled import unsettled_usd
from engine.intraday.venue_demands import VenueReports, demanded, demands_of
from engine.intraday.watching import Watch
from engine.portfolio import portfolio
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot


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
        self._fresh = Freshness(n, len(market.prepared.assets))
        self._fresh.lay_out(*rests_on(book, standing.terms))
        has_venues = not positions.accounts.empty
        self._watch = Watch(market, book, standing.terms, standing.rules, has_venues)

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
        parts = assembled(market, holdings, Layout.of(book), (rules, last_fresh))
        return cls(market, *parts, positions)

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
        parts = assembled(market, holdings, layout, (rules, last_fresh), state)
        book = cls(market, *parts, positions)
        book._reports.restore(state, pd.Timestamp(snapshot.business_date))
        book._n_changes = int(state["n_changes"][0])
        return book

    def save(self) -> State:
        """Return the state as arrays: the same bytes for the same state."""
        return self.saving()()

    def saving(self) -> Callable[[], State]:
        """Return what gives the state of this moment, in any thread and at any time later.

        Copies are taken now and put in order then: that takes twenty times as long.
        """
        return saving(self._market, self._book, self._reports, self._n_changes)

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
        known = self._book.trust.by_name
        doubted = [("underlying", self.assets[row]) in known for row in changes.asset.tolist()]
        if any(doubted):
            capped_rates = np.minimum(changes.usd_rate, self.usd_rate(changes.asset))
            capped_rates = np.where(doubted, capped_rates, changes.usd_rate)
            changes = replace(changes, usd_rate=capped_rates)
        moved = self._market.apply(changes)
        self._take_in(moved)
        return moved

    def usd_rate(self, assets: Int64Array1D) -> Float64Array1D:
        """Return what assets count as. [USD]"""
        return self._market.prepared.usd_rate[assets].copy()

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
        self._watch.changed(touched)
        self._n_changes += 1
        self._doubt(touched)
        return touched

    def watch(self, rows: Int64Array1D, low: Float64Array1D, high: Float64Array1D) -> None:
        """Say inside which band of utilisation nothing is to be decided on netting sets.

        ``engine.policies.utilisation`` of what is owed and ``LiveFigures.cover``. A netting set
        that nobody watches is screened in whenever anything that concerns it moves.

        Raises
        ------
        ModelInputError
            If a band is empty or reaches above 2.
        """
        rows = np.asarray(rows, dtype=np.int64)
        self._watch.set(rows, low, high)
        is_current = self._fresh.is_current(rows)
        self._watch.looked_at(self._stored(rows[is_current]))
        self._in_doubt[rows[~is_current]] = True

    def bands(self, rows: Int64Array1D) -> tuple[Float64Array1D, Float64Array1D]:
        """Return the ends of the bands that are watched; NaN where nobody has said."""
        return self._watch.low[rows], self._watch.high[rows]

    def screened(self) -> Int64Array1D:
        """Return the netting sets whose figures may have left the band that is watched.

        Those that have changed since their figures were last computed, without those that a bound
        proves to be inside still (``engine.intraday.screening``).
        """
        rows = self._watch.may_have_left()
        rows = rows[~self._fresh.is_current(rows)]
        return np.union1d(rows, np.flatnonzero(self._in_doubt)).astype(np.int64)

    def figures(self, rows: Int64Array1D | None = None) -> LiveFigures:
        """Return the exact figures of chosen netting sets, or of all, for who decides on them."""
        if rows is None:
            rows = np.arange(self._book.layout.n_netting_sets)
        rows = np.asarray(rows, dtype=np.int64)
        old = np.unique(rows[~self._fresh.is_current(rows)])
        if len(old):
            self._compute(old)
            self._watch.looked_at(self._stored(old))
        self._in_doubt[rows] = False
        return self._stored(rows)

    def shown(self, rows: Int64Array1D) -> LiveFigures:
        """Return figures for who only looks: what has to be decided on is still screened in."""
        was_current, waits = self._fresh.is_current(rows), self._in_doubt[rows]
        found = self.figures(rows)
        self._in_doubt[rows] = waits | (~was_current & ~self._watch.is_inside(rows))
        return found

    def collateral(self, rows: Int64Array1D) -> tuple[pd.DataFrame, Float64Array1D]:
        """Return what counts as collateral of netting sets, and the USD rate of each asset."""
        found = confirmed_collateral(self._book.holdings, self._book.trust, rows)
        return found, self._market.prepared.usd_rate.copy()

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
        """Build everything that is kept anew and return how far it had drifted.

        Rows are revalued from their inputs, figures that are not of now are computed, changed
        netting sets brought together with the others, and bounds start from here.
        """
        n_rebuilt, largest = self._market.rebuild()
        every = np.arange(self._book.layout.n_netting_sets)
        if largest > 0.0:
            self._standing.running.all_moved()
            self._fresh.doubt(every)
        self.figures()
        running = self._standing.running.rebuild()
        self._book.layout.compact()
        self._book.pledges.compact()
        self._watch.rebuild()
        self._fresh.lay_out(*rests_on(self._book, self._standing.terms))
        self._watch.looked_at(self._stored(every))
        return Drift(n_rebuilt=n_rebuilt, largest=largest, running=running)

    def _snapshot(self) -> Snapshot:
        return self._market.snapshot(f"{self._market.opened_as}@{self._n_changes}")

    def _noted(self, netting_set: int) -> int:
        self._n_changes += 1
        self._watch.changed(np.array([netting_set], dtype=np.int64))
        self._doubt(np.array([netting_set], dtype=np.int64))
        return netting_set

    def _doubt(self, rows: Int64Array1D) -> None:
        self._fresh.changed(rows)
        self._in_doubt[rows] = True

    def _take_in(self, moved: Moved) -> None:
        self._n_changes += 1
        self._standing.running.moved(moved)
        anew = self._book.with_usability(moved)
        if len(anew):
            self._watch.changed(anew)
            self._doubt(anew)
        self._watch.follow(moved)
        self._fresh.moved(self._market.underlyings_of(moved), moved.asset)

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
        self._fresh.computed(rows)

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

    def _stored(self, rows: Int64Array1D) -> LiveFigures:
        return figures_of(self._kept, rows, self._book.trust, self._circumstances())

    def _circumstances(self) -> Circumstances:
        return Circumstances(self._book.layout.has_break, self._standing.terms.takes_larger)

    def _frame(self, rows: Int64Array1D) -> pd.DataFrame:
        confirmed = confirmed_collateral(self._book.holdings, self._book.trust, rows)
        demand = self._demanded(rows, confirmed)
        return requirements_of(self._standing, self._market, rows, confirmed, demand)
